/* Window: pooling and convolution, one window at a time.  common.js stands before this file.

   First the sums, plain functions that the tests hold against PyTorch; then the picture.  `state` has the names of
   the Python figure: values (rows of numbers), dimensions, kernel_size, stride, padding, operation, kernel, step. */

const STATE = ["values", "dimensions", "kernel_size", "stride", "padding", "operation", "kernel", "step", "pavement",
  "crack"];
const LARGEST = 10, HEAVIEST = 999; // rows and columns, and a weight, as in window.py
// Kernels to begin with, by what they do.
export const KERNELS = {
  "keep the middle": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
  blur: [[1 / 16, 2 / 16, 1 / 16], [2 / 16, 4 / 16, 2 / 16], [1 / 16, 2 / 16, 1 / 16]],
  "darker than around": [[1 / 8, 1 / 8, 1 / 8], [1 / 8, -1, 1 / 8], [1 / 8, 1 / 8, 1 / 8]],
  "left minus right": [[0, 0, 0], [1, 0, -1], [0, 0, 0]],
};

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
  if (state.padding > half && state.operation !== "convolution") {
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

/** The weights of the convolution, in reading order; those that the kernel does not name are 0. */
export function weightsOf({ kernel, kernel_size: side, dimensions }) {
  return range(dimensions === 2 ? side * side : side).map((i) => kernel[Math.floor(i / side)]?.[i % side] ?? 0);
}

/** A kernel as a row sees it, on a picture with equal rows: the sums of its columns. */
export function flatten(kernel) {
  return [kernel[0].map((_, column) => kernel.reduce((sum, row) => sum + row[column], 0))];
}

/** The one number that a window gives. */
function keep(numbers, state) {
  if (state.operation === "max") return Math.max(...numbers);
  if (state.operation === "average") return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const weights = weightsOf(state);
  return numbers.reduce((sum, number, i) => sum + number * weights[i], 0);
}

/** The whole output, rows of numbers: those of torch.nn.functional's max_pool2d, avg_pool2d and conv2d, and of the
    1-D forms. */
export function pool(state) {
  const { down, across } = sides(state);
  const columns = outputSize(across);
  return range(outputSize(down)).map((row) => range(columns).map((column) =>
    keep(windowNumbers(state, row * columns + column), state)));
}

/** As many decimals as these numbers have, and at least two for a mean. */
function decimalsOf(values) {
  return Math.max(2, ...values.flat().map((number) => (String(number).split(".")[1] ?? "").length));
}

/** The sum being done, as one would write it: "max(7, 7, 1, 7) = 7", "(7 + 7 + 1 + 7) / 4 = 5.5", "7·0.5 + 1·(−1) = 2.5";
    what has the weight 0 is left out. */
export function sumText(state, step) {
  const weights = state.operation === "convolution" ? weightsOf(state) : [];
  const decimals = decimalsOf([...state.values, weights]);
  const numbers = windowNumbers(state, step);
  const terms = numbers.map((number) => numberText(number, decimals));
  const kept = keep(numbers, state);
  const inBrackets = (term) => term.replace(/^−.*/, "($&)");
  const equals = Math.abs(kept.toFixed(decimals) - kept) < 1e-9 ? "=" : "≈";
  const result = ` ${equals}\u00a0${numberText(kept, decimals)}`;
  if (state.operation === "max") return `max(${terms.join(", ")})${result}`;
  if (state.operation === "average") return `(${terms.map(inBrackets).join(" + ")}) / ${terms.length}${result}`;
  const products = weights.flatMap((weight, i) =>
    (weight ? [`${inBrackets(terms[i])}·${inBrackets(numberText(weight, decimals))}`] : []));
  return `${products.join(" + ") || 0}${result}`;
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
  .top { gap: 12px; }
  .editor { margin-bottom: 14px; }
  .weights { display: grid; gap: 4px; grid: auto-flow minmax(38px, auto) / repeat(var(--columns), minmax(0, 4.5rem)); }
  .weights input { width: 100%; padding: 0; border: 1px solid var(--line); border-radius: 4px; background: none;
    text-align: center; appearance: textfield; }
  .weights input::-webkit-inner-spin-button { appearance: none; }
  .weights [aria-invalid="true"] { border: 2px dashed var(--vermillion); }
  .kernels { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 8px; font-size: 14px; }
  .kernels .button { padding: 0 10px; }
  .kernels [aria-pressed="true"] { border-color: currentColor; border-width: 2px; font-weight: 600; }
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

  const { get, change, follow, reset, redraw } = stateOf(model, STATE, {
    undo() {
      canvas = original.map((row) => [...row]);
      if (timer) pause();
    },
    isMore: () => Boolean(timer) || JSON.stringify(canvas) !== JSON.stringify(original),
  });
  const goTo = (step) => change({ step: clamp(step, 0, now.count - 1) });
  const play = () => {
    timer = setInterval(() => (now.step < now.count - 1 ? goTo(now.step + 1) : pause()), 900);
    goTo(now.step < now.count - 1 ? now.step + 1 : 0);
  };
  const pause = () => {
    timer = clearInterval(timer);
    redraw();
  };

  // All that was ever drawn: a picture that is cut and grows again gets its crack back; beyond it the road goes on.
  const { values: start, operation: first } = get();
  const original = range(LARGEST).map((row) => range(LARGEST).map((column) =>
    start[Math.min(row, start.length - 1)][Math.min(column, start[0].length - 1)]));
  let canvas = original.map((row) => [...row]);
  const cut = (rows, columns) => canvas.slice(0, rows).map((row) => row.slice(0, columns));
  const tap = (index) => {
    const { size } = now.across, row = Math.floor(index / size), column = index % size;
    cursor = index;
    // A second tap gives back what was there; where the crack was from the start, pavement.
    const first = original[row][column] === now.crack ? now.pavement : original[row][column];
    canvas[row][column] = canvas[row][column] === now.crack ? first : now.crack;
    change({ values: cut(now.height, now.width) });
  };

  const operations = ["max", "average", ...(first === "convolution" ? [first] : [])];
  const controls = {
    dimensions: choice("dimensions", [[2, "2-D"], [1, "1-D"]], (dimensions) => change({ dimensions })),
    operation: choice("operation", operations.map((one) => [one, one]), (operation) => change({ operation })),
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

  const kernelTitle = caption();
  const weights = make("div", { className: "weights", role: "group", ariaLabel: "Kernel" });
  /** Take what stands in the field of a weight; a field with no number waits for one. */
  const weigh = (i, field) => {
    const weight = Math.round(1e4 * field.valueAsNumber) / 1e4, wrong = !(Math.abs(weight) <= HEAVIEST);
    field.ariaInvalid = wrong;
    if (wrong) return;
    const { kernel, kernel_size: side } = now, rows = Math.max(side, kernel.length, kernel[0].length);
    change({ kernel: range(rows).map((row) => range(rows).map((column) =>
      (i === row * side + column && column < side ? weight : kernel[row]?.[column] ?? 0))) });
  };
  const weightField = (i) => make("input", { type: "number", step: "any", min: -HEAVIEST, max: HEAVIEST,
    oninput: ({ currentTarget }) => weigh(i, currentTarget), onblur: () => draw() });
  const kernelOf = (name) => (now.dimensions === 2 ? KERNELS[name] : flatten(KERNELS[name]));
  const kernels = Object.keys(KERNELS).map((name) => button(name, () =>
    change({ kernel: kernelOf(name), kernel_size: 3 })));
  const editor = make("div", { className: "editor" }, kernelTitle, weights,
    make("div", { className: "kernels" }, ...kernels));

  const title = `${first === "convolution" ? "Convolution" : "Pooling"}, one window at a time`;
  openFigure(el, title, LOOK).append(
    make("div", { className: "top" }, dimensions, operation, reset), make("div", { className: "sliders" }, ...sliders),
    editor, boards, steps, told, sizes);

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
    const convolution = state.operation === "convolution";
    editor.hidden = !convolution;
    if (convolution) drawKernel();

    // With the first picture's numbers, so that greys do not shift when one number goes.
    const all = [...values.flat(), ...start.flat(), pavement, crack], low = Math.min(...all), high = Math.max(...all);
    const share = (value) => (high > low ? (value - low) / (high - low) : 1);
    const decimals = decimalsOf(values), text = (value) => numberText(value, decimals);
    // A convolution has numbers of its own: its greys reach from its smallest to its largest.
    const least = Math.min(...results), most = Math.max(...results);
    const shareOut = convolution ? (value) => (most > least ? (value - least) / (most - least) : 1) : share;
    const textOut = convolution ? (value) => numberText(value, 2) : text;
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
      const name = `output row ${row}, column ${column}: ${done ? textOut(value) : "not done yet"}`;
      return { row, column, text: done ? textOut(value) : "", share: shareOut(value), kind: done ? "" : "empty", name };
    }), columns, step);

    const padded = state.padding ? `, padded to ${shape(tall, wide)}` : "";
    input.title.textContent = `Input, ${shape(down.size, across.size)} pixels${padded}. Tap one: crack or pavement.`;
    const greys = convolution ? " White is its largest number, dark its smallest." : "";
    output.title.textContent = wrong ? "No output"
      : `Output, ${shape(count / columns, columns)} pixels. Tap one to go there.${greys}`;
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
    buttons.forEach((one, i) => {
      one.disabled = Boolean(wrong);
      disable(one, (i < 2 && step === 0) || ((i === 2 || i === 3) && step === count - 1));
    });
    playing.textContent = timer ? "Pause" : "Play";
  }

  /** The kernel's fields; what the reader is typing stays as it is. */
  function drawKernel() {
    const { kernel_size: side, dimensions } = now, all = weightsOf(now);
    kernelTitle.textContent = `The kernel, ${dimensions === 2 ? square(side) : side}. Each weight lies on one pixel of the`
      + " window. Type another, or take one of these.";
    weights.style.setProperty("--columns", side);
    fit(weights, all.length, weightField).forEach((field, i) => {
      field.ariaLabel = `weight row ${Math.floor(i / side)}, column ${i % side}`;
      if (field.matches(":focus") && (field.ariaInvalid === "true" || field.valueAsNumber === all[i])) return;
      field.value = all[i];
      field.ariaInvalid = "false";
    });
    kernels.forEach((one) => {
      const same = weightsOf({ ...now, kernel: kernelOf(one.textContent) });
      one.ariaPressed = side === 3 && same.every((weight, i) => weight === all[i]);
    });
  }

  const stop = follow(draw);
  return () => {
    clearInterval(timer);
    stop();
  };
}

export default { render };
