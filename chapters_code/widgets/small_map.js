/* Small map: which taps of a dilated 3 × 3 kernel fall on the feature map.  common.js stands before this file.

   First the sums, plain functions that the tests hold against Python; then the picture.  `state` has the names of the
   Python figure: height, width, rate, row, column. */

const STATE = ["height", "width", "rate", "row", "column"];
const LARGEST = 65, LARGEST_RATE = 36; // as in small_map.py
// 320 × 480 pixels at stride 32, 16 and 8, and the maps of 513 × 513 at stride 16 and 8.
const MAPS = [[10, 15], [20, 30], [33, 33], [40, 60], [65, 65]];
const RATES = [6, 12, 18, 24];

/** At how many of `size` positions tap −1, 0 and 1 of a side is inside. */
const insideOf = (size, rate) => [-1, 0, 1].map((tap) => Math.max(0, size - rate * Math.abs(tap)));

/** Of nine taps, how many are inside on average, and at what share of the positions only the centre is. */
export function validTaps(height, width, rate) {
  let inside = 1, lonely = 1;
  for (const size of [height, width]) {
    inside *= insideOf(size, rate).reduce((sum, count) => sum + count, 0);
    lonely *= Math.max(0, Math.min(size, rate) - Math.max(0, size - rate));
  }
  return { mean: inside / (height * width), centreOnly: lonely / (height * width) };
}

/** The nine taps in reading order: [row, column, is it on the map?]. */
export function tapsAt({ height, width, rate, row, column }) {
  return [-1, 0, 1].flatMap((down) => [-1, 0, 1].map((right) => {
    const y = row + down * rate, x = column + right * rate;
    return [y, x, y >= 0 && y < height && x >= 0 && x < width];
  }));
}

/** Cut a side where the number of valid taps changes: [[start, end, taps], ...]. */
export function stretches(size, rate) {
  const cuts = [...new Set([0, Math.min(rate, size), Math.max(0, size - rate), size])].sort((a, b) => a - b);
  return cuts.slice(0, -1).map((start, i) =>
    [start, cuts[i + 1], 1 + Number(start >= rate) + Number(start + rate < size)]);
}

/** What the figure says of the pixel, and of the whole map. */
export function sentences(state) {
  const { height, width, rate, row, column } = state;
  const count = tapsAt(state).filter(([, , inside]) => inside).length;
  const { mean, centreOnly } = validTaps(height, width, rate);
  const here = `Row ${row}, column ${column}: ${count} of 9 taps ${count === 1 ? "is" : "are"} on the map`;
  const share = centreOnly === 1 ? "Everywhere only the centre is on it: this 3\u00a0×\u00a03 is a 1\u00a0×\u00a01."
    : centreOnly === 0 ? "Nowhere does the centre stand alone."
      : `At ${percent(centreOnly)} of the pixels the centre stands alone.`;
  return [
    `${here}${count === 1 ? ", the centre. Here the 3\u00a0×\u00a03 is a 1\u00a0×\u00a01." : "."}`,
    `Over the whole map: ${mean.toFixed(2)} of 9 on average. ${share}`,
  ];
}

/** A share in percent; never rounded to 0 % or to 100 % if it is neither. */
function percent(share) {
  return `${Math.max(1, Math.min(99, Math.round(100 * share)))} %`;
}

const LOOK = `
  .choice { width: fit-content; max-width: 100%; flex-wrap: wrap; }
  .sliders { --narrowest: 7rem; }
  .board { position: relative; }
  svg { max-height: 30rem; touch-action: manipulation; cursor: crosshair; }
  .outside { fill: var(--tint); }
  .map { fill: none; stroke: currentColor; stroke-width: 1.5px; }
  .region { fill: var(--blue); }
  .count { fill: currentColor; text-anchor: middle; dominant-baseline: central; pointer-events: none; }
  .tap { stroke-width: 1.5px; pointer-events: none; }
  .tap.in { fill: var(--orange); stroke: #2b2b2b; }
  .tap.out { fill: none; stroke: var(--vermillion); stroke-dasharray: 3 2; }
  .map, .tap { vector-effect: non-scaling-stroke; }
  .caption { margin: 6px 0 12px; }
  .caption i { display: inline-block; width: 11px; height: 11px; margin: 0 3px -1px 0; border: 1.5px solid #2b2b2b; }
  .caption .in { background: var(--orange); }
  .caption .out { border: 1.5px dashed var(--vermillion); }
  .rates { display: grid; grid-template-columns: repeat(4, minmax(0, 8rem)); gap: 8px; margin-top: 12px; font-size: 14px; }
  .rates button { padding: 4px; line-height: 1.35; }
  .rates button[aria-pressed="true"] { border-color: currentColor; border-width: 2px; font-weight: 600; }
  .rates p { grid-column: 1 / -1; }
`;

