/* RSU builder: a residual U-block of any height, and what it costs and sees.  common.js stands before this file.

   First the sums, plain functions that the tests hold against Python; then the picture.  `state` has the names of the
   Python figure: dilated, height, in_channels, map_height, map_width, mid_channels, out_channels. */

const CHANNELS = ["in_channels", "mid_channels", "out_channels"];
const STATE = ["dilated", "height", "map_height", "map_width", ...CHANNELS];
const LOWEST = 2, HIGHEST = 8; // as in rsu.py
// Of U²-Net the encoders and the last decoder; and a block of the small U²-Net†.
const STAGES = [["En1", 3, 32, 64], ["En2", 64, 32, 128], ["En3", 128, 64, 256], ["En4", 256, 128, 512],
  ["En5", 512, 256, 512], ["De1", 128, 16, 64], ["†", 64, 16, 64]];
// Two sizes of pictures, one that is not square, one that is odd, and the maps that En5 and En6 see of 320 × 320.
const MAPS = [[320, 320], [288, 288], [160, 240], [45, 61], [20, 20], [10, 10]];
const BLOCKS = ["rsu", "plain", "residual"];

const sum = (numbers) => numbers.reduce((one, other) => one + other, 0);

/** Dilations on the way down; those on the way up are the same without the last. */
export function ratesOf({ dilated, height }) {
  return range(height).map((depth) => (dilated ? 2 ** depth : depth === height - 1 ? 2 : 1));
}

/** Is the map halved before this convolution of the way down?  Before the first and the last it is not. */
const isHalved = ({ dilated, height }, depth) => !dilated && depth > 0 && depth < height - 1;

/** A side of the map at each convolution of the way down. */
export function sidesOf(state, side) {
  const sides = [side];
  for (const depth of range(state.height).slice(1)) {
    sides.push(isHalved(state, depth) ? Math.ceil(sides[depth - 1] / 2) : sides[depth - 1]);
  }
  return sides;
}

/** The convolutions of each block, in the order they run: {from, to, rate, height, width}. */
export function convolutionsOf(state) {
  const { height: levels, map_height, map_width } = state;
  const [into, mid, out] = CHANNELS.map((name) => state[name]);
  const heights = sidesOf(state, map_height), widths = sidesOf(state, map_width), rates = ratesOf(state);
  const at = (depth, from, to) => ({ from, to, rate: rates[depth], height: heights[depth], width: widths[depth] });
  const plain = (from, to) => ({ from, to, rate: 1, height: map_height, width: map_width });
  return {
    rsu: [
      plain(into, out),
      ...range(levels).map((depth) => at(depth, depth ? mid : out, mid)),
      ...range(levels - 1).reverse().map((depth) => at(depth, 2 * mid, depth ? mid : out)),
    ],
    plain: [plain(into, mid), plain(mid, out)],
    residual: [plain(into, out), plain(out, mid), plain(mid, out)],
  };
}

/** What some convolutions learn: nine taps for each pair of channels; a bias, and a scale and a shift of the norm. */
export const parametersOf = (convolutions) => sum(convolutions.map(({ from, to }) => 9 * from * to + 3 * to));

/** Multiply-adds of one convolution. */
const workOf = ({ from, to, height, width }) => 9 * from * to * height * width;
export const multiplyAddsOf = (convolutions) => sum(convolutions.map(workOf));

/** Does only the centre of the kernel fall on the map? */
export const isAlone = ({ rate, height, width }) => rate >= Math.max(height, width);

/** From the first to the last of `side` pixels of a line that a kernel looks at, where it writes [first, last]. */
const looked = ([first, last], rate, side) => [Math.max(first - rate, 0), Math.min(last + rate, side - 1)];

/** The same for bilinear enlarging from `small` pixels to `large`. */
function enlargedFrom([first, last], small, large) {
  const place = (at) => (small * (2 * at + 1) - large) / (2 * large); // of the pixel's middle, on the small line
  return [Math.max(Math.floor(place(first)), 0), Math.min(Math.ceil(place(last)), small - 1)];
}

