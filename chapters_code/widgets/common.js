/* What the figures that move have in common: the state, elements, labelled controls, one calm style.
   moving.py puts this file before a figure's own, so the two are one module and nothing is imported. */

// Half-transparent greys suit light and dark pages alike; the colours are Okabe and Ito's.
const STYLE = `
  :host { display: block; color: var(--jp-content-font-color1, inherit);
    --line: rgb(128 128 128 / 50%); --tint: rgb(128 128 128 / 12%);
    --blue: #0072b2; --orange: #e69f00; --vermillion: #d55e00; }
  * { box-sizing: border-box; margin: 0; font: inherit; color: inherit; }
  .figure { container-type: inline-size; max-width: 50rem; padding: 12px 4px;
    font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
  :focus-visible, :focus-visible + span { outline: 3px solid currentColor; outline-offset: 2px; }
  .slider :focus-visible { outline-offset: -2px; border-radius: 6px; }
  [hidden] { display: none !important; }
  .slider { display: block; font-size: 14px; }
  .slider span { display: flex; justify-content: space-between; }
  .slider b { font-weight: 600; }
  .slider input { width: 100%; height: 32px; accent-color: var(--blue); cursor: pointer; }
  .choice { display: flex; padding: 3px; border: 1px solid var(--line); border-radius: 8px; }
  .choice legend { position: absolute; clip-path: inset(50%); }
  .choice label { position: relative; }
  .choice input { position: absolute; inset: 0; opacity: 0; cursor: pointer; }
  .choice span { display: block; padding: 4px 11px; border-radius: 6px; }
  .choice :checked + span { background: var(--blue); color: #fff; font-weight: 600; }
  .button { min-height: 38px; border: 1px solid var(--line); border-radius: 8px; background: var(--tint); }
  .button:hover { border-color: currentColor; }
  button { padding: 0; cursor: pointer; }
  button:disabled, [aria-disabled="true"] { opacity: 0.5; cursor: default; }
  .reset { justify-self: start; padding: 0 14px; }
  .dragged { cursor: ew-resize; touch-action: pan-y; } /* a page can still be scrolled */
  .top { display: flex; flex-wrap: wrap; gap: 8px 20px; align-items: end; }
  .sliders { display: grid; grid: auto-flow / repeat(auto-fit, minmax(var(--narrowest, 7.5rem), 1fr));
    gap: 4px 20px; margin: 12px 0; }
  svg, canvas { display: block; width: 100%; }
  canvas { image-rendering: pixelated; }
  .caption { margin-bottom: 6px; font-size: 14px; }
  .swatch { display: inline-block; width: 12px; height: 12px; margin-right: 5px; border: 1px solid var(--line);
    vertical-align: -1px; }
  .told { min-height: 64px; padding: 8px 14px; border-left: 4px solid var(--orange); background: var(--tint); }
  .told strong { display: block; font-weight: 600; }
`;

/** Between a figure and its model: `get` the state, `change` some of it, `follow` it by drawing now and whenever it
    changes; that gives back how to stop.  `reset` is a button that brings the first state back; a figure that keeps
    more than its state says how to `undo` that, and whether there `isMore` to undo, and has to `redraw` by itself. */
function stateOf(model, names, { undo = () => {}, isMore = () => false } = {}) {
  const get = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const change = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  };
  const start = get();
  const changed = () => names.filter((name) => JSON.stringify(model.get(name)) !== JSON.stringify(start[name]));
  const reset = button("Reset", () => {
    undo();
    change(Object.fromEntries(changed().map((name) => [name, start[name]])));
  }, "button reset");
  let drawAll;
  return {
    get,
    change,
    reset,
    redraw: () => drawAll(),
    follow(draw) {
      drawAll = () => {
        draw();
        disable(reset, !isMore() && !changed().length);
      };
      names.forEach((name) => model.on(`change:${name}`, drawAll));
      drawAll();
      return () => names.forEach((name) => model.off(`change:${name}`, drawAll));
    },
  };
}

