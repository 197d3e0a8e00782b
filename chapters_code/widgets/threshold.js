/* Threshold: where probabilities of crack are cut, and how the scores take it.  common.js stands before this file.

   First the sums, plain functions that the tests hold against Python; then the picture.  `state` has the names of the
   Python figure: nothing, prediction, target, threshold, tolerance.  A map is {height, width, values}, row by row. */

const STATE = ["nothing", "prediction", "target", "threshold", "tolerance"];
const TOLERANCES = [0, 1, 2], TOP = 255, NEVER = TOP + 1, VOID = 255; // as in threshold.py, and so are the colours
const KINDS = { ground: "#aeb4ba", found: "#0072b2", right: "#d4ecff", missed: "#000000", "false alarm": "#d55e00",
  void: "#b0b0b0" };
const HUNDREDTHS = range(101).map((i) => i / 100);

/** Give each pixel the largest value within `radius` of it, from centre to centre. */
export function dilate({ height, width, values }, radius) {
  const largest = [...values];
  for (let down = -radius; down <= radius; down += 1) for (let right = -radius; right <= radius; right += 1) {
    if (down * down + right * right > radius * radius) continue;
    for (let i = Math.max(0, -down); i < Math.min(height, height - down); i += 1) {
      for (let j = Math.max(0, -right); j < Math.min(width, width - right); j += 1) {
        const at = i * width + j;
        largest[at] = Math.max(largest[at], values[at + down * width + right]);
      }
    }
  }
  return { height, width, values: largest };
}

/** All that does not depend on the threshold.  `counts[r][level]` counts pixels if all of that level or above are
    predicted: so one walk over the map counts for all thresholds. */
export function prepare({ prediction, target }) {
  const truth = unpack(target).values, levels = unpack(prediction);
  levels.values = levels.values.map((level, i) => (truth[i] === VOID ? -1 : level)); // void is never predicted
  const crack = { ...levels, values: truth.map((one) => (one === 1 ? 1 : 0)) };
  const near = TOLERANCES.map((radius) => dilate(crack, radius).values);
  const reached = TOLERANCES.map((radius) => dilate(levels, radius).values);
  const counts = TOLERANCES.map((radius) => {
    const found = range(NEVER + 1).map(() => ({ predicted: 0, right: 0, found: 0, common: 0 }));
    levels.values.forEach((level, i) => {
      if (level < 0) return;
      found[level].predicted += 1;
      found[level].right += near[radius][i];
      found[level].common += crack.values[i];
      found[reached[radius][i]].found += crack.values[i];
    });
    for (let level = TOP; level >= 0; level -= 1) {
      for (const name in found[level]) found[level][name] += found[level + 1][name];
    }
    return found;
  });
  const { predicted: counted, common: cracked } = counts[0][0]; // everything is predicted
  return { levels, crack, near, reached, counts, counted, cracked };
}

/** The lowest level that is predicted at a threshold. */
export function levelOf({ nothing, threshold }) {
  if (nothing) return NEVER;
  let level = 0;
  while (level / TOP < threshold) level += 1;
  return level;
}

/** All scores by name, as Python's figure has them. */
export function scoresOf(work, level) {
  const scores = {};
  for (const radius of TOLERANCES) {
    const { predicted, right, found } = work.counts[radius][level];
    const empty = predicted + work.cracked === 0 ? 1 : 0; // nothing there and nothing said: all is well
    const precision = right / Math.max(predicted, 1) + empty, recall = found / Math.max(work.cracked, 1) + empty;
    scores[`precision@${radius}px`] = precision;
    scores[`recall@${radius}px`] = recall;
    scores[`f1@${radius}px`] = precision + recall ? 2 * precision * recall / (precision + recall) : 0;
  }
  const { predicted, common } = work.counts[0][level], either = predicted + work.cracked - common;
  scores.iou = either ? common / either : 1;
  scores.pixel_accuracy = (work.counted - either + common) / work.counted;
  return scores;
}

/** The scores at each threshold from 0 to 1, in hundredths. */
export function sweep(work) {
  return HUNDREDTHS.map((threshold) => scoresOf(work, levelOf({ threshold })));
}

