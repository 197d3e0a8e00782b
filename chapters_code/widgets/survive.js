/* Survive: a thin crack under five ways to shrink.  common.js stands before this file.

   First the sums, plain functions that the tests hold against PyTorch; then the picture.  `state` has the names of
   the Python figure: place, slope, width, ink, kernel, tap.  A picture is a list of rows. */

const STATE = ["place", "slope", "width", "ink", "kernel", "tap"];
const HEIGHT = 8, WIDTH = 18, PLACES = 9; // as in survive.py

const DRIFTS = { straight: () => 0, slanted: (row) => Math.floor(row / 2) - 2, diagonal: (row) => row - 4 };
const KERNELS = {
  centre: [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
  mean: Array(3).fill(Array(3).fill(1 / 9)),
  edge: [[-1 / 8, -1 / 8, -1 / 8], [-1 / 8, 1, -1 / 8], [-1 / 8, -1 / 8, -1 / 8]],
};
const TAPS = {
  "top left": [[1, 0], [0, 0]], "top right": [[0, 1], [0, 0]],
  "bottom left": [[0, 0], [1, 0]], "bottom right": [[0, 0], [0, 1]],
};
const BINOMIAL = [[1 / 16, 2 / 16, 1 / 16], [2 / 16, 4 / 16, 2 / 16], [1 / 16, 2 / 16, 1 / 16]];

const picture = (height, width, pixel) =>
  range(height).map((i) => range(width).map((j) => pixel(i, j)));

/** The first column of the crack in a row. */
const columnOf = ({ place, slope }, row) => 4 + place + DRIFTS[slope](row);

/** The road with its crack: 0 is pavement, -1 a dark crack, 1 a bright one. */
export function road(state) {
  return picture(HEIGHT, WIDTH, (i, j) => {
    const from = columnOf(state, i);
    if (j < from || j >= from + state.width) return 0;
    return state.ink === "dark" ? -1 : 1;
  });
}

/** The numbers under a window of `side` pixels; `outside` gives what lies beyond the edge. */
function windowOf(x, top, left, side, outside) {
  return picture(side, side, (i, j) => x[top + i]?.[left + j] ?? outside(x, top + i, left + j));
}
const zero = () => 0; // the padding of a convolution
const nearest = (x, i, j) => x[clamp(i, 0, x.length - 1)][clamp(j, 0, x[0].length - 1)]; // the padding of a blur

/** A convolution of one channel; windows of an odd side are centred, those of an even side lie side by side. */
function convolve(x, kernel, stride, outside = zero) {
  const side = kernel.length, before = Math.floor((side - 1) / 2);
  return picture(x.length / stride, x[0].length / stride, (i, j) =>
    windowOf(x, i * stride - before, j * stride - before, side, outside)
      .flat().reduce((sum, number, at) => sum + number * kernel[Math.floor(at / side)][at % side], 0));
}

function maxPool(x) {
  return picture(x.length / 2, x[0].length / 2, (i, j) => Math.max(...windowOf(x, 2 * i, 2 * j, 2, zero).flat()));
}

/** The five outputs, by name: those of Python's `Survive.outputs`. */
export function shrink(state) {
  const x = road(state), kernel = KERNELS[state.kernel];
  return {
    "max pooling": maxPool(x),
    "average pooling": convolve(x, [[1 / 4, 1 / 4], [1 / 4, 1 / 4]], 2),
    "2 × 2, stride 2": convolve(x, TAPS[state.tap], 2),
    "3 × 3, stride 2": convolve(x, kernel, 2),
    "blur, stride 2": convolve(x, BINOMIAL, 2, nearest),
  };
}

/** A number for each output: that of each row, averaged over the rows. */
function byRow(state, ofRow) {
  return Object.fromEntries(Object.entries(shrink(state)).map(([name, rows]) =>
    [name, rows.reduce((sum, row) => sum + ofRow(row), 0) / rows.length]));
}

/** How strongly each output shows the crack: the strongest number of a row. */
export const contrasts = (state) => byRow(state, (row) => Math.max(...row.map(Math.abs)));

/** How much of the crack is in each output: all numbers of a row added up, a dark crack counted as bright. */
export const totals = (state) => byRow(state, (row) =>
  row.reduce((sum, number) => sum + number, 0) * (state.ink === "dark" ? -1 : 1));

const percent = (share) => `${Math.round(100 * share)} %`;
const hundredths = (number) => number.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "−");

/** Between which limits a number lies over all places; in the words of the page, whether it is a matter of luck. */
export function limits(numbers, text) {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)].map(text);
  return least === most ? "the same in all places" : `luck: ${least} to ${most}`;
}

const LOOK = `
  .named p, .title { font-size: 14px; }
  .choice { flex-wrap: wrap; width: fit-content; }
  .board { display: grid; grid: auto-flow var(--cell) / repeat(var(--columns), var(--cell)); gap: 1px; width: max-content;
    --cell: min(24px, (100cqw - 19px) / 18); }
  /* Of the grey between pixels and around them, which a dark crack and a dark page both stand out from. */
  .board { padding: 1px; border-radius: 2px; background: hsl(40 6% 46%); }
  .outputs { display: flex; flex-wrap: wrap; gap: 16px; margin-top: 16px; }
  .outputs .board { --cell: min(24px, (100cqw - 38px) / 18); } /* two stand side by side on a phone */
  .output { width: min-content; }
  .output strong { display: block; font-weight: 600; }
  .output span { display: block; font-size: 13px; line-height: 1.35; }
  .bar { height: 6px; margin: 4px 0; border: 1px solid var(--line); border-radius: 3px; overflow: hidden; }
  .bar i { display: block; height: 100%; background: var(--blue); }
  .gone .bar { border-color: var(--vermillion); }
  .aloud { position: absolute; height: 1px; overflow: hidden; clip-path: inset(50%); }
`;

