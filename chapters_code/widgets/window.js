/* Window: max and average pooling, one window at a time.  common.js stands before this file.

   First the sums, plain functions that the tests hold against PyTorch; then the picture.  `state` has the names of
   the Python figure: values (rows of numbers), dimensions, kernel_size, stride, padding, operation, step. */

const STATE = ["values", "dimensions", "kernel_size", "stride", "padding", "operation", "step", "pavement", "crack"];
const LARGEST = 10; // rows and columns, as in window.py

/** The two sides that the window moves along.  In 1-D the first row alone is used: nothing to move down. */
function sides({ values, dimensions, kernel_size: kernel, stride, padding }) {
  const across = { name: "width", size: values[0].length, kernel, stride, padding };
  if (dimensions === 2) return { down: { ...across, name: "height", size: values.length }, across };
  return { down: { name: "height", size: 1, kernel: 1, stride: 1, padding: 0 }, across };
}

export function outputSize({ size, kernel, stride, padding }) {
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

/** Why no window fits and what to do about it; null if all is well. */
export function problem(state) {
  const half = Math.floor(state.kernel_size / 2);
  if (state.padding > half) {
    return `Padding ${state.padding} is more than half of kernel size ${state.kernel_size}, which PyTorch refuses.`
      + ` Choose padding ${half}, or a larger kernel size.`;
  }
  for (const { name, size, kernel, padding } of Object.values(sides(state))) {
    const room = size + 2 * padding;
    if (kernel > room) {
      return `Kernel size ${kernel} is larger than the padded ${name}, ${size} + 2·${padding} = ${room}.`
        + ` Choose kernel size ${room}, or a larger ${name}.`;
    }
  }
  return null;
}

/** The numbers under window `step`, in reading order. */
export function windowNumbers(state, step) {
  const { down, across } = sides(state);
  const columns = outputSize(across);
  const top = Math.floor(step / columns) * down.stride - down.padding;
  const left = (step % columns) * across.stride - across.padding;
  // −∞ never wins against a pixel; a 0 does count in an average.  Both as in PyTorch.
  const outside = state.operation === "max" ? -Infinity : 0;
  return range(down.kernel * across.kernel).map((i) =>
    state.values[top + Math.floor(i / across.kernel)]?.[left + (i % across.kernel)] ?? outside);
}

/** The one number that is kept of a window. */
function keep(numbers, operation) {
  if (operation === "max") return Math.max(...numbers);
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** The whole output, rows of numbers: those of torch.nn.functional.max_pool2d and avg_pool2d, and of the 1-D forms. */
export function pool(state) {
  const { down, across } = sides(state);
  const columns = outputSize(across);
  return range(outputSize(down)).map((row) => range(columns).map((column) =>
    keep(windowNumbers(state, row * columns + column), state.operation)));
}

/** As many decimals as the picture has, and at least two for a mean. */
function decimalsOf(values) {
  return Math.max(2, ...values.flat().map((number) => (String(number).split(".")[1] ?? "").length));
}

/** The sum being done, as one would write it: "max(7, 7, 1, 7) = 7", "(7 + 7 + 1 + 7) / 4 = 5.5". */
export function sumText(state, step) {
  const decimals = decimalsOf(state.values);
  const numbers = windowNumbers(state, step);
  const terms = numbers.map((number) => numberText(number, decimals));
  const kept = keep(numbers, state.operation);
  const equals = Math.abs(kept.toFixed(decimals) - kept) < 1e-9 ? "=" : "≈";
  const result = ` ${equals}\u00a0${numberText(kept, decimals)}`;
  if (state.operation === "max") return `max(${terms.join(", ")})${result}`;
  return `(${terms.map((term) => term.replace(/^−.*/, "($&)")).join(" + ")}) / ${terms.length}${result}`;
}

/** How many windows fit along one side, with the numbers put in. */
export function sizeText(side) {
  const { name, size, kernel, stride, padding } = side;
  return `output ${name} = floor((${size} + 2·${padding} − ${kernel}) / ${stride}) + 1 = ${outputSize(side)}`;
}

/** Does a window reach place `at` of a side?  None does past the last window, nor between windows that leap. */
function reached(side, at) {
  const nearest = Math.min(Math.floor((at + side.padding) / side.stride), outputSize(side) - 1);
  return at + side.padding < nearest * side.stride + side.kernel;
}

const LOOK = `
  .choices { display: flex; flex-wrap: wrap; gap: 12px; }
  .boards { display: flex; flex-wrap: wrap; gap: 16px 40px; --cell: min(42px, 100cqw / var(--widest)); }
  @container (min-width: 34rem) { .beside { flex-wrap: nowrap; --cell: min(42px, (100cqw - 44px) / var(--together)); } }
  .grid { position: relative; display: grid; width: max-content; line-height: 1;
    grid: auto-flow var(--cell) / repeat(var(--columns), var(--cell));
    font-size: calc(var(--cell) * min(0.42, 1.4 / var(--digits))); }
  .layer { display: contents; }
  .cell { position: relative; isolation: isolate; display: grid; place-items: center; margin: 1px;
    border: 1px solid var(--line); border-radius: 3px; }
  .cell:focus-visible { z-index: 3; }
  .empty { border-style: dashed; background: none; }
  .missed::after { content: ""; position: absolute; inset: 0; z-index: -1; /* hatched under the number */
    background: repeating-linear-gradient(135deg, transparent 0 6px, rgb(213 94 0 / 70%) 6px 7.5px); }
  .frame { position: absolute; z-index: 2; pointer-events: none; border-radius: 4px; transition: left 0.2s, top 0.2s;
    box-shadow: inset 0 0 0 1px #2b2b2b, 0 0 0 3px var(--orange), 0 0 0 4px #2b2b2b; }
  @media (prefers-reduced-motion: reduce) { .frame { transition: none; } }
  .steps { display: grid; grid-template-columns: repeat(5, minmax(0, 5.5rem)); gap: 8px; margin: 16px 0 12px; }
  .sum strong { font-size: 18px; }
  .problem { border-left: 8px double var(--vermillion); }
  .problem strong { font-size: 16px; font-weight: 400; }
  .sum span, .sizes { font-size: 14px; }
  .sizes { margin-top: 12px; white-space: pre-line; }
`;

/** A grid of cells under a caption, with a frame that moves over it. */
function board(onTap) {
  const title = caption(), frame = make("div", { className: "frame" });
  const ground = make("div", { className: "layer", "aria-hidden": "true" });
  const cells = make("div", { className: "layer" });
  const grid = make("div", { className: "grid", role: "group" }, ground, cells, frame);

  /** Put the list's cells {row, column, text, share, kind, name} into `columns`; the Tab key leads to cell `at`. */
  function show(list, columns, at) {
    grid.style.setProperty("--columns", columns);
    grid.style.setProperty("--digits", Math.max(2, ...list.map(({ text }) => text.length)));
    fit(cells, list.length, (i) => button("", () => onTap(i))).forEach((cell, i) => {
      const { row, column, text, share, kind, name } = list[i];
      // A pixel keeps its own grey, also on a dark page, for it is a picture.
      const lightness = Math.round(22 + 75 * clamp(share, 0, 1));
      cell.style.cssText = `grid-area: ${row + 1} / ${column + 1}; color: ${lightness > 46 ? "#000" : "#fff"};`
        + (text && `background: hsl(40 6% ${lightness}%)`);
      cell.className = `cell ${kind}`;
      cell.textContent = text;
      cell.tabIndex = i === at ? 0 : -1;
      cell.ariaLabel = name;
    });
  }
  function place(left, top, width, height) {
    for (const [side, count] of Object.entries({ left, top, width, height })) {
      frame.style[side] = `calc(${count} * var(--cell))`;
    }
  }
  return { node: make("div", {}, title, grid), title, grid, ground, cells, frame, show, place };
}

function render({ model, el }) {
  let now; // the state and what follows from it
  let cursor = 0; // the pixel that the Tab key leads to
  let timer = null;

  const { get, change, follow } = stateOf(model, STATE);
  const goTo = (step) => change({ step: clamp(step, 0, now.count - 1) });
  const play = () => {
    timer = setInterval(() => (now.step < now.count - 1 ? goTo(now.step + 1) : pause()), 900);
    goTo(now.step < now.count - 1 ? now.step + 1 : 0);
  };
  const pause = () => {
    timer = clearInterval(timer);
    draw();
  };

  // All that was ever drawn: a picture that is cut and grows again gets its crack back; beyond it the road goes on.
  const start = get().values;
  const original = range(LARGEST).map((row) => range(LARGEST).map((column) =>
    start[Math.min(row, start.length - 1)][Math.min(column, start[0].length - 1)]));
  const canvas = original.map((row) => [...row]);
  const cut = (rows, columns) => canvas.slice(0, rows).map((row) => row.slice(0, columns));
  const tap = (index) => {
    const { size } = now.across, row = Math.floor(index / size), column = index % size;
    cursor = index;
    // A second tap gives back what was there; where the crack was from the start, pavement.
    const first = original[row][column] === now.crack ? now.pavement : original[row][column];
    canvas[row][column] = canvas[row][column] === now.crack ? first : now.crack;
    change({ values: cut(now.height, now.width) });
  };

  const controls = {
    dimensions: choice("dimensions", [[2, "2-D"], [1, "1-D"]], (dimensions) => change({ dimensions })),
    operation: choice("operation", [["max", "max"], ["average", "average"]], (operation) => change({ operation })),
    height: slider("height", 1, LARGEST, (height) => change({ values: cut(height, now.width) })),
    width: slider("width", 1, LARGEST, (width) => change({ values: cut(now.height, width) })),
    kernel_size: slider("kernel size", 1, 5, (kernel_size) => change({ kernel_size })),
    stride: slider("stride", 1, 4, (stride) => change({ stride })),
    padding: slider("padding", 0, 2, (padding) => change({ padding })),
  };
  const [dimensions, operation, ...sliders] = Object.values(controls).map(({ node }) => node);
  const input = board(tap), output = board(goTo);
  const boards = make("div", { className: "boards" }, input.node, output.node);
  const playing = button("Play", () => (timer ? pause() : play()));
  const buttons = [button("First", () => goTo(0)), button("Back", () => goTo(now.step - 1)),
    button("Next", () => goTo(now.step + 1)), button("Last", () => goTo(now.count - 1)), playing];
  const steps = make("div", { className: "steps" }, ...buttons);
  const where = make("span"), sum = make("strong"), sizes = make("p", { className: "sizes" });
  const told = make("div", {}, where, sum);
  openFigure(el, "Pooling, one window at a time", LOOK).append(
    make("div", { className: "choices" }, dimensions, operation), make("div", { className: "sliders" }, ...sliders),
    boards, steps, told, sizes);

  /** Let arrow keys go from cell to cell; `go` moves and gives back what to focus. */
  function onArrows(node, at, go) {
    node.addEventListener("keydown", (event) => {
      const to = keyMove(event.key, ...at());
      if (to === null) return;
      event.preventDefault(); // or the page scrolls
      go(to)?.focus();
    });
  }
  onArrows(input.grid, () => [cursor, input.cells.children.length, now.across.size], (to) => {
    cursor = to;
    draw();
    return input.cells.children[to];
  });
  const atStep = () => [now.step, now.count, now.columns];
  onArrows(output.grid, atStep, (to) => { goTo(to); return output.cells.children[to]; });
  onArrows(steps, atStep, (to) => { goTo(to); });

  function draw() {
    const state = get();
    const { values, pavement, crack, dimensions } = state;
    values.forEach((row, y) => row.forEach((value, x) => { canvas[y][x] = value; }));
    const wrong = problem(state), { down, across } = sides(state);
    const results = wrong ? [] : pool(state).flat(), count = results.length;
    const columns = wrong ? 1 : outputSize(across), step = clamp(state.step, 0, count - 1);
    now = { ...state, wrong, down, across, count, columns, step, height: values.length, width: values[0].length };

    for (const [name, control] of Object.entries(controls)) control.show(now[name]);
    controls.height.node.hidden = dimensions === 1;

    // With the first picture's numbers, so that greys do not shift when one number goes.
    const all = [...values.flat(), ...start.flat(), pavement, crack], low = Math.min(...all), high = Math.max(...all);
    const share = (value) => (high > low ? (value - low) / (high - low) : 1);
    const decimals = decimalsOf(values), text = (value) => numberText(value, decimals);
    const tall = down.size + 2 * down.padding, wide = across.size + 2 * across.padding;
    const shape = (height, width) => (dimensions === 2 ? `${height} × ${width}` : `${width}`);
    boards.className = dimensions === 2 ? "boards beside" : "boards";
    boards.style.setProperty("--widest", Math.max(wide, columns));
    boards.style.setProperty("--together", wide + columns);

    // The padding lies under the pixels, so that only its rim is seen.
    const missed = (y, x) => !wrong && !(reached(down, y) && reached(across, x));
    fit(input.ground, tall * wide, () => make("span")).forEach((cell, i) => {
      const y = Math.floor(i / wide), x = i % wide;
      cell.className = `cell empty ${missed(y - down.padding, x - across.padding) ? "missed" : ""}`;
      cell.style.gridArea = `${y + 1} / ${x + 1}`;
      cell.textContent = state.operation === "max" ? "−∞" : "0";
    });
    const pixels = values.slice(0, down.size).flat();
    cursor = Math.min(cursor, pixels.length - 1);
    input.show(pixels.map((value, i) => {
      const y = Math.floor(i / across.size), x = i % across.size, lost = missed(y, x);
      return {
        row: y + down.padding, column: x + across.padding, text: text(value), share: share(value),
        kind: lost ? "missed" : "",
        name: `row ${y}, column ${x}: ${text(value)}${value === crack ? ", crack" : ""}`
          + (lost ? ", no window reaches it" : ""),
      };
    }), wide, cursor);
    output.show(results.map((value, i) => {
      const row = Math.floor(i / columns), column = i % columns, done = i <= step; // what comes later is still empty
      const name = `output row ${row}, column ${column}: ${done ? text(value) : "not done yet"}`;
      return { row, column, text: done ? text(value) : "", share: share(value), kind: done ? "" : "empty", name };
    }), columns, step);

    const padded = state.padding ? `, padded to ${shape(tall, wide)}` : "";
    input.title.textContent = `Input, ${shape(down.size, across.size)} pixels${padded}. Tap one: crack or pavement.`;
    output.title.textContent = wrong ? "No output" : `Output, ${shape(count / columns, columns)} pixels. Tap one to go there.`;
    input.grid.ariaLabel = "Input. Arrow keys move, Enter draws.";
    output.grid.ariaLabel = "Output. Arrow keys step through it.";
    const row = Math.floor(step / columns), column = step % columns;
    input.frame.hidden = output.frame.hidden = Boolean(wrong);
    input.place(column * across.stride, row * down.stride, across.kernel, down.kernel);
    output.place(column, row, 1, 1);

    told.ariaLive = timer ? "off" : "polite"; // or every beat of the play is read aloud
    told.className = wrong ? "told sum problem" : "told sum";
    where.textContent = wrong ? "No window fits."
      : `Step ${step + 1} of ${count}: row ${row}, column ${column}`;
    sum.textContent = wrong ?? sumText(state, step);
    sizes.textContent = [
      ...(dimensions === 2 ? [down, across] : [across]).map((side) => (wrong ? "" : sizeText(side))),
      input.grid.querySelector(".missed") ? "Hatched: no window reaches these." : "",
    ].join("\n");
    for (const one of buttons) one.disabled = Boolean(wrong);
    playing.textContent = timer ? "Pause" : "Play";
  }

  const stop = follow(draw);
  return () => {
    clearInterval(timer);
    stop();
  };
}

export default { render };