/** The threshold from 0.01 to 0.99 that is best for F1, the lowest at a tie. */
export function bestOf(curve, tolerance) {
  const f1 = curve.map((scores) => scores[`f1@${tolerance}px`]).slice(1, -1);
  return HUNDREDTHS[1 + f1.indexOf(Math.max(...f1))];
}

/** What the answer makes of each pixel: keys of KINDS. */
export function kindsOf(work, level, tolerance) {
  const near = work.near[tolerance], reached = work.reached[tolerance];
  return work.levels.values.map((one, i) => {
    if (one < 0) return "void";
    if (work.crack.values[i]) return reached[i] >= level ? "found" : "missed";
    return one < level ? "ground" : near[i] ? "right" : "false alarm";
  });
}

const share = (part, whole, score) => (whole ? `${part} / ${whole} = ${score.toFixed(3)}`
  : `0 / 0, which counts as ${score}`);

/** What the figure says: of the answer beside all background, of the counts, and of the whole curve. */
export function sentences(work, curve, state) {
  const { tolerance } = state, level = levelOf(state), { predicted, right, found } = work.counts[tolerance][level];
  const best = bestOf(curve, tolerance), at = `${tolerance}\u00a0px`;
  const [here, nothing, top] = [scoresOf(work, level), scoresOf(work, NEVER), curve[HUNDREDTHS.indexOf(best)]];
  const f1 = (scores) => scores[`f1@${tolerance}px`].toFixed(3);
  const accuracy = (scores) => scores.pixel_accuracy.toFixed(3);
  return [
    `F1 at ${at} ${f1(here)}, pixel accuracy ${accuracy(here)}.`
    + ` All background: ${f1(nothing)} and ${accuracy(nothing)}.`,
    `At ${at}: precision = right / predicted = ${share(right, predicted, here[`precision@${tolerance}px`])};`
    + ` recall = found / true = ${share(found, work.cracked, here[`recall@${tolerance}px`])}.`,
    `From all background to the best threshold for F1 at ${at}, ${best.toFixed(2)}: F1 goes from ${f1(nothing)} to`
    + ` ${f1(top)}, pixel accuracy from ${accuracy(nothing)} to ${accuracy(top)}.`,
  ];
}

// ---- the picture ------------------------------------------------------------------------------------

const LOOK = `
  .top { font-size: 14px; }
  .choice { width: fit-content; }
  .choice span { padding: 6px 11px; }
  .top .button { padding: 0 12px; }
  [aria-pressed="true"] { border-color: var(--blue); box-shadow: inset 0 -4px var(--blue); font-weight: 600; }
  .slider { margin: 12px 0 4px; }
  .boards, .lower { display: grid; gap: 12px 20px; margin: 8px 0; }
  @container (min-width: 30rem) { .boards { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
  @container (min-width: 40rem) { .lower { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
  p { font-size: 14px; }
  canvas { border: 1px solid var(--line); }
  .legend, .key { display: flex; flex-wrap: wrap; gap: 2px 14px; }
  .told { margin: 12px 0; }
  .told p:first-child { font-size: 16px; font-weight: 600; }
  table { align-self: start; width: 100%; border-collapse: collapse; font-size: 14px; }
  caption { padding-bottom: 4px; text-align: left; }
  th, td { padding: 4px 5px; border-bottom: 1px solid var(--line); text-align: right; vertical-align: bottom; }
  tbody * { vertical-align: baseline; }
  th { font-weight: 600; line-height: 1.3; }
  tbody th { font-weight: 400; text-align: left; }
  td[colspan] { text-align: center; }
  .now { background: var(--tint); box-shadow: inset 0 -2px var(--blue); font-weight: 700; }
  @container (max-width: 24rem) { th, td { padding: 3px 2px; font-size: 12px; } }
  svg { max-width: 26rem; }
  svg text { fill: currentColor; font-size: 12px; }
  .up { text-anchor: end; dominant-baseline: central; }
  .below { text-anchor: middle; }
  path { fill: none; stroke: var(--curve); stroke-width: 2.5px; }
  circle { fill: var(--curve); }
  .f1 { --curve: var(--blue); }
  .iou { --curve: var(--vermillion); stroke-dasharray: 6 3; }
  .pixel_accuracy { --curve: currentColor; stroke-dasharray: 1.5 2.5; }
  .grid { --curve: var(--line); stroke-width: 0.5px; }
  .chosen { --curve: var(--orange); }
  .key svg { display: inline-block; width: 26px; height: 8px; margin-right: 5px; vertical-align: 2px; }
`;

