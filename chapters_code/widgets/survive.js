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

/** How strongly each output shows the crack: the strongest number of each row, averaged over the rows. */
export function contrasts(state) {
  return Object.fromEntries(Object.entries(shrink(state)).map(([name, rows]) =>
    [name, rows.reduce((sum, row) => sum + Math.max(...row.map(Math.abs)), 0) / rows.length]));
}

const percent = (share) => `${Math.round(100 * share)} %`;

const LOOK = `
  .choices { display: flex; flex-wrap: wrap; gap: 4px 20px; }
  .choices p, .title { font-size: 14px; }
  .choices .choice { flex-wrap: wrap; width: fit-content; }
  .board { display: grid; grid: auto-flow var(--cell) / repeat(var(--columns), var(--cell)); gap: 1px; width: max-content;
    --cell: min(24px, (100cqw - 17px) / 18); }
  .road { cursor: ew-resize; touch-action: pan-y; border-radius: 4px; }
  .outputs { display: flex; flex-wrap: wrap; gap: 16px; margin-top: 16px; }
  .outputs .board { --cell: min(24px, (100cqw - 34px) / 18); } /* two stand side by side on a phone */
  .output { width: min-content; }
  .output strong { font-weight: 600; }
  .output span { display: block; font-size: 13px; }
  .bar { height: 6px; margin: 4px 0; border: 1px solid var(--line); border-radius: 3px; overflow: hidden; }
  .bar i { display: block; height: 100%; background: var(--blue); }
  .gone .bar { border-color: var(--vermillion); }
  .aloud { position: absolute; clip-path: inset(50%); }
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
  const here = make("strong"), bar = make("i"), anywhere = make("span");
  const all = make("div", { className: "output" }, make("p", { className: "title" }, name), node,
    make("div", { className: "bar", "aria-hidden": "true" }, bar), here, anywhere);
  return {
    node: all,
    show(rows, contrast, least, most) {
      show(rows, `${name}: ${percent(contrast)} of the contrast is left`);
      all.className = contrast < 0.005 ? "output gone" : "output";
      bar.style.width = `${100 * Math.min(contrast, 1)}%`;
      here.textContent = contrast < 0.005 ? "gone" : `${percent(contrast)} left`;
      const same = percent(least) === percent(most);
      anywhere.textContent = same ? "the same in all places" : `${percent(least)} to ${percent(most)}, by place`;
    },
  };
}

function render({ model, el }) {
  let state;
  const { get, change, follow } = stateOf(model, STATE);
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
    make("div", { className: "choices" }, named("crack", controls.slope), named("ink", controls.ink),
      named("kernel of the 3 × 3", controls.kernel), named("what the 2 × 2 keeps", controls.tap)),
    make("div", { className: "sliders" }, controls.place.node, controls.width.node),
    make("p", { className: "title" }, "The road. Drag the crack, or move the slider."), asphalt.node, shelf, aloud);

  /** Bring the crack under the finger. */
  function drag(event) {
    const box = asphalt.node.getBoundingClientRect();
    const row = clamp(Math.floor((event.clientY - box.top) / box.height * HEIGHT), 0, HEIGHT - 1);
    const column = Math.floor((event.clientX - box.left) / box.width * WIDTH);
    const start = columnOf({ ...state, place: 0 }, row) + Math.floor((state.width - 1) / 2);
    const place = clamp(column - start, 0, PLACES - 1);
    if (place !== state.place) change({ place });
  }
  asphalt.node.addEventListener("pointerdown", (event) => {
    asphalt.node.setPointerCapture(event.pointerId);
    drag(event);
  });
  asphalt.node.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });

  function draw() {
    state = get();
    for (const [name, control] of Object.entries(controls)) control.show(state[name]);
    asphalt.show(road(state), `The road, ${HEIGHT} × ${WIDTH} pixels, with the crack at place ${state.place}`);
    const here = contrasts(state);
    const everywhere = range(PLACES).map((place) => contrasts({ ...state, place }));
    for (const [name, rows] of Object.entries(shrink(state))) {
      if (!outputs[name]) shelf.append((outputs[name] = output(name)).node);
      const found = everywhere.map((one) => one[name]);
      outputs[name].show(rows, here[name], Math.min(...found), Math.max(...found));
    }
    const left = Object.entries(here).map(([name, contrast]) => `${name} ${percent(contrast)}`);
    aloud.textContent = `Place ${state.place}. Left of the contrast: ${left.join("; ")}.`;
  }

  return follow(draw);
}

export default { render };
