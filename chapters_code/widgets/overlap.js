/* Overlap: how the stamps of a transposed convolution meet on a flat map of ones.  common.js stands before this file.

   First the sums, plain functions that the tests hold against Python; then the picture.  `state` has the names of the
   Python figure: kernel, kernel_size, seed, stride, tile. */

const STATE = ["kernel", "kernel_size", "seed", "stride", "tile"];
const MAP = [8, 10], LARGEST_KERNEL = 8, LARGEST_STRIDE = 4, LARGEST_SEED = 99; // as in overlap.py

const grid = (rows, columns, value) => range(rows).map((i) => range(columns).map((j) => value(i, j)));

/** Whole numbers from 1 to 9, as overlap.py rolls them; every product stays below 2^53. */
export function randomTaps(seed, count) {
  const modulus = 2 ** 31 - 1;
  let state = (1000003 * seed) % modulus;
  return range(count).map(() => {
    state = (16807 * state) % modulus;
    return 1 + Math.floor((9 * state) / modulus);
  });
}

/** The taps, row by row. */
export function weightOf({ kernel, kernel_size: size, seed }) {
  if (kernel === "ones") return grid(size, size, () => 1);
  if (kernel === "random") {
    const taps = randomTaps(seed, size * size);
    return grid(size, size, (i, j) => taps[i * size + j]);
  }
  const slope = Math.floor((size + 1) / 2);
  const tent = range(size).map((i) => 1 - Math.abs(i - (size - 1) / 2) / slope);
  return grid(size, size, (i, j) => tent[i] * tent[j]);
}

/** What the flat map comes out as: every pixel stamps the kernel, and what overlaps adds up.
    With a kernel of ones that is the number of stamps that reach each pixel. */
export function answerOf(state) {
  const { kernel_size: size, stride } = state, weight = weightOf(state);
  const [height, width] = MAP.map((side) => (side - 1) * stride + size);
  const canvas = grid(height, width, () => 0);
  for (const y of range(MAP[0])) for (const x of range(MAP[1])) {
    weight.forEach((row, i) => row.forEach((tap, j) => { canvas[y * stride + i][x * stride + j] += tap; }));
  }
  return canvas;
}

/** The taps that meet at one tile: [[row, column], ...]. */
export function tapsAt({ kernel_size: size, stride, tile }) {
  const along = (first) => range(size).filter((i) => i % stride === first);
  return along(tile[0]).flatMap((i) => along(tile[1]).map((j) => [i, j]));
}

/** The pattern inside: the sum of the taps that meet at each tile. */
export function tilesOf(state) {
  const weight = weightOf(state);
  return grid(state.stride, state.stride, (row, column) =>
    tapsAt({ ...state, tile: [row, column] }).reduce((sum, [i, j]) => sum + weight[i][j], 0));
}

export function meanOf(tiles) {
  return tiles.flat().reduce((sum, one) => sum + one, 0) / tiles.flat().length;
}

/** (largest tile − smallest tile) / mean; what is only rounding counts as 0. */
export function unevennessOf(state) {
  const tiles = tilesOf(state), found = (Math.max(...tiles.flat()) - Math.min(...tiles.flat())) / meanOf(tiles);
  return found < 1e-9 ? 0 : found;
}

/** First and last row or column of the inside, where the rim is not felt: [from, to). */
export function insideOf({ kernel_size: size, stride }, side) {
  return [Math.max(0, size - stride), Math.min((side - 1) * stride + size, side * stride)];
}

/** What the figure says: of the pattern, of the numbers, and of the tile that the reader looks at. */
export function sentences(state) {
  const { kernel, kernel_size: size, stride, tile: [row, column] } = state;
  const uneven = unevennessOf(state), tiles = tilesOf(state), mean = meanOf(tiles);
  const verdict = size < stride ? "the kernel is smaller than the stride, and some pixels get nothing."
    : uneven ? "a flat map comes out as a checkerboard."
      : "a flat map stays flat.";
  const [least, most] = [Math.min(...tiles.flat()), Math.max(...tiles.flat())].map((one) => numberText(one, 2));
  const meet = tapsAt(state).length;
  return [
    `Unevenness ${uneven.toFixed(2)}: ${verdict}`,
    (uneven ? `Inside: smallest ${least}, largest ${most}, mean ${numberText(mean, 2)}.`
        + " Unevenness is (largest − smallest) / mean." : `Inside: ${most} everywhere.`)
      + (kernel === "ones" ? " With all ones, the answer counts the stamps." : ""),
    `Tile row ${row}, column ${column}: `
      + (meet === 0 ? "no tap falls there." : meet === 1 ? `1 tap falls there: ${numberText(tiles[row][column], 2)}.`
        : `${meet} taps meet there, and add up to ${numberText(tiles[row][column], 2)}.`),
  ];
}

