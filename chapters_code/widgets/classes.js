/* Threshold and class: what a network may say, and how its answer is scored.  common.js stands before this file.

   First the sums, plain functions that the tests hold against Python; then the picture.  `state` has the names of the
   Python figure: threshold, shown, void, truth (24 × 36 class numbers), scores (4 × 24 × 36 percent). */

const STATE = ["threshold", "shown", "void", "truth", "scores"];
const CLASSES = ["background", "car", "person", "bird"], VOID = 255; // as in classes.py, and so are the colours
const COLOURS = { 0: "#3c434c", 1: "#56b4e9", 2: "#e69f00", 3: "#cc79a7", [VOID]: "#e0e0c0" };
const KINDS = { neither: "#aeb4ba", both: "#0072b2", missed: "#f0e442", invented: "#d55e00", void: "#e0e0c0" };

/** The truth as it is counted; 255 is left out. */
export function targetOf({ truth, void: border }) {
  return truth.map((row) => row.map((one) => (one === VOID && border === "background" ? 0 : one)));
}

/** The class named in each cell: the surest object if it is sure enough, else background. */
export function answerOf({ threshold, scores }) {
  return scores[0].map((row, i) => row.map((_, j) => {
    const objects = scores.slice(1).map((one) => one[i][j]), sure = Math.max(...objects);
    return sure >= threshold ? 1 + objects.indexOf(sure) : 0;
  }));
}

/** How many cells of each true class (row) got each answer (column). */
export function confusion(target, answer) {
  const matrix = CLASSES.map(() => CLASSES.map(() => 0));
  target.forEach((row, i) => row.forEach((one, j) => { if (one !== VOID) matrix[one][answer[i][j]] += 1; }));
  return matrix;
}

const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

/** Of one class: cells that both name, that only the truth names, that only the answer names; and the IoU. */
export function tally(matrix, number) {
  const both = matrix[number][number];
  const missed = total(matrix[number]) - both, invented = total(matrix.map((row) => row[number])) - both;
  return { both, missed, invented, iou: both / (both + missed + invented) };
}

/** Pixel accuracy and mean IoU.  Each class is somewhere in the street, so none is left out of the mean. */
export function score(matrix) {
  return {
    accuracy: total(matrix.map((row, i) => row[i])) / total(matrix.flat()),
    meanIou: total(matrix.map((_, i) => tally(matrix, i).iou)) / matrix.length,
  };
}

/** What the answer makes of the class that is shown, cell by cell: a key of KINDS. */
export function foundOf(state) {
  const number = CLASSES.indexOf(state.shown), answer = answerOf(state);
  return targetOf(state).map((row, i) => row.map((one, j) => {
    if (one === VOID) return "void";
    if (one === number) return answer[i][j] === number ? "both" : "missed";
    return answer[i][j] === number ? "invented" : "neither";
  }));
}

const percent = (share) => `${(100 * share).toFixed(0)}\u00a0%`;

/** What the figure says: of the shown class, and of the two scores beside those of background everywhere. */
export function sentences(state) {
  const target = targetOf(state), matrix = confusion(target, answerOf(state));
  const { both, missed, invented, iou } = tally(matrix, CLASSES.indexOf(state.shown));
  const here = score(matrix), nothing = score(confusion(target, target.map((row) => row.map(() => 0))));
  return [
    `Pixel accuracy ${percent(here.accuracy)}, mean IoU ${here.meanIou.toFixed(2)}.`
    + ` Background everywhere: ${percent(nothing.accuracy)} and ${nothing.meanIou.toFixed(2)}.`,
    `${state.shown}: found ${both}, missed ${missed}, invented ${invented};`
    + ` IoU = ${both} / (${both} + ${missed} + ${invented}) = ${iou.toFixed(2)}`,
  ];
}

const LOOK = `
  .top { font-size: 14px; }
  .choice { flex-wrap: wrap; width: fit-content; }
  .choice span { padding: 6px 11px; }
  .slider { margin: 12px 0 4px; }
  .boards { display: grid; grid: auto-flow / repeat(2, minmax(0, 1fr)); gap: 8px 12px; }
  .boards p { display: flex; min-height: 42px; align-items: end; font-size: 14px; line-height: 1.5; }
  canvas { aspect-ratio: 3 / 2; border-radius: 3px; }
  .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 8px 0 12px; font-size: 14px; }
  table { border-spacing: 2px; margin-top: 12px; font-size: 14px; }
  caption { padding-bottom: 4px; text-align: left; }
  th, td { padding: 2px 8px; text-align: right; border: 2px solid transparent; border-radius: 4px; }
  th { font-size: 13px; line-height: 1.3; }
  td { border-color: var(--line); }
  th[scope="row"] { border: 0 solid; border-left-width: 10px; border-radius: 0; text-align: left; }
  .corner { border: 0; }
  .kind { border-color: var(--kind); background: color-mix(in srgb, var(--kind) 22%, transparent); }
  .now { font-weight: 700; }
  @container (min-width: 36rem) { .boards { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
  @container (max-width: 24rem) {
    td, th { padding: 1px 2px; font-size: 12px; }
    thead th { writing-mode: vertical-rl; text-align: end; }
  }
`;