/** A picture in greys: pavement in the middle, dark and bright as they are. */
function board(className) {
  const node = make("div", { className: `board ${className}`, role: "img" });
  return {
    node,
    show(rows, label) {
      node.style.setProperty("--columns", rows[0].length);
      node.ariaLabel = label;
      fit(node, rows.flat().length, () => make("span")).forEach((cell, i) => {
        const value = clamp(rows.flat()[i], -1, 1);
        cell.style.background = `hsl(40 6% ${Math.round(62 + (value < 0 ? 44 : 35) * value)}%)`;
      });
    },
  };
}

/** One way to shrink: its picture, and what is left of the crack. */
function output(name) {
  const { node, show } = board("");
  const bar = make("i"), strongest = make("strong"), contrasts = make("span"), sum = make("strong"), sums = make("span");
  const all = make("div", { className: "output" }, make("p", { className: "title" }, name), node,
    make("div", { className: "bar", "aria-hidden": "true" }, bar), strongest, contrasts, sum, sums);
  return {
    node: all,
    /** Its picture; contrast and total here, and in all places. */
    show(rows, { contrast, total }, everywhere) {
      show(rows, `${name}: ${percent(contrast)} of the contrast is left`);
      all.className = contrast < 0.005 ? "output gone" : "output";
      bar.style.width = `${100 * Math.min(contrast, 1)}%`;
      strongest.textContent = contrast < 0.005 ? "contrast gone" : `contrast ${percent(contrast)}`;
      contrasts.textContent = limits(everywhere.map((one) => one.contrast), percent);
      sum.textContent = `total ${hundredths(total)}`;
      sums.textContent = limits(everywhere.map((one) => one.total), hundredths);
    },
  };
}

function render({ model, el }) {
  let state;
  const { get, change, follow, reset } = stateOf(model, STATE);
  const choices = (name, values) => choice(name, values.map((one) => [one, one]), (value) => change({ [name]: value }));
  const controls = {
    slope: choices("slope", Object.keys(DRIFTS)),
    ink: choices("ink", ["dark", "bright"]),
    kernel: choices("kernel", Object.keys(KERNELS)),
    tap: choices("tap", Object.keys(TAPS)),
    place: slider("place", 0, PLACES - 1, (place) => change({ place })),
    width: slider("width", 1, 3, (width) => change({ width })),
  };
  const asphalt = board("road"), outputs = {};
  const shelf = make("div", { className: "outputs" }), aloud = make("p", { className: "aloud", ariaLive: "polite" });
  openFigure(el, "Does the crack survive?", LOOK).append(
    make("div", { className: "top" }, named("crack", controls.slope), named("ink", controls.ink),
      named("kernel of the 3 × 3", controls.kernel), named("what the 2 × 2 keeps", controls.tap), reset),
    make("div", { className: "sliders" }, controls.place.node, controls.width.node),
    make("p", { className: "title" }, "The road. Drag the crack, or move the slider."), asphalt.node,
    make("p", { className: "title" }, "Contrast: the strongest number of a row. Total: all numbers of a row added up,"
      + " where the crack counts 1 a pixel. Luck: it depends on the place."),
    shelf, aloud);

  /** Bring the crack under the finger. */
  function drag(event) {
    const box = asphalt.node.getBoundingClientRect();
    const row = clamp(Math.floor((event.clientY - box.top) / box.height * HEIGHT), 0, HEIGHT - 1);
    const column = Math.floor((event.clientX - box.left) / box.width * WIDTH);
    const start = columnOf({ ...state, place: 0 }, row) + Math.floor((state.width - 1) / 2);
    const place = clamp(column - start, 0, PLACES - 1);
    if (place !== state.place) change({ place });
  }
  onDrag(asphalt.node, drag);

  function draw() {
    state = get();
    for (const [name, control] of Object.entries(controls)) control.show(state[name]);
    asphalt.show(road(state), `The road, ${HEIGHT} × ${WIDTH} pixels, with the crack at place ${state.place}`);
    const everywhere = range(PLACES).map((place) => {
      const there = { ...state, place };
      return { contrasts: contrasts(there), totals: totals(there) };
    });
    const of = (name, { contrasts: strongest, totals: sums }) => ({ contrast: strongest[name], total: sums[name] });
    const here = everywhere[state.place];
    for (const [name, rows] of Object.entries(shrink(state))) {
      if (!outputs[name]) shelf.append((outputs[name] = output(name)).node);
      outputs[name].show(rows, of(name, here), everywhere.map((one) => of(name, one)));
    }
    const left = Object.entries(here.contrasts).map(([name, contrast]) =>
      `${name} ${percent(contrast)}, total ${hundredths(here.totals[name])}`);
    aloud.textContent = `Place ${state.place}. Left of the contrast: ${left.join("; ")}.`;
  }

  return follow(draw);
}

export default { render };