function render({ model, el }) {
  let now;
  const { get, change, follow, reset } = stateOf(model, STATE);
  /** Move the edges, or the kernel; it stays on the map. */
  const go = (changes) => {
    const { height, width, row, column } = { ...now, ...changes };
    change({ ...changes, row: clamp(row, 0, height - 1), column: clamp(column, 0, width - 1) });
  };

  const controls = {
    map: choice("map", MAPS.map((sides) => [sides, sides.join(" × ")]), ([height, width]) =>
      // A new map: the kernel starts in its middle.
      change({ height, width, row: Math.floor(height / 2), column: Math.floor(width / 2) })),
    rate: slider("rate", 1, LARGEST_RATE, (rate) => go({ rate })),
    height: slider("height", 1, LARGEST, (height) => go({ height })),
    width: slider("width", 1, LARGEST, (width) => go({ width })),
    row: slider("row", 0, LARGEST - 1, (row) => go({ row })),
    column: slider("column", 0, LARGEST - 1, (column) => go({ column })),
  };
  const [maps, ...sliders] = Object.values(controls).map(({ node }) => node);
  // The sliders say all to those who do not see the picture.
  const map = svg("svg", { "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet" });
  onPoint(map, (y, x) => go({ row: Math.floor(y), column: Math.floor(x) }));
  const key = caption(make("i", { className: "in" }), "tap on the map  ",
    make("i", { className: "out" }), "tap on the padding, which is 0. Tap or click the map to move the kernel;"
    + " the numbers say how many of its taps are on the map there.");
  const told = telling(1);
  const rates = RATES.map((rate) => button("", () => go({ rate })));
  const table = make("div", { className: "rates" }, make("p", { textContent: "On this map, taps inside on average:" }),
    ...rates);
  openFigure(el, "A dilated kernel on a small map", LOOK).append(
    make("div", { className: "top" }, maps, reset), make("div", { className: "sliders" }, ...sliders), make("div", { className: "board" }, map), key, told.node, table);

  function draw() {
    now = get();
    const { height, width, rate } = now;
    controls.row.node.querySelector("input").max = height - 1;
    controls.column.node.querySelector("input").max = width - 1;
    const chosen = { ...now, map: [height, width] };
    for (const [name, control] of Object.entries(controls)) control.show(chosen[name]);

    // Room for every place of the kernel, so that nothing jumps when it moves.
    const wide = width + 2 * rate, tall = height + 2 * rate;
    put(map, { viewBox: `${-rate} ${-rate} ${wide} ${tall}` });
    map.style.aspectRatio = `${wide} / ${tall}`;
    const size = Math.max(1, 0.02 * Math.max(wide, tall)); // so that a tap can be seen on the largest map
    const regions = stretches(height, rate).flatMap(([top, bottom, down]) =>
      stretches(width, rate).map(([left, right, across]) => [top, bottom, left, right, down * across]));
    const letter = 0.035 * Math.max(wide, tall);
    map.replaceChildren(
      svg("rect", { class: "outside", x: -rate, y: -rate, width: wide, height: tall }),
      ...regions.flatMap(([top, bottom, left, right, taps]) => {
        const region = svg("rect", {
          class: "region", x: left, y: top, width: right - left, height: bottom - top, "fill-opacity": 0.06 * taps });
        if (Math.min(bottom - top, right - left) < letter) return [region];
        // In a corner, where the kernel seldom covers it.
        return [region, svg("text", { class: "count", x: left + 0.6 * letter, y: top + 0.7 * letter,
          style: `font-size: ${letter}px` }, taps)]; // an attribute would lose against "font: inherit"
      }),
      svg("rect", { class: "map", x: 0, y: 0, width, height }),
      ...tapsAt(now).map(([y, x, inside]) => svg("rect", {
        class: `tap ${inside ? "in" : "out"}`, x: x + 0.5 - size / 2, y: y + 0.5 - size / 2, width: size, height: size })),
    );

    told.show(sentences(now));
    rates.forEach((one, i) => {
      const { mean } = validTaps(height, width, RATES[i]);
      one.textContent = `rate ${RATES[i]}: ${mean.toFixed(2)}`;
      one.ariaPressed = RATES[i] === rate;
    });
  }

  return follow(draw);
}

export default { render };
