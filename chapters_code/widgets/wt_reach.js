/* WTConv reach: how far each level looks from one pixel, and what it costs.  common.js stands before this file.

   First the sums, plain functions that the tests hold against Python; then the picture.  `state` has the names of the
   Python figure: column, height, kernel_size, levels, row, width. */

const STATE = ["column", "height", "kernel_size", "levels", "row", "width"];
const MOST_LEVELS = 5, KERNELS = [3, 5, 7, 9]; // as in wt_reach.py
// 80 × 120 and 40 × 60 are 320 × 480 pixels at stride 4 and 8; from 56 to 7 go the maps of a picture of 224 × 224.
const MAPS = [[80, 120], [56, 56], [40, 60], [28, 28], [13, 21], [7, 7]];

const LEVELS = range(MOST_LEVELS).map((i) => i + 1);

/** Side of the field of the last level. */
export const reachOf = ({ kernel_size: size, levels }) => size * 2 ** levels;

/** The field of the kernel at full size, then of each level: [top row, left column, side]. */
export function squaresOf({ kernel_size: size, levels, row, column }) {
  return range(levels + 1).map((level) => {
    const block = 2 ** level, before = Math.floor(size / 2) * block;
    const [top, left] = [row, column].map((at) => Math.floor(at / block) * block - before);
    return [top, left, size * block];
  });
}

/** Numbers that a channel learns: in WTConv, kernels, scales and one bias; in the one kernel, its taps and one bias. */
export function parametersOf({ kernel_size: size, levels }) {
  return [size ** 2 + 1 + 1 + levels * 4 * (size ** 2 + 1), reachOf({ kernel_size: size, levels }) ** 2 + 1];
}

/** The smallest number of levels at which WTConv has fewer parameters. */
export function paysFrom(kernel_size) {
  return LEVELS.find((levels) => {
    const [small, big] = parametersOf({ kernel_size, levels });
    return small < big;
  });
}

/** For one channel of the map.  Each number of a band is the sum of 4 pixels, has a kernel, and goes back to 4 pixels. */
export function multiplyAddsOf(state) {
  const { kernel_size: size, levels } = state;
  let { height, width } = state;
  let sum = size ** 2 * height * width;
  for (const _ of range(levels)) {
    [height, width] = [Math.ceil(height / 2), Math.ceil(width / 2)];
    sum += 4 * (4 + size ** 2 + 4) * height * width;
  }
  return [sum, reachOf(state) ** 2 * state.height * state.width];
}

/** How many pixels of a square are on the map. */
export function onMap([top, left, side], { height, width }) {
  const along = (start, end) => Math.min(start + side, end) - Math.max(start, 0);
  return along(top, height) * along(left, width);
}

const tenths = (number) => whole(Number(number.toFixed(1)));
const work = (count) => (count < 1e6 ? whole(count) : `${tenths(count / 1e6)} million`);
const plural = (levels) => `${levels} level${levels === 1 ? "" : "s"}`;

/** What the figure says: of reach and parameters, of where it pays, and of the pixel. */
export function sentences(state) {
  const { kernel_size: size, levels, row, column } = state;
  const reach = reachOf(state), [small, big] = parametersOf(state), from = paysFrom(size), block = 2 ** levels;
  const [top, left] = squaresOf(state).at(-1), seen = onMap([top, left, reach], state);
  return [
    `${plural(levels)} of ${square(size)}: ${whole(small)} parameters. One kernel of ${square(reach)}: ${whole(big)}.`,
    small < big ? `WTConv saves ${whole(big - small)} per channel; it pays from ${plural(from)} on.`
      : `WTConv does not pay yet: ${whole(small - big)} more per channel. It pays from ${plural(from)} on.`,
    `Row ${row}, column ${column} sees rows ${whole(top)} to ${whole(top + reach - 1)}, columns ${whole(left)} to`
      + ` ${whole(left + reach - 1)}, as does all of its block of ${square(block)}; in the next block the field has`
      + ` moved by ${block}.`
      + (seen < reach ** 2 ? ` Of its ${whole(reach ** 2)} pixels, ${whole(seen)} are on the map.` : ""),
  ];
}