// ---- the picture ------------------------------------------------------------------------------------

const LOOK = `
  .choice { width: fit-content; }
  .boards { display: grid; gap: 16px 28px; margin: 14px 0; }
  @container (min-width: 36rem) { .boards { grid-template-columns: minmax(0, 5fr) minmax(0, 3fr); } }
  .side { display: grid; gap: 14px; align-content: start; }
  .side > * { max-width: 19rem; }
  .map { max-height: 36rem; touch-action: manipulation; cursor: crosshair; }
  .stamp { fill: var(--blue); }
  .pixel { shape-rendering: crispEdges; } /* or the page shines through between them */
  .inside { fill: none; stroke: var(--orange); stroke-width: 2px; vector-effect: non-scaling-stroke; }
  .dot { fill: var(--orange); stroke: #2b2b2b; stroke-width: 1px; vector-effect: non-scaling-stroke;
    pointer-events: none; }
  .tap { font-size: 0.36px; text-anchor: middle; dominant-baseline: central; }
  .tiles { display: grid; gap: 3px; grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); }
  .tiles button { position: relative; min-height: 40px; border: 1px solid var(--line); border-radius: 4px;
    font-size: 14px; }
  .tiles [aria-pressed="true"] { font-weight: 600; }
  .tiles [aria-pressed="true"]::after { content: ""; position: absolute; top: 3px; right: 3px; width: 9px; height: 9px;
    border: 1px solid #2b2b2b; border-radius: 50%; background: var(--orange); }
  .told { font-size: 14px; } .told strong { font-size: 16px; } .told span { display: block; }
`;

/** The grey of a number, beside the mean of the tiles: 0 is dark, the mean 65 %, twice the mean and above light. */
const lightness = (share) => Math.round(20 + 45 * Math.min(share, 1) + 30 * clamp(share - 1, 0, 1));
const grey = (percent) => `hsl(40 6% ${percent}%)`;
const inkOn = (percent) => (percent >= 46 ? "#000" : "#fff"); // 4.5 : 1 on every grey

/** So many stamps overlap in a row; each has a level of its own, and the answer begins under them. */
const levelsOf = ({ kernel_size: size, stride }) => Math.ceil(size / stride);
const topOf = (state) => levelsOf(state) + 0.5;