/** The first and the last pixel of a line of `side` that can change pixel `at` of the RSU's output. */
export function seenBy(state, side, at) {
  const sides = sidesOf(state, side), rates = ratesOf(state), bottom = state.height - 1;
  // Backwards through the bottom, which sees all that the ways across see: first the way up, from its end, ...
  let span = [at, at];
  for (const depth of range(bottom)) {
    span = enlargedFrom(looked(span, rates[depth], sides[depth]), sides[depth + 1], sides[depth]);
  }
  // ... then the way down.  An odd side's last pixel was halved alone; looked() cuts what is beyond.
  for (const depth of range(state.height).reverse()) {
    span = looked(span, rates[depth], sides[depth]);
    if (isHalved(state, depth)) span = [2 * span[0], 2 * span[1] + 1];
  }
  return looked(span, 1, side);
}

/** The middle pixel's field in each block, as if the map went on, and how much of it is on the map: [rows, columns]. */
export function fieldsOf(state) {
  const sides = [state.map_height, state.map_width];
  const count = ([first, last]) => last - first + 1;
  // A line so long that its ends are not seen; the pixel lies in it as in the map, where blocks of 64 become one.
  const whole = sides.map((side) => count(seenBy(state, 4096, 2048 + Math.floor(side / 2))));
  const here = sides.map((side) => count(seenBy(state, side, Math.floor(side / 2))));
  const stack = (convolutions) => ({
    whole: sides.map(() => 2 * convolutions + 1),
    here: sides.map((side) => count(looked([Math.floor(side / 2), Math.floor(side / 2)], convolutions, side))),
  });
  return { rsu: { whole, here }, plain: stack(2), residual: stack(3) };
}

const nameOf = ({ dilated, height }) => `RSU-${height}${dilated ? "F" : ""}`;

/** A count as the table shows it. */
export function short(count) {
  const [size, unit] = [[1e9, "billion"], [1e6, "million"]].find(([one]) => count >= one) ?? [1, ""];
  return unit ? `${(count / size).toFixed(1)} ${unit}` : whole(count);
}

/** What the picture shows, in the words of Python's description. */
export function describe(state) {
  const { rsu } = convolutionsOf(state);
  const [into, mid, out] = CHANNELS.map((name) => state[name]);
  const sizes = [...new Set(rsu.map(({ height, width }) => `${height} × ${width}`))];
  const maps = sizes.length > 1 ? `on maps of ${sizes.join(", ")}` : "all on this size";
  return `${nameOf(state)} with ${into} channels in, ${mid} inside and ${out} out, on a map of ${sizes[0]}:`
    + ` ${rsu.length} convolutions one after the other, ${maps}, with dilations ${ratesOf(state).join(", ")} on the way`
    + ` down; ${whole(parametersOf(rsu))} parameters, ${whole(multiplyAddsOf(rsu))} multiply-adds, and a field of`
    + ` ${fieldsOf(state).rsu.whole.join(" × ")} for the middle pixel.`;
}

/** What the figure says: of the block, of one height less, and of the map. */
export function sentences(state) {
  const { dilated, height, map_height, map_width } = state;
  const numbers = (one) => [parametersOf(convolutionsOf(one).rsu), multiplyAddsOf(convolutionsOf(one).rsu),
    square(...fieldsOf(one).rsu.whole)];
  const [parameters, work, field] = numbers(state);
  const said = [`${nameOf(state)}: ${whole(parameters)} parameters, and a field of ${field}.`];
  if (height === LOWEST) said.push("The lowest RSU. It halves nothing, so it is the same dilated or not.");
  else {
    const [fewer, less, smaller] = numbers({ ...state, height: height - 1 }); // of even sides the work is the same
    said.push(`From height ${height - 1} to ${height}: ${whole(parameters - fewer)} parameters and`
      + ` ${short(work - less)} multiply-adds more, and a field of ${field}, not ${smaller}.`);
  }
  const all = convolutionsOf(state).rsu, alone = all.filter(isAlone).length;
  const halvings = Math.ceil(Math.log2(Math.max(map_height, map_width))); // until the map is 1 × 1
  let rim = "";
  if (!dilated && height - 2 >= halvings) {
    rim = halvings ? `After ${halvings} halving${halvings > 1 ? "s" : ""} the map is ${square(1, 1)}:`
      : `The map is ${square(1, 1)}:`;
    rim += " nothing is left to halve. ";
  }
  said.push(rim + (alone ? `Of ${alone} of the ${all.length} kernels, only the centre is on the map (dashed).`
    : `All ${all.length} kernels have more than their centre on the map.`));
  return said;
}

// ---- the picture ------------------------------------------------------------------------------------