// ---- the picture ------------------------------------------------------------------------------------

const LOOK = `
  .named { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 12px; }
  .named p { min-width: 3.2rem; font-size: 14px; }
  .choice { width: fit-content; max-width: 100%; flex-wrap: wrap; }
  .sliders { --narrowest: 7rem; }
  .told { font-size: 14px; } .told strong { font-size: 16px; } .told span { display: block; }
  .boards { display: grid; gap: 16px 28px; margin: 14px 0; }
  @container (min-width: 40rem) { .boards { grid-template-columns: minmax(0, 5fr) minmax(0, 4fr); } }
  .side { display: grid; gap: 14px; align-content: start; }
  .side > * { max-width: 24rem; }
  .caption i { display: inline-block; width: 11px; height: 11px; margin: 0 3px -1px 0; border: 1.5px solid; }
  .caption .field { border-color: var(--blue); background: rgb(0 114 178 / 35%); }
  .caption .block { border-color: var(--orange); }
  .caption .big { border: 1.5px dashed var(--vermillion); }
  .map { max-height: 34rem; touch-action: manipulation; cursor: crosshair; }
  .map > * { vector-effect: non-scaling-stroke; }
  .outside { fill: var(--tint); }
  .edge { fill: none; stroke: currentColor; stroke-width: 1.5px; }
  .lines { fill: none; stroke: var(--line); stroke-width: 0.5px; }
  .square { fill: var(--blue); fill-opacity: 0.12; stroke: var(--blue); stroke-width: 1.5px; }
  .block, .big { fill: none; stroke: var(--orange); stroke-width: 2px; pointer-events: none; }
  .big { stroke: var(--vermillion); stroke-dasharray: 5 3; }
  .spot { fill: var(--orange); stroke: #2b2b2b; stroke-width: 1px; pointer-events: none; }
  text { fill: currentColor; pointer-events: none; }
  .level { text-anchor: middle; dominant-baseline: central; }
  table { width: 100%; border-collapse: collapse; font-size: 14px; }
  th, td { padding: 4px 6px; border-bottom: 1px solid var(--line); text-align: right; vertical-align: bottom; }
  th { font-weight: 600; }
  tbody th { font-weight: 400; text-align: left; }
  td.fewer { font-weight: 600; }
  .plot text { font-size: 12px; }
  .plot .up { text-anchor: end; dominant-baseline: central; }
  .plot .below { text-anchor: middle; }
  .plot .grid { fill: none; stroke: var(--line); stroke-width: 0.5px; }
  .plot .pays { fill: var(--tint); }
  .plot path.small { fill: none; stroke: var(--blue); stroke-width: 2px; }
  .plot path.large { fill: none; stroke: var(--vermillion); stroke-width: 2px; stroke-dasharray: 5 3; }
  .plot circle { stroke: none; }
  .plot circle.small { fill: var(--blue); }
  .plot circle.large { fill: var(--vermillion); }
  .plot .chosen { stroke: currentColor; stroke-width: 2px; }
`;

// The plot: its frame in units of its viewBox, and what the axes span, the same for all settings.
const FRAME = { left: 56, right: 316, top: 8, bottom: 172 };
const REACHES = [5, 330], COUNTS = [30, 110000];
const between = (value, [from, to]) => Math.log(value / from) / Math.log(to / from);
const across = (reach) => FRAME.left + between(reach, REACHES) * (FRAME.right - FRAME.left);
const up = (count) => FRAME.bottom - between(count, COUNTS) * (FRAME.bottom - FRAME.top);

const rect = (name, x, y, width, height) => svg("rect", { class: name, x, y, width, height });

