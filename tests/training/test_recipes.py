"""Recipes: the settings are the sources' own, the hash tells recipes apart, and what cannot run says so."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from chapters_code.hwd import HWDownsampling
from chapters_code.records import studies
from chapters_code.train import recipes
from chapters_code.train.losses import LOSSES
from chapters_code.train.recipes import RECIPES, TIERS, adapted, build_network, datasets, ready, recipe
from grids import every

ALL = [sizes[tier] for sizes in RECIPES.values() for tier in TIERS]


@pytest.mark.parametrize("plan", ALL, ids=lambda plan: f"{plan.name}-{plan.tier}")
def test_a_recipe_names_what_exists(plan):
    assert recipe(plan.name, plan.tier) is plan
    assert 1 <= plan.validate_every <= plan.epochs
    assert json.loads(json.dumps(dataclasses.asdict(plan)))["batch_size"] == plan.batch_size


@every(
    ("changes", "said"),
    [
        ({"optimizer": "lion"}, "optimizer must be of sgd, adam, adamw; got 'lion'"),
        ({"schedule": "step"}, "schedule must be of constant, poly, cosine; got 'step'"),
        ({"losses": ()}, r"losses must be of cross_entropy, .*; got \(\)"),
        ({"losses": "dice"}, "losses must be of cross_entropy, .*; got 'dice'"),
        ({"name": "My U-Net"}, "name must be of small letters.*got 'My U-Net'"),
        ({"crop": (64, 0)}, r"crop must be \(height, width\)"),
        ({"resize": 320}, r"resize must be \(height, width\)"),
        ({"resize": (64, 80)}, r"crop must fit into resize, .* got a crop of 64 x 96 and 64 x 80"),
        ({"network": "unet"}, "network must be a module and a class"),
        ({"learning_rate": "1e-3"}, "learning_rate must be a number above 0, got '1e-3'"),
        ({"clip": 0.0}, "clip must be a number above 0, got 0.0"),
        ({"clip": -1.0}, "clip must be a number above 0, got -1.0"),
        ({"weight_decay": -1e-4}, "weight_decay must be a number of 0 or more"),
        ({"momentum": float("nan")}, "momentum must be a number of 0 or more, got nan"),
        ({"losses": ("dice", "hinge")}, r"losses must be of cross_entropy, .*; got \('dice', 'hinge'\)"),
        ({"task": "depth"}, "task must be of classes, cracks, saliency; got 'depth'"),
        ({"smaller": "stretch"}, "smaller must be of pad, drop"),
        ({"precision": "float16"}, "precision must be of float32, bfloat16"),
        ({"epochs": 0}, "epochs must be an integer of 1 or more, got 0"),
        ({"batch_size": 2.5}, "batch_size must be an integer of 1 or more, got 2.5"),
        ({"learning_rate": -1e-3}, "learning_rate must be a number above 0, got -0.001"),
    ],
)
def test_a_setting_that_means_nothing_is_refused_when_the_recipe_is_written(changes, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(recipe("unet", "smoke"), **changes)


def test_the_hash_tells_recipes_apart_and_nothing_else():
    assert len({plan.digest() for plan in ALL}) == len(ALL)
    for plan in ALL:
        assert dataclasses.replace(plan).digest() == plan.digest()
        assert dataclasses.replace(plan, clip=1).digest() == dataclasses.replace(plan, clip=1.0).digest()
        assert dataclasses.replace(plan, learning_rate=plan.learning_rate * 2).digest() != plan.digest()


def test_fcn_has_the_settings_of_its_source():
    """320 x 480, batches of 32, 5 epochs; one step of ours is one step of the source's."""
    plan = recipe("fcn", "full")
    assert (plan.crop, plan.batch_size, plan.epochs, plan.optimizer) == ((320, 480), 32, 5, "sgd")
    assert (plan.smaller, plan.momentum, plan.schedule, plan.losses) == ("drop", 0.0, "constant", ("cross_entropy",))
    images, targets = torch.randn(32, 3, 4, 5), torch.randint(0, 2, (32, 4, 5))
    start = torch.randn(2, 3, 1, 1)

    def stepped(loss, **settings):
        weight = start.clone().requires_grad_()
        optimizer = torch.optim.SGD([weight], **settings)
        loss(torch.nn.functional.conv2d(images, weight)).backward()
        optimizer.step()
        return weight.detach()

    # The source: cross-entropy averaged over the pixels of each picture, and summed over the pictures.
    theirs = stepped(
        lambda logits: torch.nn.functional.cross_entropy(logits, targets, reduction="none").mean((1, 2)).sum(),
        lr=1e-3,
        weight_decay=1e-3,
    )
    ours = stepped(
        lambda logits: LOSSES["cross_entropy"](logits, targets), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    assert_close(ours, theirs)


def test_u2net_has_the_settings_of_its_source():
    plan = recipe("u2net", "full")
    assert (plan.resize, plan.crop, plan.flip, plan.batch_size) == ((320, 320), (288, 288), True, 12)
    assert (plan.optimizer, plan.learning_rate, plan.losses) == ("adam", 1e-3, ("binary_cross_entropy",))
    # 600,000 steps, with the 10,553 training pictures of DUTS.
    assert (plan.epochs - 1) * (10_553 // 12) < 600_000 <= plan.epochs * (10_553 // 12)


@pytest.mark.parametrize(("nest", "plain"), [("u2netp", "unet-saliency"), ("u2netp-cracks", "unet-cracks")])
def test_the_nest_and_the_plain_network_differ_in_the_network_alone(nest, plain):
    theirs, ours = recipe(nest, "colab"), recipe(plain, "colab")
    other = {name for name, value in theirs.plain().items() if value != ours.plain()[name]}
    assert other == {"name", "network", "network_settings"}
    sizes = [sum(weight.numel() for weight in build_network(one).parameters()) for one in (theirs, ours)]
    assert sizes == [1_131_181, 1_096_609]


@pytest.mark.parametrize("name", ["u2netp-cracks", "unet-cracks"])
def test_cracks_are_trained_as_in_the_comparison_of_chapter_07(name):
    """So that its runs with AdamW may stand beside these."""
    ours, study = recipe(name, "colab").plain(), studies.load("bake-off")
    other = {setting for setting, value in study["recipe"].items() if value != ours[setting]}
    assert other <= {"chapter", "network", "validate_every"}
    assert ours["epochs"] == study["pictures"]["DeepCrack"]["epochs"]
    rates = {run["learning_rate"] for run in study["runs"] if run["optimizer"] == "adamw"}
    assert (ours["optimizer"], {ours["learning_rate"]}) == ("adamw", rates)


@pytest.mark.parametrize(
    ("name", "tier", "said"),
    [
        ("segnet", "smoke", "no recipe 'segnet'; there are: unet, fcn, fcn-mobilenet, fcn-8s-mobilenet, fcn-scratch, "),
        ("unet", "huge", "no tier 'huge'; there are: smoke, colab, full"),
    ],
)
def test_what_there_is_not_is_answered_with_what_there_is(name, tier, said):
    with pytest.raises(ValueError, match=said):
        recipe(name, tier)


def test_first_weights_depend_on_the_seed_alone():
    plan = recipe("unet", "smoke")
    torch.manual_seed(5)
    first = build_network(plan, seed=3)
    after = torch.rand(1)
    torch.manual_seed(6)

    assert_close(dict(build_network(plan, seed=3).state_dict()), dict(first.state_dict()), rtol=0, atol=0)
    assert not torch.equal(build_network(plan, seed=4).head.weight, first.head.weight)
    torch.manual_seed(5)
    assert_close(torch.rand(1), after)


def test_a_recipe_names_the_layer_that_shrinks():
    plan = dataclasses.replace(recipe("unet", "smoke"), network_settings={"widths": (4, 8), "down": "hwd"})
    network = build_network(plan)
    assert isinstance(network.down[0], HWDownsampling)
    assert plan.network_settings["down"] == "hwd"  # the recipe stays text
    with pytest.raises(ValueError, match="down must be one of max, avg, .* hwd, got 'dwt'"):
        build_network(dataclasses.replace(plan, network_settings={"down": "dwt"}))


def test_a_recipe_that_waits_for_its_chapter_says_so():
    plan = dataclasses.replace(recipe("unet", "smoke"), network="moon.Net", chapter="11 moon")
    assert not ready(plan)
    with pytest.raises(ValueError, match="trains chapters_code.moon.Net, which comes with Chapter 11 moon"):
        build_network(plan)


@pytest.mark.parametrize("name", RECIPES)
def test_the_smoke_tier_draws_its_pictures_twice_the_same_and_validates_on_others(name):
    plan = recipe(name, "smoke")
    train, validation = datasets(plan)
    again, _ = datasets(plan)

    assert torch.equal(train[0].image, again[0].image)
    assert not torch.equal(train[0].image, validation[0].image)
    assert len(train) >= plan.batch_size
    assert all(side >= least for side, least in zip(train[0].mask.shape, plan.crop, strict=True))


@pytest.mark.parametrize(
    ("tier", "said"),
    [
        ("smoke", "the tier smoke of unet draws its pictures, or trains on yours: leave the folder out"),
        ("colab", "crack.DeepCrack is not there, which the recipe unet trains on"),
    ],
)
def test_a_folder_that_holds_nothing_for_the_recipe_says_both_that_it_could(tmp_path, tier, said):
    with pytest.raises(FileNotFoundError, match=rf"{said}.*\. As pictures of your own: .* is empty; wanted are"):
        datasets(recipe("unet", tier), tmp_path)


def own_pictures(root, numbers=(0, 255)):
    """Three pairs of 24 x 40, a stripe of each number in every mask."""
    for name in ("DSC_1", "DSC_2", "DSC_3"):
        for kind, ending, image in (
            ("images", "JPG", Image.new("RGB", (40, 24))),
            ("masks", "png", Image.fromarray(np.resize(np.array(numbers, np.uint8), (24, 40)))),
        ):
            (root / kind).mkdir(parents=True, exist_ok=True)
            image.save(root / kind / f"{name}.{ending}")
    return root


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("name", "numbers", "classes"),
    [
        ("unet", (0, 255), ("background", "object")),
        ("u2net", (0, 255), ("background", "object")),
        ("fcn-scratch", (0, 255), ("background", "object")),
        ("fcn-scratch", (0, 1, 2, 255), ("background", "class 1", "class 2")),
    ],
)
def test_every_tier_is_adapted_to_pictures_of_ones_own(tmp_path, tier, name, numbers, classes):
    """Their name in place of the book's set; and a network for their classes, where it is a question of classes."""
    book, said = recipe(name, tier), []
    train_set, validation_set = datasets(book, own_pictures(tmp_path / "walls", numbers), said.append)
    plan = adapted(book, train_set)

    assert (len(train_set), len(validation_set)) == (2, 1)
    assert train_set.classes == validation_set.classes == classes
    assert any('own pictures "walls"' in line for line in said)
    assert plan.data == "own/walls"
    changed = {setting for setting, value in plan.plain().items() if value != book.plain()[setting]}
    settings = {"network_settings"} if book.task == "classes" else set()
    assert changed - {"train_split", "validation_split"} == {"data"} | settings
    assert plan.network_settings.get("num_classes") == (len(classes) if settings else None)
    assert adapted(plan, train_set) == plan


def test_an_adapted_network_answers_with_a_map_for_each_class(tmp_path):
    book = recipe("fcn-scratch", "smoke")
    train_set, _ = datasets(book, own_pictures(tmp_path, (0, 1, 2)), lambda line: None)
    maps = build_network(adapted(book, train_set)).eval()(torch.zeros(1, 3, 64, 96))
    assert maps.shape == (1, 3, 64, 96)


def test_the_books_own_sets_change_no_recipe():
    book = recipe("unet", "smoke")
    assert adapted(book, datasets(book)[0]) is book


def test_masks_of_class_numbers_are_refused_where_yes_or_no_is_asked(tmp_path):
    with pytest.raises(ValueError, match=r"of 2 pairs(?s:.)*mean no class, 1 to 2.* a recipe for classes, such as fcn"):
        datasets(recipe("unet", "smoke"), own_pictures(tmp_path, (0, 1, 2)), lambda line: None)


def test_the_recipes_own_set_comes_before_pictures_of_ones_own(tmp_path):
    """A folder laid out like BOOK_DATA stays one, whatever else is in it."""
    for split in ("train", "test"):
        own_pictures(tmp_path / "crack" / "DeepCrack" / split)
    own_pictures(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"DSC_1\.jpg is missing .*there is DSC_1\.JPG"):
        datasets(recipe("unet", "colab"), tmp_path)


def test_an_unknown_set_is_refused():
    for name in ("coco", "own/walls"):
        with pytest.raises(ValueError, match=f"no data set '{name}'; .* for own/... the folder"):
            datasets(dataclasses.replace(recipe("unet", "full"), data=name))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "tier", "counts"),
    [("unet", "full", (300, 60)), ("fcn", "full", (207, 203)), ("u2net", "colab", (188, 62))],
)
def test_a_folder_is_read_as_the_recipe_says(book_data, name, tier, counts):
    train, validation = datasets(recipe(name, tier), book_data)
    assert (len(train), len(validation)) == counts
    # Not the ids: DeepCrack gives three names twice, to a training and to another test photograph.
    shared = set(train.ids) & set(validation.ids)
    for name in shared:
        ours, theirs = train[train.ids.index(name)].image, validation[validation.ids.index(name)].image
        assert not torch.equal(ours, theirs)


def test_every_tier_of_every_recipe_is_there():
    assert {name: tuple(sizes) for name, sizes in RECIPES.items()} == dict.fromkeys(
        ("unet", "fcn", "fcn-mobilenet", "fcn-8s-mobilenet", "fcn-scratch", "u2net")
        + ("u2netp", "unet-saliency", "u2netp-cracks", "unet-cracks"),
        TIERS,
    )
    assert recipes.TIERS == ("smoke", "colab", "full")
