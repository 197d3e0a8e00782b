"""The studies: a plan before the first run, runs that are done once, nothing half done in a record."""

import copy
import dataclasses
import importlib
import json
from itertools import product

import pytest
import torch
from filelock import FileLock
from torch import nn
from torch.nn import functional
from torch.testing import assert_close
from torchvision import models

from chapters_code.aspp import valid_taps
from chapters_code.cost import cost
from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.metrics.cracks import crack_scores, local_width
from chapters_code.records import runs, studies
from chapters_code.unet import UNet
from experiments import __main__, aspp, blocks, cracks, fcn8s, nest, no_skips, shape_texture, side_losses, work, wtconv
from experiments.overlap import overlaps
from small_runs import DIGEST, PLAN, RECORD, Made, one_by_one

NAMES = __main__.names()
STUDIES = {name: importlib.import_module(f"experiments.{name}") for name in NAMES}


# ---- plans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_study_says_what_is_expected_and_that_it_was_written_before_the_first_run(name):
    plan = STUDIES[name].__doc__
    assert f"python -m experiments {name} " in plan
    assert "The plan, written before the first run" in plan
    assert "Expected, before the first run" in plan or "Hypotheses, before the runs" in plan


@pytest.mark.parametrize("name", NAMES)
def test_runs_of_a_study_are_told_apart_and_share_all_but_what_may_vary(name):
    planned = STUDIES[name].STUDY.planned
    assert len({one.key for one in planned}) == len({one.folder for one in planned}) == len(planned)
    seeds = {one.seed for one in planned}
    assert len(seeds) >= 5 or name == "fcn8s"  # its record has three, and the chapter says so
    every = set(product({(one.arm, one.pictures, one.recipe.optimizer) for one in planned}, seeds))
    assert {(one.key[1::-1] + one.key[2:3], one.seed) for one in planned} == every
    if name in ("nest", "fcn8s"):  # each of their runs has a record of its own
        return
    shared = [{k: v for k, v in one.recipe.plain().items() if k not in work.VARIED} for one in planned]
    assert all(one == shared[0] for one in shared)
    if name == "blocks":  # one of its arms may train for longer, as its plan says
        planned = [one for one in planned if one.arm != "unet_long"]
    budget = {(one.pictures, one.recipe.epochs, one.recipe.data) for one in planned}
    assert len(budget) == len({one.pictures for one in planned})


@pytest.mark.parametrize("study", [fcn8s, nest])
def test_the_arms_of_a_study_are_recipes_of_the_book_for_the_same_pictures(study):
    first_seed = [one.recipe for one in study.STUDY.planned if one.seed == 0]
    for one, two in zip(first_seed[::2], first_seed[1::2], strict=True):
        differs = {name for name, value in vars(one).items() if value != vars(two)[name]}
        assert differs <= {"name", "network", "network_settings"}


# ---- the networks that are compared -----------------------------------------------------------------


def planned_of(study, pictures, seed=None):
    seed = study.STUDY.planned[0].seed if seed is None else seed
    return {one.arm: one for one in study.STUDY.planned if (one.pictures, one.seed) == (pictures, seed)}


def test_haar_that_starts_as_strided_2_x_2_is_the_same_network():
    arms = planned_of(no_skips, "CFD", seed=3)
    haar, strided, other = (no_skips.build(arms[name]) for name in ("hwd_as_strided2", "strided2", "hwd"))
    x = torch.randn(2, 3, 33, 46)
    assert_close(haar(x), strided(x), rtol=1e-4, atol=1e-4)
    assert (other(x) - strided(x)).abs().max() > 0.01
    assert [type(one).__name__ for one in haar.down] == ["HWDownsampling"] * 3