/** A picture of cells under its title. */
function board() {
  const title = make("p"), canvas = make("canvas", { role: "img", width: 36, height: 24 });
  const brush = canvas.getContext("2d");
  return {
    node: make("div", {}, title, canvas),
    show(words, rows, colour) {
      canvas.ariaLabel = title.textContent = words;
      rows.forEach((row, i) => row.forEach((one, j) => {
        brush.fillStyle = colour(one);
        brush.fillRect(j, i, 1, 1);
      }));
    },
  };
}

/** The confusion matrix: rows of the truth, columns of the answer, and each class's IoU. */
function table() {
  const heads = CLASSES.map((name) => make("th", { scope: "col" }, name));
  const cells = CLASSES.map(() => CLASSES.map(() => make("td")));
  const rows = CLASSES.map((name, i) => make("th", { scope: "row" }, name));
  rows.forEach((head, i) => head.style.setProperty("border-left-color", COLOURS[i]));
  const ious = CLASSES.map(() => make("td"));
  const node = make("table", {},
    make("caption", {}, "Cells by truth (rows) and answer (columns)"),
    make("thead", {},
      make("tr", {}, make("td", { className: "corner" }), ...heads, make("th", { scope: "col" }, "IoU"))),
    make("tbody", {}, ...rows.map((head, i) => make("tr", {}, head, ...cells[i], ious[i]))));
  return {
    node,
    show(matrix, number) {
      matrix.forEach((row, i) => row.forEach((count, j) => {
        const kind = i === number ? (j === number ? "both" : "missed") : (j === number ? "invented" : "");
        cells[i][j].textContent = count;
        cells[i][j].className = kind && (kind === "both" ? "kind now" : "kind");
        cells[i][j].style.setProperty("--kind", kind ? KINDS[kind] : "");
      }));
      ious.forEach((cell, i) => {
        cell.textContent = tally(matrix, i).iou.toFixed(2);
        cell.className = rows[i].className = heads[i].className = i === number ? "now" : "";
      });
    },
  };
}

function render({ model, el }) {
  const { get, change, follow, reset } = stateOf(model, STATE);
  const controls = {
    shown: choice("class to look at", CLASSES.map((one) => [one, one]), (shown) => change({ shown })),
    void: choice("void border", [["left out", "left out"], ["background", "counted as background"]],
      (border) => change({ void: border })),
    threshold: slider("threshold, in percent", 0, 100, (threshold) => change({ threshold })),
  };
  const boards = { truth: board(), sure: board(), answer: board(), found: board() };
  const counts = table(), told = telling(1);
  const legend = [
    ...CLASSES.map((name, i) => [COLOURS[i], name]), [COLOURS[VOID], "void"],
    ...["both", "missed", "invented"].map((kind) => [KINDS[kind], kind === "both" ? "found" : kind]),
  ];
  openFigure(el, "Threshold and class", LOOK).append(
    make("div", { className: "top" }, named("class to look at", controls.shown),
      named("void border", controls.void), reset),
    controls.threshold.node,
    make("div", { className: "boards" }, ...Object.values(boards).map(({ node }) => node)),
    make("p", { className: "legend" }, ...legend.map(([colour, name]) => make("span", {}, swatch(colour), name))),
    told.node, counts.node);

  function draw() {
    const state = get();
    for (const [name, control] of Object.entries(controls)) control.show(state[name]);
    const number = CLASSES.indexOf(state.shown), target = targetOf(state), answer = answerOf(state);
    boards.truth.show("the truth", target, (one) => COLOURS[one]);
    boards.sure.show(`sure of ${state.shown} (white: 100\u00a0%)`, state.scores[number],
      (one) => `hsl(210 8% ${Math.round(12 + 0.84 * one)}%)`);
    boards.answer.show(`the answer, from ${state.threshold}\u00a0% on`, answer, (one) => COLOURS[one]);
    boards.found.show(`${state.shown}: found, missed, invented`, foundOf(state), (one) => KINDS[one]);
    counts.show(confusion(target, answer), number);
    told.show(sentences(state));
  }

  return follow(draw);
}

export default { render };