/** Make an element: properties where the element has them, attributes otherwise. */
function make(tag, settings = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Give a node attributes, new ones or other values. */
function put(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

/** Make an element of an SVG: attributes alone, for its properties are not plain values. */
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  put(node, attributes);
  node.append(...children);
  return node;
}

/** Where on a drawing an event is, in units of its viewBox. */
function pointOf(node, { clientX, clientY }) {
  return new DOMPoint(clientX, clientY).matrixTransform(node.getScreenCTM().inverse());
}

/** Tell where on a drawing the reader points, in units of its viewBox: go(row, column). */
function onPoint(node, go) {
  node.addEventListener("click", (event) => {
    const { x, y } = pointOf(node, event);
    go(y, x);
  });
}

/** Follow mouse, pen or finger from where it is put down on a node until it is lifted: go(event). */
function onDrag(node, go) {
  node.classList.add("dragged");
  node.addEventListener("pointerdown", (event) => {
    node.setPointerCapture(event.pointerId);
    go(event);
  });
  node.addEventListener("pointermove", (event) => { if (node.hasPointerCapture(event.pointerId)) go(event); });
}

/** Give a figure a place of its own: the page's style does not reach in, the figure's does not leak out. */
function openFigure(el, label, style) {
  // Without the attribute JupyterLab takes arrow keys and Enter for itself.
  const host = make("div", { "data-lm-suppress-shortcuts": "true" });
  const root = make("div", { className: "figure", role: "group", "aria-label": label });
  host.attachShadow({ mode: "open" }).append(make("style", { textContent: STYLE + style }), root);
  // Nor may the page hear them: some turn to the next chapter on an arrow key.
  root.addEventListener("keydown", (event) => { if (!event.ctrlKey && !event.metaKey) event.stopPropagation(); });
  el.replaceChildren(host);
  return root;
}

/** A native slider with its name and its number; onInput gets the number. */
function slider(name, min, max, onInput) {
  const number = make("b", { "aria-hidden": "true" });
  const input = make("input", { type: "range", min, max });
  input.addEventListener("input", () => onInput(Number(input.value)));
  return {
    node: make("label", { className: "slider" }, make("span", {}, name, number), input),
    show: (value) => { number.textContent = input.value = value; },
  };
}

/** One of a few: native radio buttons that look like one switch.  `options` are [value, label]; lists are values, too. */
function choice(name, options, onChange) {
  const inputs = options.map(([value]) => make("input", { type: "radio", name, onchange: () => onChange(value) }));
  const labels = options.map(([, label], i) => make("label", {}, inputs[i], make("span", {}, label)));
  return {
    node: make("fieldset", { className: "choice" }, make("legend", {}, name), ...labels),
    show: (value) => options.forEach(([one], i) => { inputs[i].checked = `${one}` === `${value}`; }),
  };
}

/** A control under a name that only the eye needs, for the control has one of its own. */
function named(words, { node }) {
  return make("div", { className: "named" }, make("p", { "aria-hidden": "true" }, words), node);
}

function caption(...parts) {
  return make("p", { className: "caption" }, ...parts);
}

/** A square of a colour, for a legend. */
function swatch(colour) {
  return make("i", { className: "swatch", "aria-hidden": "true", style: `background: ${colour}` });
}

/** What a figure says: a main line, and `lines` more; read aloud when it changes. */
function telling(lines) {
  const all = [make("strong"), ...range(lines).map(() => make("span"))];
  return {
    node: make("div", { className: "told", ariaLive: "polite" }, ...all),
    show: (texts) => texts.forEach((text, i) => { all[i].textContent = text; }),
  };
}

function button(label, onclick, className = "button") {
  const act = ({ currentTarget: node }) => { if (node.ariaDisabled !== "true") onclick(); };
  return make("button", { type: "button", className, textContent: label, onclick: act });
}

/** Say that a button would do nothing now.  It keeps the focus, which a button that is `disabled` loses. */
function disable(node, off) {
  node.ariaDisabled = off ? "true" : "false";
}

/** A map that Python has packed, its bytes in base64: {height, width, values}, row by row. */
function unpack({ height, width, bytes }) {
  return { height, width, values: Array.from(atob(bytes), (one) => one.charCodeAt(0)) };
}

/** Keep `count` children: those that stay keep the reader's focus. */
function fit(parent, count, makeChild) {
  while (parent.children.length > count) parent.lastChild.remove();
  while (parent.children.length < count) parent.append(makeChild(parent.children.length));
  return [...parent.children];
}

/** Where a key leads from cell `at` of a grid of `count` cells; null if the key does not move. */
function keyMove(key, at, count, columns) {
  const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: count - 1 - at };
  if (!(key in move)) return null;
  const to = at + move[key];
  return to < 0 || to >= count ? at : to;
}

const range = (count) => Array.from({ length: count }, (_, i) => i);
const clamp = (number, low, high) => Math.max(low, Math.min(number, high));

/** A whole number as the reader sees it: thousands apart, a true minus sign. */
function whole(number) {
  return number.toLocaleString("en-US").replace("-", "−");
}

/** A size as the reader sees it, never broken into two lines. */
function square(height, width = height) {
  return `${height}\u00a0×\u00a0${width}`;
}

/** A number as the reader sees it: no trailing zeros, a true minus sign, −∞. */
function numberText(number, decimals) {
  return number === -Infinity ? "−∞" : String(Number(number.toFixed(decimals))).replace("-", "−");
}