function render({ model, el }) {
  let now;
  const { get, change, follow, reset } = stateOf(model, STATE);
  /** Move the pixel; it stays on the map. */
  const go = (row, column) =>
    change({ row: clamp(row, 0, now.height - 1), column: clamp(column, 0, now.width - 1) });

  const controls = {
    levels: slider("levels", 1, MOST_LEVELS, (levels) => change({ levels })),
    row: slider("row", 0, 1, (row) => go(row, now.column)),
    column: slider("column", 0, 1, (column) => go(now.row, column)),
    kernel_size: choice("kernel size", KERNELS.map((size) => [size, square(size)]),
      (kernel_size) => change({ kernel_size })),
    map: choice("map", MAPS.map((sides) => [sides, square(...sides)]), ([height, width]) =>
      // A new map: the pixel starts in its middle.
      change({ height, width, row: Math.floor(height / 2), column: Math.floor(width / 2) })),
  };
  // Sliders, table and sentences say all to those who do not see the pictures.
  const map = svg("svg", { class: "map", "aria-hidden": "true" });
  onPoint(map, (y, x) => go(Math.floor(y), Math.floor(x)));
  const plot = svg("svg", { class: "plot", "aria-hidden": "true", viewBox: "0 0 324 206" });
  const heads = ["WTConv", ""].map((text) => make("th", { scope: "col", textContent: text }));
  const rows = ["Parameters, per channel", "Multiply-adds, per pixel", "Multiply-adds, this map, one channel"].map(
    (name) => make("tr", {}, make("th", { scope: "row", textContent: name }), make("td"), make("td")));
  const table = make("table", {},
    make("thead", {}, make("tr", {}, make("td"), ...heads)), make("tbody", {}, ...rows));
  const key = (name) => make("i", { className: name });
  const told = telling(2);
  openFigure(el, "Reach and cost of a WTConv", LOOK).append(
    make("div", { className: "top" }, named("kernel", controls.kernel_size), named("map", controls.map), reset),
    make("div", { className: "sliders" }, ...["levels", "row", "column"].map((name) => controls[name].node)), told.node,
    make("div", { className: "boards" },
      make("div", {}, caption("Tap or click the map to move the pixel. ", key("field"), "what it sees, from the"
        + " kernel at full size to the last level. ", key("block"), "its block: here the field stays. ", key("big"),
      "one big kernel, which goes with the pixel. Around the map there are zeros."), map),
      make("div", { className: "side" }, table,
        make("div", {}, caption("Parameters per channel by reach, for 1 to 5 levels; both axes are logarithmic."
          + " On grey, WTConv pays."), plot))));

  /** The map with its blocks, the field of each level, and the one kernel around the pixel. */
  function drawMap() {
    const { levels, height, width, row, column } = now, block = 2 ** levels, reach = reachOf(now), around = reach / 2;
    // Room for every place of the pixel, so that nothing jumps but the field.
    const [tall, wide] = [height, width].map((side) => Math.ceil(side / block) * block + 2 * around);
    const largest = Math.max(tall, wide), letter = 0.03 * largest, spot = Math.max(1, 0.012 * largest);
    const lines = (step) => {
      if (Math.max(height, width) / step > 130 || largest / step > 180) return []; // too fine to be seen
      const count = (side) => range(Math.ceil(side / step) - 1).map((i) => (i + 1) * step);
      const path = [...count(width).map((x) => `M${x} 0V${height}`), ...count(height).map((y) => `M0 ${y}H${width}`)];
      return [svg("path", { class: "lines", d: path.join("") })];
    };
    const squares = squaresOf(now);
    put(map, { viewBox: `${-around} ${-around} ${wide} ${tall}` });
    map.style.aspectRatio = `${wide} / ${tall}`;
    map.replaceChildren(
      rect("outside", -around, -around, wide, tall),
      ...lines(1), ...lines(block),
      rect("edge", 0, 0, width, height),
      ...squares.map(([top, left, side]) => rect("square", left, top, side, side)).reverse(),
      ...squares.flatMap(([top, left], level) => {
        const [inner, beside] = level ? squares[level - 1] : [top, left]; // the number stands between two squares
        if (Math.min(inner - top, beside - left) < letter) return [];
        return [svg("text", { class: "level", x: (left + beside) / 2, y: (top + inner) / 2,
          style: `font-size: ${letter}px` }, level)]; // an attribute would lose against "font: inherit"
      }),
      rect("block", ...[column, row].map((at) => Math.floor(at / block) * block), block, block),
      rect("big", column - around, row - around, reach, reach),
      rect("spot", column + 0.5 - spot / 2, row + 0.5 - spot / 2, spot, spot),
    );
  }

  /** Parameters against reach; the points of the chosen levels have a rim. */
  function drawPlot() {
    const { kernel_size, levels } = now;
    const points = LEVELS.map((one) => ({ kernel_size, levels: one }))
      .map((one) => [reachOf(one), ...parametersOf(one)]);
    const from = points[paysFrom(kernel_size) - 1][0] / Math.SQRT2; // between the last that does not pay and the first
    const line = (which) => `M${points.map((one) => `${across(one[0])} ${up(one[which])}`).join("L")}`;
    const dots = (name, which) => points.map((one, i) => svg("circle", {
      class: `${name}${i + 1 === levels ? " chosen" : ""}`, cx: across(one[0]), cy: up(one[which]),
      r: i + 1 === levels ? 5 : 3 }));
    const [, small, large] = points[3];
    plot.replaceChildren(
      rect("pays", across(from), FRAME.top, FRAME.right - across(from), FRAME.bottom - FRAME.top),
      ...[100, 1000, 10000, 100000].flatMap((count) => [
        svg("path", { class: "grid", d: `M${FRAME.left} ${up(count)}H${FRAME.right}` }),
        svg("text", { class: "up", x: FRAME.left - 5, y: up(count) }, whole(count))]),
      ...[10, 20, 50, 100, 200].flatMap((reach) => [
        svg("path", { class: "grid", d: `M${across(reach)} ${FRAME.top}V${FRAME.bottom}` }),
        svg("text", { class: "below", x: across(reach), y: FRAME.bottom + 14 }, reach)]),
      svg("text", { class: "below", x: (FRAME.left + FRAME.right) / 2, y: FRAME.bottom + 31 }, "reach in pixels"),
      svg("path", { class: "large", d: line(2) }), svg("path", { class: "small", d: line(1) }),
      ...dots("large", 2), ...dots("small", 1),
      svg("text", { x: across(points[3][0]) - 8, y: up(large) - 4, "text-anchor": "end" }, "one kernel"),
      svg("text", { x: across(points[3][0]), y: up(small) + 18, "text-anchor": "middle" }, "WTConv"),
    );
  }

  function draw() {
    now = get();
    const { height, width } = now, pixels = height * width, reach = reachOf(now);
    controls.row.node.querySelector("input").max = height - 1;
    controls.column.node.querySelector("input").max = width - 1;
    const chosen = { ...now, map: [height, width] };
    for (const [name, control] of Object.entries(controls)) control.show(chosen[name]);

    drawMap();
    drawPlot();
    heads[1].textContent = `one kernel of ${square(reach)}`;
    const parameters = parametersOf(now), counts = multiplyAddsOf(now);
    [[parameters, whole], [counts, (count) => tenths(count / pixels)], [counts, work]].forEach(([both, text], i) => {
      both.forEach((number, j) => {
        const cell = rows[i].children[1 + j];
        cell.textContent = text(number);
        cell.className = number < both[1 - j] ? "fewer" : "";
      });
    });
    told.show(sentences(now));
  }

  return follow(draw);
}

export default { render };
