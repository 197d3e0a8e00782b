/* Footprint: which pixels a stack of dilated layers touches.  common.js stands before this file.

   First the counting, plain functions that the tests hold against Python; then the picture.  `state` has the names of
   the Python figure: rates (one number for each layer), kernel_size, crack. */

const STATE = ["rates", "kernel_size", "crack"];
const LAYERS = 5, LARGEST = 8, FARTHEST = 8; // as in footprint.py

/** The touched pixels along one axis, in order: every layer carries each of them to each of its taps. */
export function footprint({ rates, kernel_size: kernel }) {
  const half = (kernel - 1) / 2;
  let reached = new Set([0]);
  for (const rate of rates) {
    const next = new Set();
    for (const place of reached) for (let tap = -half; tap <= half; tap++) next.add(place + rate * tap);
    reached = next;
  }
  return [...reached].sort((a, b) => a - b);
}

/** The receptive field in numbers: its side, the touched pixels, the holes. */
export function count(state) {
  const offsets = footprint(state), side = 2 * offsets.at(-1) + 1, touched = offsets.length ** 2;
  return { side, touched, holes: side ** 2 - touched };
}

/** What a straight crack of one pixel is to this output pixel. */
export function crackText(state) {
  const offsets = footprint(state), { side } = count(state), { crack } = state;
  const far = Math.abs(crack), pixels = `pixel${far === 1 ? "" : "s"}`;
  const where = crack === 0 ? "through the output pixel" : `${far} ${pixels} to the ${crack < 0 ? "left" : "right"}`;
  if (far > offsets.at(-1)) return `The crack, ${where}, lies outside the field.`;
  const seen = offsets.includes(crack) ? offsets.length : 0;
  return `The crack, ${where}: ${seen} of its ${side} pixels in the field are seen.`
    + (seen ? "" : " It falls through the holes.");
}

const LOOK = `
  .top { gap: 12px; align-items: center; }
  .top .button { padding: 0 12px; }
  svg { max-width: 26rem; aspect-ratio: 1; border: 1px solid var(--line); border-radius: 8px; }
  .field { fill: var(--tint); stroke: var(--line); }
  .touched { fill: var(--blue); }
  .crack { fill: var(--orange); }
  .seen { fill: var(--vermillion); }
  .own { fill: #fff; stroke: #2b2b2b; stroke-width: 0.12; }
  .key { margin: 6px 0 12px; font-size: 14px; }
  .key span { white-space: nowrap; margin-right: 12px; }
  .swatch { vertical-align: baseline; }
  .told strong { font-size: 18px; }
  .told span { font-size: 14px; }
`;

/** Squares at all crossings of these columns and rows, as one path, with a thin gap between neighbours. */
function squares(columns, rows) {
  return rows.flatMap((y) => columns.map((x) => `M${x - 0.46} ${y - 0.46}h.92v.92h-.92z`)).join("");
}

function render({ model, el }) {
  const first = () => range(LAYERS).map((i) => model.get("rates")[i] ?? 1);
  let last = first(); // a layer that is taken away and comes back has its rate again
  const start = [...last];
  const { get, change, follow, reset } = stateOf(model, STATE, {
    undo() { last = [...start]; },
    isMore: () => String(last) !== String(start),
  });
  const kernel = choice("kernel", [[3, "3 × 3"], [5, "5 × 5"]], (kernel_size) => change({ kernel_size }));
  const layers = slider("layers", 1, LAYERS, (number) => change({ rates: last.slice(0, number) }));
  const rates = last.map((_, i) => slider(`rate of layer ${i + 1}`, 1, LARGEST, (rate) =>
    change({ rates: get().rates.map((one, j) => (j === i ? rate : one)) })));
  const crack = slider("crack's column", -FARTHEST, FARTHEST, (number) => change({ crack: number }));
  const presets = [[2, 2, 2], [1, 2, 5]].map((one) => button(`rates ${one.join(", ")}`, () => change({ rates: one })));

  const [field, line] = ["field", "crack"].map((name) => svg("rect", { class: name }));
  const [touched, seen] = ["touched", "seen"].map((name) => svg("path", { class: name }));
  const picture = svg("svg", { class: "picture", role: "img" }, field, touched, line, seen,
    svg("circle", { class: "own", r: 0.3 }));
  onDrag(picture, (event) => {
    const to = clamp(Math.round(pointOf(picture, event).x), -FARTHEST, FARTHEST);
    if (to !== get().crack) change({ crack: to });
  });
  const key = [["var(--blue)", "touched"], ["var(--tint)", "missed"], ["var(--orange)", "crack"],
    ["var(--vermillion)", "crack, seen"], ["#fff", "the output pixel"]];
  const where = make("span"), numbers = make("strong"), verdict = make("span");
  openFigure(el, "What a stack of dilated layers sees", LOOK).append(
    make("div", { className: "top" }, kernel.node, ...presets, reset),
    make("div", { className: "sliders" }, layers.node, ...rates.map(({ node }) => node), crack.node),
    make("p", { className: "caption" }, "Drag the crack, or move its slider."), picture,
    make("p", { className: "key", "aria-hidden": "true" },
      ...key.map(([colour, words]) => make("span", {}, swatch(colour), words))),
    make("div", { className: "told", "aria-live": "polite" }, where, numbers, verdict));

  function draw() {
    const state = get();
    const offsets = footprint(state), reach = offsets.at(-1), { side, touched: inside, holes } = count(state);
    state.rates.forEach((rate, i) => { last[i] = rate; });
    kernel.show(state.kernel_size);
    layers.show(state.rates.length);
    rates.forEach((one, i) => { one.show(last[i]); one.node.hidden = i >= state.rates.length; });
    crack.show(state.crack);

    const half = Math.max(reach, FARTHEST) + 1, span = 2 * half + 1; // room for the crack wherever it is dragged
    put(picture, { viewBox: `${-half - 0.5} ${-half - 0.5} ${span} ${span}` });
    put(field, { x: -reach - 0.5, y: -reach - 0.5, width: side, height: side, "stroke-width": span / 150 });
    put(touched, { d: squares(offsets, offsets) });
    put(line, { x: state.crack - 0.2, y: -half - 0.5, width: 0.4, height: span });
    put(seen, { d: squares(offsets.includes(state.crack) ? [state.crack] : [], offsets) });

    where.textContent = `Field ${side} × ${side} = ${side ** 2} pixels`;
    numbers.textContent = `${inside} touched, ${holes} missed`;
    verdict.textContent = crackText(state);
    picture.ariaLabel = `${where.textContent}: ${numbers.textContent}. ${verdict.textContent}`;
  }

  return follow(draw);
}

export default { render };