function render({ model, el }) {
  let now;
  const { get, change: set, follow, reset } = stateOf(model, STATE);
  /** Set what the reader chose; the tile that is looked at stays one of the stride's. */
  const change = (changes) => {
    const { stride, tile } = { ...now, ...changes };
    set({ ...changes, tile: tile.map((one) => Math.min(one, stride - 1)) });
  };
  const look = (row, column) => change({ tile: [row % now.stride, column % now.stride] });

  const controls = {
    kernel: choice("kernel", [["ones", "all ones"], ["bilinear", "bilinear"], ["random", "random"]],
      (kernel) => change({ kernel })),
    kernel_size: slider("kernel size", 1, LARGEST_KERNEL, (kernel_size) => change({ kernel_size })),
    stride: slider("stride", 1, LARGEST_STRIDE, (stride) => change({ stride })),
    seed: slider("seed", 1, LARGEST_SEED, (seed) => change({ seed })),
  };
  const [kernel, ...sliders] = Object.values(controls).map(({ node }) => node);
  // Sliders, tiles and sentences say all to those who do not see the pictures.
  const map = svg("svg", { class: "map", "aria-hidden": "true" });
  onPoint(map, (y, x) => {
    const row = Math.floor(y - topOf(now)), column = Math.floor(x);
    const [height, width] = MAP.map((side) => (side - 1) * now.stride + now.kernel_size);
    if (row >= 0 && column >= 0 && row < height && column < width) look(row, column);
  });
  const taps = svg("svg", { "aria-hidden": "true" });
  const kernelCaption = caption();
  const tiles = make("div", { className: "tiles", role: "group", ariaLabel: "Tiles. Arrow keys move." });
  tiles.addEventListener("keydown", (event) => {
    const { stride, tile: [row, column] } = now;
    const to = keyMove(event.key, row * stride + column, stride * stride, stride);
    if (to === null) return;
    event.preventDefault();
    look(Math.floor(to / stride), to);
    tiles.children[to].focus();
  });
  const told = telling(2);
  openFigure(el, "Overlapping stamps of a transposed convolution", LOOK).append(
    make("div", { className: "top" }, kernel, reset), make("div", { className: "sliders" }, ...sliders), told.node,
    make("div", { className: "boards" },
      make("div", {}, caption("Above: where each pixel of one row stamps the kernel. Below: what a flat map of"
        + ` ${MAP[0]} × ${MAP[1]} ones comes out as; in the frame, the rim is not felt.`), map),
      make("div", { className: "side" },
        make("div", {}, caption("The tiles inside. Choose one: a dot marks it, its pixels and its taps."), tiles),
        make("div", {}, kernelCaption, taps))));

  /** The stamps along one row, and under them, column by column, the answer. */
  function drawMap(answer, mean) {
    const { kernel_size: size, stride, tile } = now, levels = levelsOf(now), top = topOf(now);
    const [[above, below], [left, right]] = MAP.map((side) => insideOf(now, side));
    put(map, { viewBox: `-0.5 -0.2 ${answer[0].length + 1} ${top + answer.length + 0.5}` });
    map.replaceChildren(
      ...range(MAP[1]).map((i) => svg("rect", {
        class: "stamp", x: i * stride + 0.06, y: i % levels + 0.1, width: size - 0.12, height: 0.8 })),
      ...answer.flatMap((row, i) => row.map((value, j) => svg("rect", {
        class: "pixel", x: j, y: top + i, width: 1, height: 1, fill: grey(lightness(value / mean)) }))),
      ...answer.flatMap((row, i) => row.flatMap((_, j) => (i % stride === tile[0] && j % stride === tile[1]
        ? [svg("circle", { class: "dot", cx: j + 0.5, cy: top + i + 0.5, r: 0.2 })] : []))),
      svg("rect", { class: "inside", x: left, y: top + above, width: right - left, height: below - above }),
    );
  }

  /** The kernel with its numbers; the taps of the chosen tile have a dot. */
  function drawTaps() {
    const weight = weightOf(now), largest = Math.max(...weight.flat());
    put(taps, { viewBox: `0 0 ${now.kernel_size} ${now.kernel_size}` });
    taps.style.maxWidth = `${3 * now.kernel_size}rem`;
    taps.replaceChildren(
      ...weight.flatMap((row, i) => row.flatMap((tap, j) => {
        const percent = Math.round(30 + 60 * tap / largest);
        return [svg("rect", { x: j + 0.02, y: i + 0.02, width: 0.96, height: 0.96, fill: grey(percent) }),
          svg("text", { class: "tap", x: j + 0.5, y: i + 0.54, fill: inkOn(percent) },
            numberText(tap, 2).replace(/^0\./, "."))]; // as wide as the cell allows
      })),
      ...tapsAt(now).map(([i, j]) => svg("circle", { class: "dot", cx: j + 0.85, cy: i + 0.15, r: 0.11 })),
    );
  }

  function draw() {
    now = get();
    const { kernel_size: size, stride, tile } = now, sums = tilesOf(now), mean = meanOf(sums);
    for (const [name, control] of Object.entries(controls)) control.show(now[name]);
    controls.seed.node.hidden = now.kernel !== "random";

    drawMap(answerOf(now), mean);
    drawTaps();
    kernelCaption.textContent = `The kernel, ${size} × ${size}.`;
    tiles.style.setProperty("--columns", stride);
    const chosen = tile[0] * stride + tile[1];
    fit(tiles, stride ** 2, (i) => button("", () => look(Math.floor(i / now.stride), i), "tile")).forEach((one, i) => {
      const value = sums.flat()[i], percent = lightness(value / mean);
      one.textContent = numberText(value, 2);
      one.style.cssText = `background: ${grey(percent)}; color: ${inkOn(percent)}`;
      one.ariaLabel = `tile row ${Math.floor(i / stride)}, column ${i % stride}: ${one.textContent}`;
      one.ariaPressed = i === chosen;
      one.tabIndex = i === chosen ? 0 : -1;
    });
    told.show(sentences(now));
  }

  return follow(draw);
}

export default { render };