const LOOK = `
  .named { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 12px; margin-bottom: 8px; }
  .named p { min-width: 4.6rem; font-size: 14px; }
  .choice { width: fit-content; max-width: 100%; flex-wrap: wrap; font-size: 14px; }
  .told { margin: 10px 0; font-size: 14px; } .told strong { font-size: 16px; } .told span { display: block; }
  .boards { display: grid; gap: 16px 28px; }
  @container (min-width: 40rem) { .boards { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); } }
  .boards > * { max-width: 28rem; }
  .caption i { display: inline-block; width: 18px; height: 0; margin: 0 3px 4px 0; border-top: 3px solid; }
  .caption .halved { border-color: var(--blue); }
  .caption .share { border-color: var(--orange); border-width: 5px; }
  .caption .alone { width: 14px; height: 11px; margin-bottom: -1px; border: 1.5px dashed var(--vermillion); }
  .line { fill: none; stroke: currentColor; stroke-width: 1.2px; }
  .line.halved { stroke: var(--blue); stroke-width: 3px; }
  .tip { fill: currentColor; }
  .tip.halved { fill: var(--blue); }
  .box { fill: var(--tint); stroke: currentColor; stroke-width: 1px; }
  .box.alone { stroke: var(--vermillion); stroke-width: 1.8px; stroke-dasharray: 4 3; }
  .share { fill: var(--orange); }
  text { font-size: 12px; text-anchor: middle; fill: currentColor; }
  text.size { font-weight: 600; }
  text.left { text-anchor: end; }
  table { width: 100%; border-collapse: collapse; font-size: 14px; }
  th, td { padding: 4px 0 4px 6px; border-bottom: 1px solid var(--line); text-align: right; vertical-align: bottom; }
  th { font-weight: 600; }
  tbody th { padding-left: 0; font-weight: 400; text-align: left; }
  @container (max-width: 22rem) { table { font-size: 12.5px; } }
`;

// The drawing, as in rsu.py: its width, a box, the steps between rows, and how far down the first row begins.
const WIDE = 320, BOX = [134, 36], STEP = 52, TOP = 26;
const LEFT = 1 + BOX[0] / 2, MIDDLE = WIDE / 2, RIGHT = WIDE - LEFT; // of the boxes' middles
const rowAt = (row) => TOP + row * STEP + BOX[1] / 2;

/** Straight lines through some points, with a tip at the last one. */
function arrow(points, name = "") {
  const [[x0, y0], [x, y]] = points.slice(-2), dx = Math.sign(x - x0), dy = Math.sign(y - y0);
  const side = (sign) => `${x - 7 * dx + 4 * sign * dy} ${y - 7 * dy + 4 * sign * dx}`;
  // The line ends within its tip, so that it does not stick out.
  const line = [...points.slice(0, -1), [x - 5 * dx, y - 5 * dy]].map((one) => one.join(" ")).join("L");
  return [svg("path", { class: `line ${name}`, d: `M${line}` }),
    svg("path", { class: `tip ${name}`, d: `M${x} ${y}L${side(1)}L${side(-1)}Z` })];
}

/** A convolution as a box, around x in a row; `most` is the largest number of multiply-adds. */
function box(one, x, row, most) {
  const left = x - BOX[0] / 2, top = TOP + row * STEP, rate = one.rate > 1 ? `, rate ${one.rate}` : "";
  return [
    svg("rect", { class: isAlone(one) ? "box alone" : "box", x: left, y: top, width: BOX[0], height: BOX[1], rx: 4 }),
    svg("rect", { class: "share", x: left + 3, y: top + BOX[1] - 4, width: (BOX[0] - 6) * workOf(one) / most,
      height: 3 }),
    svg("text", { class: "size", x, y: top + 14 }, square(one.height, one.width)),
    svg("text", { x, y: top + 28 }, `${one.from} → ${one.to}${rate}`),
  ];
}

