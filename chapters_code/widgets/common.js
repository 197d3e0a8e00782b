/* What the figures that move have in common: elements, labelled controls, one calm style.
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
  button:disabled { opacity: 0.5; cursor: default; }
`;

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

/** One of a few: native radio buttons that look like one switch.  `options` are [value, label]. */
function choice(name, options, onChange) {
  const inputs = options.map(([value]) => make("input", { type: "radio", name, onchange: () => onChange(value) }));
  const labels = options.map(([, label], i) => make("label", {}, inputs[i], make("span", {}, label)));
  return {
    node: make("fieldset", { className: "choice" }, make("legend", {}, name), ...labels),
    show: (value) => options.forEach(([one], i) => { inputs[i].checked = one === value; }),
  };
}

function button(label, onclick, className = "button") {
  return make("button", { type: "button", className, textContent: label, onclick });
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

/** A number as the reader sees it: no trailing zeros, a true minus sign, −∞. */
function numberText(number, decimals) {
  return number === -Infinity ? "−∞" : String(Number(number.toFixed(decimals))).replace("-", "−");
}