const CURVES = ["f1", "iou", "pixel_accuracy"];
const FRAME = { left: 30, right: 262, top: 8, bottom: 168, nothing: 302 }; // in units of the plot's viewBox
const across = (threshold) => FRAME.left + threshold * (FRAME.right - FRAME.left);
const up = (score) => FRAME.bottom - score * (FRAME.bottom - FRAME.top);

/** A map under its title; `colour` gives [red, green, blue] for a value. */
function board() {
  const title = make("p"), canvas = make("canvas", { role: "img" });
  return {
    node: make("div", {}, title, canvas),
    show(words, height, width, values, colour) {
      title.textContent = canvas.ariaLabel = words;
      Object.assign(canvas, { height, width });
      canvas.style.maxWidth = `${26 * width / height}rem`; // a tall map is not taller than the screen
      const image = new ImageData(width, height);
      values.forEach((one, i) => image.data.set([...colour(one), 255], 4 * i));
      canvas.getContext("2d").putImageData(image, 0, 0);
    },
  };
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const PAINT = Object.fromEntries(Object.entries(KINDS).map(([name, hex]) => [name, rgb(hex)]));

/** The scores at each tolerance, and beside them those of all background. */
function table() {
  const head = (scope, text) => make("th", { scope, textContent: text });
  const tops = TOLERANCES.map((radius) => head("col", `${radius}\u00a0px`));
  const rows = [["precision", "precision"], ["recall", "recall"], ["f1", "F1"], ["iou", "IoU"],
    ["pixel_accuracy", "pixel accuracy"]].map(([name, words]) => {
    const names = name in { iou: 0, pixel_accuracy: 0 } ? [name] : TOLERANCES.map((radius) => `${name}@${radius}px`);
    const cells = names.map(() => make("td", { colSpan: names.length > 1 ? 1 : TOLERANCES.length })), last = make("td");
    return { names, cells, last, node: make("tr", {}, head("row", words), ...cells, last) };
  });
  const node = make("table", {}, make("caption", {}, "Scores by tolerance; the last two know none."),
    make("thead", {}, make("tr", {}, make("td"), ...tops, head("col", "all background"))),
    make("tbody", {}, ...rows.map((row) => row.node)));
  return {
    node,
    show(here, nothing, tolerance) {
      tops.forEach((top, radius) => { top.className = radius === tolerance ? "now" : ""; });
      for (const { names, cells, last } of rows) {
        names.forEach((name, i) => {
          cells[i].textContent = here[name].toFixed(3);
          cells[i].className = names.length > 1 && i === tolerance ? "now" : "";
        });
        last.textContent = nothing[names[0]].toFixed(3); // who predicts nothing is judged alike at each tolerance
      }
    },
  };
}

/** The scores against the threshold, and beside them, on their own, those of all background. */
function plot() {
  const node = svg("svg", { "aria-hidden": "true", viewBox: "0 0 328 204" }); // sentences and table say it all
  const text = (name, x, y, words) => svg("text", { class: name, x, y }, words);
  return {
    node,
    show(curve, here, nothing, state) {
      const key = (name) => (name === "f1" ? `f1@${state.tolerance}px` : name);
      const chosen = state.nothing ? FRAME.nothing : across(state.threshold);
      const dots = (x, scores, r) => CURVES.map((name) =>
        svg("circle", { class: name, cx: x, cy: up(scores[key(name)]), r }));
      node.replaceChildren(
        ...[0, 0.5, 1].flatMap((score) => [
          svg("path", { class: "grid", d: `M${FRAME.left} ${up(score)}H${FRAME.nothing + 8}` }),
          text("up", FRAME.left - 5, up(score), score),
          text("below", across(score), FRAME.bottom + 15, score)]),
        text("below", FRAME.nothing, FRAME.bottom + 15, "nothing"),
        text("below", across(0.5), FRAME.bottom + 31, "threshold"),
        svg("path", { class: "chosen", d: `M${chosen} ${FRAME.top}V${FRAME.bottom}` }),
        ...CURVES.map((name) => svg("path", { class: name,
          d: `M${curve.map((scores, i) => `${across(HUNDREDTHS[i])} ${up(scores[key(name)])}`).join("L")}` })),
        ...dots(FRAME.nothing, nothing, 4), ...dots(chosen, here, 5));
    },
  };
}

function render({ model, el }) {
  let now, work, curve, from = [];
  const { get, change, follow, reset } = stateOf(model, STATE);

  const threshold = slider("threshold", 0, 1, (one) => change({ nothing: false, threshold: one }));
  const [input, number] = ["input", "b"].map((name) => threshold.node.querySelector(name));
  input.step = 0.01;
  const tolerance = choice("tolerance", TOLERANCES.map((one) => [one, `${one}\u00a0px`]),
    (one) => change({ tolerance: one }));
  const best = button("best for F1", () => change({ nothing: false, threshold: bestOf(curve, now.tolerance) }));
  const nothing = button("answer nothing", () => change({ nothing: !now.nothing }));

  const boards = [board(), board()], scores = table(), curves = plot();
  const legend = Object.entries(KINDS).map(([name, colour]) =>
    make("span", {}, swatch(colour), name === "right" ? "right, beside the crack" : name));
  const told = [make("p"), make("p")], lesson = make("p");
  const key = ["", "IoU", "pixel accuracy"].map((words, i) => make("span", {},
    svg("svg", { "aria-hidden": "true", viewBox: "0 0 26 8" }, svg("path", { class: CURVES[i], d: "M0 4H26" })), words));
  openFigure(el, "Threshold, tolerance and scores", LOOK).append(
    make("div", { className: "top" }, named("tolerance", tolerance), best, nothing, reset),
    threshold.node,
    make("div", { className: "boards" }, ...boards.map(({ node }) => node)),
    make("p", { className: "legend" }, ...legend),
    make("div", { className: "told", ariaLive: "polite" }, ...told),
    make("div", { className: "lower" }, scores.node,
      make("div", {}, make("p", { className: "key" }, ...key), curves.node)),
    lesson);

  function draw() {
    now = get();
    const maps = [now.prediction, now.target];
    if (maps.some((one, i) => one !== from[i])) {
      from = maps;
      work = prepare(now);
      curve = sweep(work);
    }
    threshold.show(now.threshold);
    tolerance.show(now.tolerance);
    nothing.ariaPressed = now.nothing;
    number.textContent = input.ariaValueText = now.nothing ? "not used" : now.threshold.toFixed(2);

    const level = levelOf(now), { height, width, values } = unpack(now.prediction);
    boards[0].show("the probabilities (white: 1)", height, width, values, (one) => [one, one, one]);
    const words = now.nothing ? "all called background" : `called crack from ${now.threshold.toFixed(2)} on`;
    boards[1].show(`${words}; tolerance ${now.tolerance}\u00a0px`, height, width,
      kindsOf(work, level, now.tolerance), (kind) => PAINT[kind]);
    Object.keys(KINDS).forEach((kind, i) => {
      legend[i].hidden = kind === "ground" || (kind === "right" && !now.tolerance)
        || (kind === "void" && !work.levels.values.includes(-1));
    });
    key[0].lastChild.textContent = `F1 at ${now.tolerance}\u00a0px`;
    const here = scoresOf(work, level), background = scoresOf(work, NEVER);
    scores.show(here, background, now.tolerance);
    curves.show(curve, here, background, now);
    [told[0].textContent, told[1].textContent, lesson.textContent] = sentences(work, curve, now);
  }

  return follow(draw);
}

export default { render };