def test_without_skips_all_that_is_known_has_gone_through_every_halving():
    torch.manual_seed(0)
    model = no_skips.build(planned_of(no_skips, "CFD")["max"]).eval()
    x = torch.randn(1, 3, 24, 40)
    whole = model(x)
    model.down[0].register_forward_hook(lambda module, inputs, out: torch.zeros_like(out))
    assert not torch.equal(model(x), whole) and torch.equal(model(x), model(torch.randn(1, 3, 24, 40)))
    with_skips = UNet(widths=(8, 16, 32, 64)).eval()
    with_skips.down[0].register_forward_hook(lambda module, inputs, out: torch.zeros_like(out))
    assert not torch.equal(with_skips(x), with_skips(torch.randn(1, 3, 24, 40)))


def test_wtconv_is_held_against_kernels_of_equal_weights_and_of_equal_reach():
    arms = planned_of(wtconv, "DeepCrack")
    networks = {name: wtconv.build(one) for name, one in arms.items()}
    count = {name: sum(one.numel() for one in network.parameters()) for name, network in networks.items()}
    assert 0.9 < count["dw15"] / count["wt2"] < 1.1 and count["dw5"] < count["wt1"] < count["wt2"] < count["wt3"]
    layers = {name: [type(one).__name__ for one in network.modules()] for name, network in networks.items()}
    # In six of the seven blocks of two convolutions each: full size, the first and the last, stays plain.
    assert {name: found.count("WTConv2d") for name, found in layers.items() if name[0] == "w"} == dict.fromkeys(
        ("wt1", "wt2", "wt3"), 10
    )
    assert layers["dw15"].count("LargeDepthwise") == 10
    again = wtconv.build(arms["wt2"])
    for one, other in zip(networks["wt2"].parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_large_kernel_by_fourier_transform_is_the_convolution_with_its_gradients():
    torch.manual_seed(0)
    layer = wtconv.LargeDepthwise(3, 7)
    x = torch.randn(2, 3, 10, 13, requires_grad=True)
    other = x.detach().clone().requires_grad_()
    plain = functional.conv2d(other, layer.weight, layer.bias, padding=3, groups=3)
    assert_close(layer(x), plain, rtol=1e-4, atol=1e-5)
    pull = torch.randn(2, 3, 10, 13)
    ours = torch.autograd.grad(layer(x), [x, layer.weight, layer.bias], pull)
    assert_close(ours, torch.autograd.grad(plain, [other, layer.weight, layer.bias], pull), rtol=1e-4, atol=1e-4)


def test_shape_and_texture_agree_or_contradict_and_shapes_are_as_large():
    agree, apart = shape_texture.Scenes(40, seed=5), shape_texture.Scenes(40, seed=5, agree=False)
    for index in range(40):
        image, things, classes, textures = agree.drawn(index)
        assert classes == textures and image.shape == (3, 96, 128) and things.max() <= len(classes) <= 2
        assert torch.equal(agree[index].mask > 0, things > 0)
        _, _, classes, textures = apart.drawn(index)
        assert not any(one == other for one, other in zip(classes, textures, strict=True))
    y, x = torch.meshgrid(torch.linspace(-2, 2, 801), torch.linspace(-2, 2, 801), indexing="ij")
    for shape in shape_texture.SHAPES:
        inside = shape_texture._inside(shape, y, x)
        assert inside.double().mean() * 16 == pytest.approx(torch.pi, rel=0.01), shape
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    for texture in range(4):
        grain = shape_texture._grain(texture, rows, columns, torch.Generator().manual_seed(1))
        assert abs(grain.mean()) < 0.03 and abs(grain.std() - 1) < 0.03, texture


def test_a_thing_is_decided_by_the_larger_number_of_votes():
    assert shape_texture.bias([[3, 1], [0, 2], [0, 0], [5, 0]]) == {
        "shape_bias": pytest.approx(2 / 3, abs=1e-6),
        "decided": 0.75,
    }
    scenes = shape_texture.Scenes(3, seed=2, agree=False)

    class Knows(nn.Module):
        """Answers by shape, or by texture, since it has the scenes before it."""

        def __init__(self, of_texture):
            super().__init__()
            self.of_texture, self.place = of_texture, 0

        def forward(self, x):
            _, things, classes, textures = scenes.drawn(self.place)
            self.place += 1
            said = torch.tensor([0, *(textures if self.of_texture else classes)])[things]
            return functional.one_hot(said, 5).movedim(-1, 0)[None]

    assert [shape_texture.bias(shape_texture.votes(Knows(one), scenes))["shape_bias"] for one in (False, True)] == [
        1,
        0,
    ]


def test_changes_of_a_picture_do_what_their_names_say():
    image = torch.randint(60, 190, (3, 40, 56), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for name, change in wtconv.CHANGES.items():
        changed = change(image, 3)
        assert changed.dtype == torch.uint8 and changed.shape == image.shape, name
        assert torch.equal(changed, change(image, 3)) and not torch.equal(changed, image), name
    off = (wtconv.CHANGES["noise 25"](image, 0).float() - image).std()
    assert 24 < off < 26 and not torch.equal(*(wtconv.CHANGES["noise 25"](image, i) for i in (0, 1)))
    assert wtconv.CHANGES["blur 2"](image, 0).float().std() < wtconv.CHANGES["blur 1"](image, 0).float().std() < 20


def test_the_small_nest_shows_the_loss_what_its_arm_says():
    arms = planned_of(side_losses, "8 epochs")
    x = torch.randn(2, 3, 22, 28)
    shown = {name: side_losses.build(one)(x) for name, one in arms.items()}
    assert {name: len(maps) for name, maps in shown.items()} == {
        "all": 4, "fused": 1, "fused_positive": 1, "all_positive": 4, "fused_four": 4
    }  # fmt: skip
    assert torch.equal(shown["fused"][0], shown["all"][0])
    assert all(torch.equal(one, shown["fused"][0]) for one in shown["fused_four"])
    weights = {name: side_losses.build(arms[name]) for name in ("all", "all_positive")}
    ours, positive = (one.merge.weight for one in weights.values())
    assert ours.min() < 0 < positive.min()
    assert_close(positive, ours.abs(), rtol=1e-4, atol=1e-3)
    found = side_losses.more(weights["all"], arms["all"], Made(void=False), None)["parts"]
    assert set(found) == {"side 1", "side 2", "side 3"}
    assert (
        found["side 2"]["weight before"]
        == found["side 2"]["weight after"]
        == pytest.approx(ours[0, 1].item(), abs=1e-6)
    )


@pytest.fixture(scope="module")
def random_features(tmp_path_factory):
    """MobileNetV2's features with random weights, in a file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "features.pth"
    torch.save(models.mobilenet_v2(weights=None).features.state_dict(), path)
    return path


def test_at_output_stride_16_the_features_are_the_same_layers_further_apart(random_features):
    torch.manual_seed(1)
    network = aspp.Network(aspp.head("none"), random_features).eval()
    plain = models.mobilenet_v2(weights=None).features[:18].eval()
    plain.load_state_dict(
        {k: v for k, v in torch.load(random_features, weights_only=True).items() if int(k.split(".")[0]) < 18}
    )
    x = torch.randn(1, 3, 96, 160)
    fine, coarse = network.features(x), plain(x)
    assert (fine.shape, coarse.shape) == ((1, 320, 6, 10), (1, 320, 3, 5))
    # Every second place of the fine map is the coarse one: dilated layers see what the halved map showed.
    assert_close(fine[..., ::2, ::2], coarse, rtol=1e-3, atol=1e-3)
    assert network(x).shape == (1, 21, 96, 160) and "features.pth" in network.started_from


def test_heads_of_equal_cost_differ_in_their_rates_alone():
    heads = {arm: aspp.head(arm).eval() for arm in aspp.RATES}
    x = torch.randn(1, 320, 5, 7)
    assert len({cost(one, 1, 320, 20, 20) for one in heads.values()}) == 1
    assert len({one(x).sum().item() for one in heads.values()}) == len(heads)
    taps = {rate: valid_taps((20, 20), rate).mean for rate in (2, 4, 6, 18)}
    assert min(taps[2], taps[4], taps[6]) > 5 and taps[18] < 2


def test_overlap_is_counted_class_by_class_without_void():
    class Lines(Bars):
        def read(self, index):
            mask = torch.tensor([[0, 0, 2, 2], [0, 255, 255, 1]])
            return Pair(torch.zeros(3, 2, 4, dtype=torch.uint8), mask)

    says = torch.full((3, 2, 4), -1.0)
    says[0, :, :2] = says[2, :, 2:] = 1.0  # class 0 at the left, 2 at the right
    # class, both, predicted, true
    assert overlaps(Says(says), Lines()) == [[0, 3, 3, 3, 1, 0, 0, 1, 2, 2, 3, 2]] * 2
    one_map = torch.full((1, 24, 40), -1.0)
    one_map[0, 4] = 0.0
    assert overlaps(Says(one_map), Bars()) == [[0, 24 * 40 - 320, 23 * 40, 24 * 40 - 320, 1, 40, 40, 320]] * 2


def test_the_arms_of_the_nest_differ_in_what_the_plan_says():
    first = {one.arm: one for one in blocks.STUDY.planned if one.seed == 0}
    networks = {arm: blocks.build(one) for arm, one in first.items()}
    count = {arm: sum(one.numel() for one in network.parameters()) for arm, network in networks.items()}
    assert count["rsu"] == count["fused"] == 1_131_181
    for arm in ("unet", "unet_deep", "unet_long"):
        assert 0.95 < count[arm] / count["rsu"] < 1.05, arm
    assert [len(networks[arm].down) for arm in ("unet", "unet_deep")] == [3, 5]
    kinds = {arm: {type(one).__name__ for one in networks[arm].encoder} for arm in blocks.BLOCKS}
    assert kinds == {arm: {made.__name__} for arm, made in blocks.BLOCKS.items()}
    x = torch.randn(2, 3, 33, 46)
    for arm in blocks.BLOCKS:
        assert [one.shape for one in networks[arm](x)] == [(2, 1, 33, 46)] * 7, arm
    seven, alone = (networks[arm].eval()(x) for arm in ("rsu", "fused"))
    assert torch.equal(seven[0], alone) and len(seven) == 7
    # The earlier runs are in the book already; nothing of them would run again.
    assert {one.arm for one in work.left(dataclasses.replace(blocks.STUDY, name="trial"), None)} == set(first) - set(
        blocks.EARLIER
    )


# ---- what is counted on cracks ----------------------------------------------------------------------


class Bars(Segmentation):
    """Two pictures of cracks of known width: 2 and 6 pixels."""

    def __init__(self):
        super().__init__(("one", "two"), "made")

    def read(self, index):
        mask = torch.zeros(24, 40, dtype=torch.int64)
        mask[4:6] = 1
        mask[12:18] = 1
        return Pair(torch.full((3, 24, 40), 7, dtype=torch.uint8), mask)


class Says(nn.Module):
    """A network that answers the same whatever it sees, and remembers that."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.seen = nn.Parameter(answer), []

    def forward(self, x):
        self.seen.append(x)
        height, width = self.answer.shape[-2:]
        return self.answer.reshape(1, -1, height, width).expand(len(x), -1, -1, -1)


def test_what_is_found_is_counted_by_photograph_and_by_width():
    pairs = Bars()
    kinds = [torch.bucketize(local_width(mask, 9), torch.tensor(cracks.WIDTHS)) for _, mask in pairs]
    thin, wide = 2 * 2 * 40, 2 * 6 * 40
    nothing = torch.full((24, 40), -1.0)
    at_thin = nothing.clone()
    at_thin[2] = 1  # two pixels from the near edge of the thin crack, three from the far one
    at_wide = nothing.clone()
    at_wide[14] = 0  # a probability of 1/2 counts

    def found(answer):
        return cracks.counts(Says(answer), pairs, kinds)

    assert found(nothing)["by_width"] == {"up_to_pixels": [2, 4, 8, 9], "true": [thin, 0, wide, 0], "found": [0] * 4}
    assert found(at_thin)["by_width"]["found"] == [thin // 2, 0, 0, 0]
    assert found(at_wide)["by_width"]["found"] == [0, 0, wide * 5 // 6, 0]
    # Of each picture: predicted, right, true, found.
    assert found(at_thin)["photographs"] == [[40, 40, 8 * 40, 40]] * 2
    assert "by_width" not in cracks.counts(Says(nothing), pairs)


def test_f1_from_counts_is_that_of_the_metric():
    pairs = Made(void=False)
    model = one_by_one()
    photographs = cracks.counts(model, pairs)["photographs"]
    predicted = torch.stack([model(cracks.Normalise()(image[None]))[0, 0] >= 0 for image, _ in pairs])
    truth = torch.stack([mask for _, mask in pairs])
    assert cracks.f1(photographs) == pytest.approx(crack_scores(predicted, truth, tolerance=2).f1, abs=1e-12)
    assert [cracks.f1([[0, 0, 0, 0]]), cracks.f1([[3, 0, 0, 0]]), cracks.f1([[3, 0, 4, 0]])] == [1.0, 0.0, 0.0]


def test_a_changed_picture_is_what_the_network_sees():
    model = Says(torch.zeros(24, 40))
    found = cracks.changed(model, Bars(), {"black": lambda image, place: image * 0 + place})
    # All is predicted: 24 rows, of which 6 and 10 lie within 2 pixels of a crack, and every crack is found.
    assert found == {"black": {"global_f1@2px": pytest.approx(2 * (16 / 24) / (16 / 24 + 1), abs=1e-6)}}
    assert model.seen[0].unique().numel() == 3 and not torch.equal(*model.seen)


# ---- runs: once, taken up again, never half --------------------------------------------------------


def small(count=2):
    """A study of two arms that takes seconds."""
    plans = [
        work.Planned(arm, "made", dataclasses.replace(PLAN, name=f"small-{arm}"), seed, 3.0)
        for seed in range(count)
        for arm in ("a", "b")
    ]
    return work.Study(
        "small",
        plans,
        build=lambda planned: one_by_one(),
        pictures=lambda planned, data: (Made(), Made(seed=1)),
        more=lambda model, planned, pairs, data: {"changed": {"noise": {"f1": 0.5}}},
    )


def test_every_run_is_trained_once_and_told(tmp_path):
    study, told = small(), []
    busy = tmp_path / study.planned[1].folder
    busy.mkdir()
    with FileLock(busy / "lock"):  # another process is at it
        work.run_all(study, None, tmp_path, told.append)
    assert told == [one.folder for one in study.planned if one.arm == "a" or one.seed == 1]
    assert work.left(study, tmp_path) == [study.planned[1]]
    work.run_all(study, None, tmp_path, told.append)
    assert told[3:] == [study.planned[1].folder] and not work.left(study, tmp_path)
    work.run_all(study, None, tmp_path, told.append)
    assert len(told) == 4


def test_a_run_that_was_broken_off_is_taken_up_again_and_comes_out_as_if_it_was_not(tmp_path, monkeypatch):
    study = small(1)
    broken = study.planned[0]
    calls = []

    def dies(model, planned, pairs, data):
        calls.append(planned.arm)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.run_all(dataclasses.replace(study, more=dies), None, tmp_path)
    assert (tmp_path / broken.folder / "record.json").exists() and calls == ["a"]
    assert work.left(study, tmp_path)[0] == broken, "without its second file a run is not done"
    with pytest.raises(ValueError, match="or there is none"):
        work.collect(study, tmp_path, tmp_path / "study.json")
    finished = runs.load(tmp_path / broken.folder / "record.json")["finished"]
    work.run_all(study, None, tmp_path)
    assert not work.left(study, tmp_path)
    assert runs.load(tmp_path / broken.folder / "record.json")["finished"] == finished


# ---- from runs to the study -------------------------------------------------------------------------

TRIAL = dataclasses.replace(no_skips.STUDY, name="trial")  # of which the book has no record


def write_run(out, planned, f1=0.5, more=None, **changes):
    folder = out / planned.folder
    folder.mkdir(parents=True)
    scores = dict.fromkeys(cracks.KEPT, 0.125)
    record = copy.deepcopy(RECORD) | {
        "recipe": planned.recipe.plain(),
        "seed": planned.seed,
        "scores": scores | {"ods_f1@2px": f1, "ois_f1@2px": 1.0},
        "baselines": {"all background": scores},
    }
    runs.save(record | changes, folder / "record.json")
    counts = {"photographs": [[4, 3, 2, 1]], "by_width": {"up_to_pixels": [2], "true": [2], "found": [1]}}
    (folder / "more.json").write_text(json.dumps(counts if more is None else more))


def two_seeds(study):
    return [one for one in study.planned if one.seed < 2 and one.arm in ("hwd", "max")]


def test_a_study_holds_what_its_runs_hold(tmp_path):
    study = TRIAL
    for one in two_seeds(study):
        write_run(tmp_path, one, f1=(1 + 2 * one.seed) / 4)
    unfinished = next(one for one in study.planned if one.arm == "avg")
    write_run(tmp_path, unfinished)
    (tmp_path / unfinished.folder / "more.json").unlink()

    assert work.collect(study, tmp_path, tmp_path / "study.json") == 8
    found = studies.load(tmp_path / "study.json")
    assert studies.scores(found, "ods_f1@2px", pictures="CFD") == {"max": [0.25, 0.75], "hwd": [0.25, 0.75]}
    first = found["runs"][0]
    assert set(first["scores"]) == set(cracks.KEPT)
    assert (first["pictures"], first["arm"], first["optimizer"], first["seed"]) == ("DeepCrack", "max", "sgd", 0)
    assert first["photographs"] == [[4, 3, 2, 1]] and first["by_width"]["found"] == [1]
    assert found["ran_on"] == [RECORD["ran_on"] | {"versions": RECORD["versions"]}] and first["ran_on"] == 0
    assert (found["commits"], found["seconds"]) == (["abc"], 8 * RECORD["seconds"])
    assert found["pictures"]["CFD"]["epochs"] == 30 and found["pictures"]["CFD"]["test"]["digest"] == DIGEST
    assert found["recipe"]["crop"] == [160, 160] and not set(found["recipe"]) & set(work.VARIED)


def test_a_study_grows_from_its_record_on_another_machine(tmp_path, monkeypatch):
    study = TRIAL
    first, second = (([one for one in two_seeds(study) if one.seed == seed]) for seed in range(2))
    for one in first:
        write_run(tmp_path / "here", one)
    work.collect(study, tmp_path / "here", tmp_path / "study.json")
    monkeypatch.setattr(work, "recorded", lambda study: studies.load(tmp_path / "study.json"))
    assert not {one.key for one in work.left(study, None)} & {one.key for one in first}

    for one in second:
        write_run(tmp_path / "there", one, f1=0.75, versions={"torch": "2.99"}, commit="def")
    assert work.collect(study, tmp_path / "there", tmp_path / "grown.json") == 8
    grown = studies.load(tmp_path / "grown.json")
    assert studies.scores(grown, "ods_f1@2px", pictures="CFD")["hwd"] == [0.5, 0.75]
    assert [grown["ran_on"][run["ran_on"]]["versions"]["torch"] for run in grown["runs"][:2]] == ["2.15.0", "2.99"]
    assert grown["commits"] == ["abc", "def"] and grown["seconds"] == 8 * RECORD["seconds"]
    assert "torch 2.15.0 or 2.99" in studies.conditions(grown)


def test_runs_with_a_record_of_their_own_join_and_longer_ones_say_so(tmp_path):
    first = {one.arm: one for one in blocks.STUDY.planned if one.seed == 0}
    made = runs.load("unet-saliency-colab-seed0")
    for arm in ("unet_long", "plain"):
        one = first[arm]
        folder = tmp_path / one.folder
        folder.mkdir()
        runs.save(made | {"recipe": one.recipe.plain()}, folder / "record.json")
        (folder / "more.json").write_text('{"photographs": [[1, 2, 3, 4]]}')
    work.collect(dataclasses.replace(blocks.STUDY, name="trial"), tmp_path, tmp_path / "study.json")
    study = studies.load(tmp_path / "study.json")
    of_arm = {run["arm"]: run for run in study["runs"] if run["seed"] == 0}
    assert set(of_arm) == {"rsu", "unet", "unet_long", "plain"} and study["pictures"]["ECSSD"]["epochs"] == 30
    assert {arm: run.get("epochs") for arm, run in of_arm.items() if arm in ("plain", "unet_long")} == {
        "plain": None,
        "unet_long": 60,
    }
    assert of_arm["rsu"]["scores"]["global_max_f"] == round(
        runs.load("u2netp-colab-seed0")["scores"]["global_max_f"], 6
    )
    assert "photographs" not in of_arm["rsu"] and of_arm["plain"]["photographs"] == [[1, 2, 3, 4]]


def test_a_study_with_runs_left_is_kept_apart_from_the_book_s_records(tmp_path, monkeypatch):
    begun, shelf = tmp_path / "begun", tmp_path / "studies"
    shelf.mkdir()
    monkeypatch.setattr(work, "BEGUN", begun)
    study = dataclasses.replace(TRIAL, planned=two_seeds(TRIAL))
    for one in study.planned[:5]:
        write_run(tmp_path / "here", one)
    assert work.put_away(study, tmp_path / "here", shelf) == begun / "trial.json" and not list(shelf.iterdir())
    assert work.left(study, None) == list(study.planned[5:]), "what was begun elsewhere is not run again"

    for one in study.planned[5:]:
        write_run(tmp_path / "there", one)
    assert work.put_away(study, tmp_path / "there", shelf) == shelf / "trial.json" and not list(begun.iterdir())
    assert len(studies.load(shelf / "trial.json")["runs"]) == len(study.planned)


def test_what_is_begun_is_a_study_of_the_book_with_runs_left():
    by_name = {module.STUDY.name: module.STUDY for module in STUDIES.values()}
    for file in work.BEGUN.glob("*.json"):
        done = {work._key(run) for run in studies.load(file)["runs"]}
        assert done < {one.key for one in by_name[file.stem].planned}, file.name


def test_runs_made_in_different_ways_are_no_study(tmp_path):
    planned = two_seeds(TRIAL)
    for one in planned[:3]:
        write_run(tmp_path, one)
    other = planned[3]
    write_run(tmp_path, dataclasses.replace(other, recipe=dataclasses.replace(other.recipe, batch_size=4)))
    with pytest.raises(ValueError, match="differ in what one study must share"):
        work.collect(TRIAL, tmp_path, tmp_path / "study.json")
    assert not (tmp_path / "study.json").exists()


# ---- the command ------------------------------------------------------------------------------------


def told_by(capsys, monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["experiments", *words])
    try:
        code = __main__.main()
    except SystemExit as end:
        code = end.code
    return code, "".join(capsys.readouterr())


def test_the_command_says_what_would_run_and_runs_nothing(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(work, "recorded", lambda study: None)
    code, text = told_by(capsys, monkeypatch, "no_skips", "--dry-run", "--out", str(tmp_path))
    lines = text.splitlines()
    assert code == 0 and len(lines) == 71 and lines[0].startswith("no-skips-deepcrack-max-colab-seed0  about ")
    assert lines[-1] == "no_skips: 70 of 70 runs left, about 1.8 hours of one core"
    assert not list(tmp_path.iterdir())
    code, text = told_by(capsys, monkeypatch)
    assert [line.split(":")[0] for line in text.splitlines()] == NAMES
    assert "The plan, written before" in told_by(capsys, monkeypatch, "wtconv", "--plan")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("wtconv",), "--out OUT"),
        (("moon",), "invalid choice: 'moon'"),
        (("wtconv", "--tune", "--out", "out"), "has nothing to --tune"),
    ],
)
def test_the_command_says_what_is_missing(capsys, monkeypatch, words, said):
    code, text = told_by(capsys, monkeypatch, *words)
    assert code == 2 and said in text