function draw(state) {
  const { height } = state, { rsu } = convolutionsOf(state), most = Math.max(...rsu.map(workOf));
  const half = BOX[1] / 2, halved = (depth) => (isHalved(state, depth) ? "halved" : "");
  const sumAt = [RIGHT, rowAt(0)];
  return [
    ...arrow([[LEFT, 2], [LEFT, TOP]]),
    ...arrow([[LEFT + BOX[0] / 2, rowAt(0)], [RIGHT - 11, rowAt(0)]]), // what the block is added to
    ...range(height - 1).flatMap((depth) => [ // row 0 has the first convolution, row 1 depth 0
      ...arrow([[LEFT, rowAt(depth) + half], [LEFT, rowAt(depth + 1) - half]], halved(depth)),
      ...arrow([[RIGHT, rowAt(depth + 1) - half], [RIGHT, rowAt(depth) + (depth ? half : 11)]], halved(depth)),
      ...arrow([[LEFT + BOX[0] / 2, rowAt(depth + 1)], [RIGHT - BOX[0] / 2, rowAt(depth + 1)]]),
    ]),
    ...arrow([[LEFT, rowAt(height - 1) + half], [LEFT, rowAt(height)], [MIDDLE - BOX[0] / 2, rowAt(height)]]),
    ...arrow([[MIDDLE + BOX[0] / 2, rowAt(height)], [RIGHT, rowAt(height)], [RIGHT, rowAt(height - 1) + half]]),
    ...arrow([[RIGHT, rowAt(0) - 11], [RIGHT, 2]]),
    svg("circle", { class: "box", cx: sumAt[0], cy: sumAt[1], r: 11 }),
    svg("text", { x: sumAt[0], y: sumAt[1] + 4 }, "+"),
    svg("text", { x: LEFT + 12, y: 14 }, "x"),
    svg("text", { x: MIDDLE, y: rowAt(0) - 6 }, "F₁(x)"),
    svg("text", { class: "left", x: RIGHT - 8, y: 14 }, "U(F₁(x)) + F₁(x)"),
    ...rsu.flatMap((one, i) => {
      const [x, row] = i < height ? [LEFT, i] : i > height ? [RIGHT, 2 * height - i] : [MIDDLE, height];
      return box(one, x, row, most);
    }),
  ];
}

function render({ model, el }) {
  const { get, change, follow, reset } = stateOf(model, STATE);
  const controls = {
    height: slider("height", LOWEST, HIGHEST, (height) => change({ height })),
    dilated: choice("way down", [[false, "halved"], [true, "dilated"]], (dilated) => change({ dilated })),
    channels: choice("channels", STAGES.map(([name, ...counts]) => [counts, `${name}: ${counts.join("–")}`]),
      (counts) => change(Object.fromEntries(counts.map((count, i) => [CHANNELS[i], count])))),
    map: choice("map", MAPS.map((sides) => [sides, square(...sides)]), ([map_height, map_width]) =>
      change({ map_height, map_width })),
  };
  const picture = svg("svg", { role: "img" });
  const head = make("th", { scope: "col" });
  const rows = ["Parameters", "Multiply-adds", "Field of the middle pixel", "… on this map", "Layers in a row"].map(
    (name) => make("tr", {}, make("th", { scope: "row", textContent: name }), ...BLOCKS.map(() => make("td"))));
  const table = make("table", {},
    make("thead", {}, make("tr", {}, make("td"), head,
      ...BLOCKS.slice(1).map((textContent) => make("th", { scope: "col", textContent })))),
    make("tbody", {}, ...rows));
  const key = (name) => make("i", { className: name });
  const told = telling(2);
  openFigure(el, "RSU builder", LOOK).append(
    controls.height.node, named("way down", controls.dilated),
    named("channels in–inside–out, in U²-Net's encoders, its last decoder, and the small U²-Net†", controls.channels),
    make("div", { className: "top" }, named("map", controls.map), reset), told.node,
    make("div", { className: "boards" },
      make("div", {}, caption("A box is a convolution: the map's size, and channels in → out. ", key("halved"),
        "halved on the way down, enlarged on the way up. ", key("share"), "multiply-adds. ", key("alone"),
        "only the kernel's centre is on the map."), picture),
      make("div", {}, caption("The RSU beside a plain and a residual block with the same channels."), table)));

  function show() {
    const state = get();
    const map = [state.map_height, state.map_width], chosen = { ...state, map, channels: CHANNELS.map((name) => state[name]) };
    for (const [name, control] of Object.entries(controls)) control.show(chosen[name]);

    put(picture, { viewBox: `0 0 ${WIDE} ${TOP + state.height * STEP + BOX[1] + 4}`, "aria-label": describe(state) });
    picture.replaceChildren(...draw(state));
    head.textContent = nameOf(state);
    const convolutions = convolutionsOf(state), fields = fieldsOf(state);
    BLOCKS.forEach((name, column) => {
      const block = convolutions[name];
      [short(parametersOf(block)), short(multiplyAddsOf(block)), square(...fields[name].whole),
        square(...fields[name].here), block.length].forEach((text, row) => {
        rows[row].children[1 + column].textContent = text;
      });
    });
    told.show(sentences(state));
  }

  return follow(show);
}

export default { render };
