/* Haar: a picture as its bands, some of them dropped or thinned out, and put together again.  common.js stands before
   this file.

   First the sums, plain functions that the tests hold against Python; then the picture.  `state` has the names of the
   Python figure: dropped, level, picture, rule, threshold.  A plane of numbers is {height, width, values}, row by row. */

const STATE = ["dropped", "level", "picture", "rule", "threshold"];
const LARGEST_LEVEL = 4, LARGEST_THRESHOLD = 100, LARGEST_SIDE = 256, UNIT = 2 ** LARGEST_LEVEL; // as in haar.py
const GAIN = 4; // details are drawn so many times as strong
const EDGES = { h: "horizontal edges", v: "vertical edges", d: "corners and diagonals", a: "averages" };

/** One step: averages and differences of the 2 × 2 blocks. */
export function split({ height, width, values }) {
  const bands = {};
  for (const letter of "ahvd") bands[letter] = { height: height / 2, width: width / 2, values: [] };
  for (let i = 0; i < height; i += 2) for (let j = 0; j < width; j += 2) {
    const at = i * width + j;
    const [p, q, r, s] = [values[at], values[at + 1], values[at + width], values[at + width + 1]];
    bands.a.values.push((p + q + r + s) / 2);
    bands.h.values.push((p + q - r - s) / 2);
    bands.v.values.push((p - q + r - s) / 2);
    bands.d.values.push((p - q - r + s) / 2);
  }
  return bands;
}

/** The way back of `split`. */
export function join({ a, h, v, d }) {
  const height = 2 * a.height, width = 2 * a.width, values = new Array(height * width);
  a.values.forEach((average, i) => {
    const [down, across, both] = [h, v, d].map((band) => band.values[i]);
    const at = 2 * Math.floor(i / a.width) * width + 2 * (i % a.width);
    values[at] = (average + down + across + both) / 2;
    values[at + 1] = (average + down - across - both) / 2;
    values[at + width] = (average - down + across - both) / 2;
    values[at + width + 1] = (average - down - across + both) / 2;
  });
  return { height, width, values };
}

/** The names of all bands, from the first step to the last: "h1", "v1", "d1", "h2", ..., and the averages. */
export function namesOf(level) {
  const details = range(level).map((i) => [..."hvd"].map((letter) => `${letter}${i + 1}`));
  return [...details.flat(), `a${level}`];
}

/** Name -> band. */
export function bandsOf(x, level) {
  const found = {};
  for (let step = 1; step <= level; step += 1) {
    const { a, ...details } = split(x);
    for (const [letter, band] of Object.entries(details)) found[letter + step] = band;
    x = a;
  }
  return { ...found, [`a${level}`]: x };
}

/** What is left of the bands: dropped ones are 0, and small details go by the rule. */
export function thinned(bands, { dropped, rule, threshold }) {
  const hard = (one) => (Math.abs(one) < threshold ? 0 : one);
  const soft = (one) => Math.sign(one) * Math.max(Math.abs(one) - threshold, 0);
  const detail = rule === "hard" ? hard : soft;
  return Object.fromEntries(Object.entries(bands).map(([name, band]) => {
    const change = dropped.includes(name) ? () => 0 : name[0] === "a" ? (one) => one : detail;
    return [name, { ...band, values: band.values.map(change) }];
  }));
}

/** Put the picture together from its bands. */
export function rebuild(bands, level) {
  let a = bands[`a${level}`];
  for (let step = level; step; step -= 1) {
    a = join({ a, h: bands[`h${step}`], v: bands[`v${step}`], d: bands[`d${step}`] });
  }
  return a;
}

/** All that is computed from a state. */
export function transform(state, x = unpack(state.picture)) {
  const bands = bandsOf(x, state.level), kept = thinned(bands, state);
  return { picture: x, bands, kept, rebuilt: rebuild(kept, state.level) };
}

const sumOf = (values) => values.reduce((sum, one) => sum + one, 0);
const squaresOf = (values) => values.reduce((sum, one) => sum + one * one, 0);
/** The energy of numbers, their mean left out.  All sums are exact; one division and one subtraction round. */
const energyOf = (values) => squaresOf(values) - sumOf(values) ** 2 / values.length;
/** The energy of a band; the mean grey of the picture is in the averages alone. */
const bandEnergy = (name, { values }) => (name[0] === "a" ? energyOf : squaresOf)(values);
const apart = (these, those) => these.map((one, i) => one - those[i]);
const sum = (numbers) => Object.values(numbers).reduce((all, one) => all + one, 0);

/** The energy of each band, the mean grey left out. */
export function energiesOf(bands) {
  return Object.fromEntries(Object.entries(bands).map(([name, band]) => [name, bandEnergy(name, band)]));
}

/** How much is left, what energy it has, and how far the rebuilt picture is from the picture. */
export function numbersOf({ picture, bands, kept, rebuilt }) {
  const off = apart(picture.values, rebuilt.values), total = off.length;
  const lost = Object.fromEntries(Object.keys(bands).map((name) =>
    [name, { values: apart(bands[name].values, kept[name].values) }]));
  return {
    nonzero: sum(Object.values(kept).map(({ values }) => values.filter((one) => one !== 0).length)),
    total,
    energy: energyOf(picture.values),
    kept: sum(energiesOf(kept)),
    error: energyOf(off),
    lost: sum(energiesOf(lost)), // the error again, counted in the bands
    rms: Math.sqrt(squaresOf(off) / total),
    mean: Math.abs(sumOf(off)) / total,
  };
}

/** A share in percent; never rounded to 0 or to 100 if it is neither. */
export function percent(share) {
  const text = `${(100 * share).toFixed(2)}\u00a0%`;
  if (share > 0 && text.startsWith("0.00")) return "under 0.01\u00a0%";
  return share < 1 && text.startsWith("100") ? "over 99.99\u00a0%" : text;
}

/** What the figure says: of what is left, of the error, and of the picture that came back. */
export function sentences(numbers, { rule, threshold }) {
  const { nonzero, total, energy, kept, error, lost, rms, mean } = numbers;
  const count = (one) => whole(Math.round(one));
  const left = `${percent(nonzero / total)} of the numbers are not 0: ${count(nonzero)} of ${count(total)}.`
    + ` They have ${percent(energy ? kept / energy : 1)} of the energy; the mean grey is left out.`;
  if (!rms) return [left, "Nothing was changed, and the picture comes back whole: its error is 0."];
  const shrunk = rule === "soft" && threshold > 0;
  return [
    left,
    `Energy of the error: ${count(lost)} in the bands, ${count(error)} in the picture.`
      + ` ${shrunk ? "The soft rule also moves what it keeps, so more energy is gone than the error has."
        : `It is the energy that is gone, ${percent(energy ? error / energy : 0)}.`}`
      + (mean ? ` The mean grey is gone, too: ${numberText(mean, 1)}.` : ""),
    `The rebuilt picture: PSNR ${(20 * Math.log10(255 / rms)).toFixed(1)}\u00a0dB; root mean square error`
      + ` ${numberText(rms, 1)} grey levels of 255.`,
  ];
}

/** How large a file's picture becomes: first scaled, then cut at its sides to what `level` steps can halve. */
export function sizes(height, width) {
  const shrink = Math.min(1, LARGEST_SIDE / Math.max(height, width));
  const scaled = [height, width].map((side) => Math.max(1, Math.round(side * shrink)));
  return { scaled, cut: scaled.map((side) => side - (side % UNIT)) };
}

// ---- the picture ------------------------------------------------------------------------------------

const LOOK = `
  .controls { display: grid; grid: auto-flow / repeat(auto-fit, minmax(9rem, 1fr)); gap: 4px 20px; align-items: end; }
  .choice { width: fit-content; font-size: 14px; }
  .choice span { padding: 6px 11px; }
  .boards { display: grid; gap: 12px; margin: 12px 0; }
  @container (min-width: 30rem) { .boards { grid-template-columns: repeat(2, minmax(0, 1fr)); align-items: end; } }
  .caption { margin-bottom: 4px; }
  .board { position: relative; overflow: hidden; border-radius: 3px; }
  .band { position: absolute; border: solid rgb(255 255 255 / 55%); border-width: 0 1px 1px 0; cursor: pointer; }
  .band b { display: block; width: fit-content; padding: 0 4px; background: rgb(0 0 0 / 62%); color: #fff;
    font-size: 12px; line-height: 1.35; }
  .band.small b { padding: 0 1px; font-size: 9px; line-height: 1.1; }
  .band.dropped b { text-decoration: line-through; }
  .bands { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 6px; max-width: 34rem; }
  .bands button { min-height: 44px; padding: 2px; border: 1px solid var(--line); border-radius: 8px;
    background: transparent; font-size: 13px; line-height: 1.4; }
  .bands button:hover { border-color: currentColor; }
  .bands b, .bands span { display: block; }
  .bands b { font-weight: 600; }
  .bands [aria-pressed="true"] { border-color: var(--blue); box-shadow: inset 0 -4px var(--blue); }
  .bands [aria-pressed="false"] b { text-decoration: line-through; }
  .told { margin: 12px 0; font-size: 14px; }
  .told p:first-child { font-weight: 600; }
  .own { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; font-size: 14px; }
  .own .button { position: relative; display: flex; align-items: center; padding: 0 12px; }
  .own input { position: absolute; inset: 0; width: 100%; opacity: 0; cursor: pointer; }
  .own p { flex: 1 1 14rem; }
`;

const PROMISE = "A picture of yours stays in this browser; it is sent nowhere.";

/** Read a file of the reader's: grey, scaled and cut. */
async function pictureFrom(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) throw new Error(`${file.name} is no picture that this browser can read.`);
  const { scaled, cut } = sizes(bitmap.height, bitmap.width);
  const [height, width] = cut;
  if (!height || !width) {
    throw new Error(`${file.name} has ${bitmap.height} × ${bitmap.width} pixels, and ${scaled.join(" × ")} here:`
      + ` each side needs ${UNIT} or more.`);
  }
  const brush = make("canvas", { height, width }).getContext("2d");
  brush.imageSmoothingQuality = "high";
  brush.fillStyle = "#fff"; // under what is transparent
  brush.fillRect(0, 0, width, height);
  const [top, left] = scaled.map((side, i) => -Math.floor((side - cut[i]) / 2));
  brush.drawImage(bitmap, left, top, scaled[1], scaled[0]);
  const { data } = brush.getImageData(0, 0, width, height);
  const values = Array.from({ length: height * width }, (_, i) =>
    Math.floor((299 * data[4 * i] + 587 * data[4 * i + 1] + 114 * data[4 * i + 2] + 500) / 1000));
  const words = `${file.name}: ${height} × ${width} of ${bitmap.height} × ${bitmap.width} pixels, in grey.`
    + ` ${PROMISE}`;
  return { picture: { height, width, values }, words };
}

/** A place to draw numbers of 0 (black) to 255 (white). */
function board(label) {
  const canvas = make("canvas", { role: "img" });
  return {
    canvas,
    size(height, width) { Object.assign(canvas, { height, width }); },
    /** Draw a plane with its first pixel at (top, left). */
    put({ height, width, values }, shade, top = 0, left = 0) {
      const image = new ImageData(width, height); // it cuts off what is below 0 or above 255
      values.forEach((one, i) => {
        image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = shade(one);
        image.data[4 * i + 3] = 255;
      });
      canvas.getContext("2d").putImageData(image, left, top);
    },
    say(text) { canvas.ariaLabel = `${label}: ${text}`; },
  };
}

/** Where a band lies, in shares of the picture: averages in the corner, h to the right, v below, d across from it. */
function placeOf(name) {
  const side = 1 / 2 ** Number(name[1]);
  return { side, top: "vd".includes(name[0]) ? side : 0, left: "hd".includes(name[0]) ? side : 0 };
}

function render({ model, el }) {
  let now, own = null; // a picture of the reader's is no part of the state, for that may go to a kernel elsewhere
  let pixels = { of: null }, chosen = 0;
  const { get, change, follow, reset, redraw } = stateOf(model, STATE, {
    undo() {
      chosen += 1; // a file that is still being read comes too late
      take(null, PROMISE);
    },
    isMore: () => Boolean(own),
  });
  /** Drop a band, or take it back. */
  const toggle = (name) => change({
    dropped: now.dropped.includes(name) ? now.dropped.filter((one) => one !== name) : [...now.dropped, name].sort() });

  const controls = {
    level: slider("steps", 1, LARGEST_LEVEL, (level) => change({ level })),
    threshold: slider("threshold for the details", 0, LARGEST_THRESHOLD, (threshold) => change({ threshold })),
    rule: choice("rule", [["hard", "hard"], ["soft", "soft"]], (rule) => change({ rule })),
  };
  const boards = { bands: board("The bands"), joined: board("Put together again") };
  // The buttons below say and do all this for those who do not see it or do not point.
  const frames = make("div", { "aria-hidden": "true" });
  const buttons = make("div", { className: "bands", role: "group", ariaLabel: "Bands that are kept" });
  const told = make("div", { className: "told", ariaLive: "polite" });

  const input = make("input", { type: "file", accept: "image/*", ariaLabel: "Take your own picture" });
  const note = make("p", { ariaLive: "polite", textContent: PROMISE });
  const back = button("back to the first one", () => take(null, PROMISE));
  const take = (picture, words) => {
    own = picture;
    note.textContent = words;
    redraw();
  };
  input.addEventListener("change", async () => {
    const [file] = input.files, mine = (chosen += 1);
    if (!file) return;
    input.value = ""; // or the same file could not be chosen again
    try {
      const { picture, words } = await pictureFrom(file);
      if (mine === chosen) take(picture, words); // a later file may have been read first
    } catch (error) {
      if (mine === chosen) note.textContent = error.message;
    }
  });

  openFigure(el, "Bands of the Haar transform", LOOK).append(
    make("div", { className: "controls" }, controls.level.node, controls.threshold.node,
      make("div", {}, make("p", { className: "caption", "aria-hidden": "true" }, "rule"), controls.rule.node), reset),
    make("div", { className: "boards" },
      make("div", {}, caption(`The bands; details ${GAIN} times as strong, 0 is grey.`),
        make("div", { className: "board" }, boards.bands.canvas, frames)),
      make("div", {}, caption("Put together again."), make("div", { className: "board" }, boards.joined.canvas))),
    caption("Choose a band to drop it. In percent: its share of the picture's energy, the mean grey left out."), buttons, told,
    make("div", { className: "own" },
      make("label", { className: "button file" }, input, make("span", {}, "your own picture")), back, note));

  function drawBands({ kept, picture }) {
    const { level, dropped } = now;
    boards.bands.size(picture.height, picture.width);
    const names = namesOf(level);
    fit(frames, names.length, (i) => make("div", { onclick: () => toggle(namesOf(now.level)[i]) }, make("b")))
      .forEach((frame, i) => {
        const name = names[i], { side, top, left } = placeOf(name), scale = 2 ** Number(name[1]);
        boards.bands.put(kept[name], name[0] === "a" ? (one) => one / scale : (one) => 128 + GAIN * one / scale,
          top * picture.height, left * picture.width);
        frame.className = `band${side < 0.1 ? " small" : ""}${dropped.includes(name) ? " dropped" : ""}`;
        frame.style.cssText = `top: ${100 * top}%; left: ${100 * left}%; width: ${100 * side}%; height: ${100 * side}%`;
        frame.firstChild.textContent = name;
      });
  }

  function drawButtons(found, energy) {
    const names = namesOf(now.level), energies = energiesOf(found);
    fit(buttons, names.length, (i) => {
      const one = button("", () => toggle(namesOf(now.level)[i]), "");
      one.append(make("b"), make("span"));
      return one;
    }).forEach((one, i) => {
      const name = names[i], share = percent(energies[name] / (energy || 1));
      one.firstChild.textContent = name;
      one.lastChild.textContent = share.replace("under", "<").replace("over", ">");
      one.ariaLabel = `${name}, ${EDGES[name[0]]}: ${share} of the energy`;
      one.style.gridArea = `${name[1]} / ${1 + "hvda".indexOf(name[0])}`; // a row for each step
      one.ariaPressed = !now.dropped.includes(name);
    });
  }

  function draw() {
    now = get();
    for (const [name, control] of Object.entries(controls)) control.show(now[name]);
    if (pixels.of !== now.picture) pixels = { of: now.picture, read: unpack(now.picture) };
    back.hidden = !own;

    const found = transform(now, own ?? pixels.read), numbers = numbersOf(found);
    drawBands(found);
    drawButtons(found.bands, numbers.energy);
    boards.joined.size(found.rebuilt.height, found.rebuilt.width);
    boards.joined.put(found.rebuilt, (one) => one);
    const said = sentences(numbers, now);
    fit(told, said.length, () => make("p")).forEach((line, i) => { line.textContent = said[i]; });
    const gone = namesOf(now.level).filter((name) => now.dropped.includes(name));
    boards.bands.say(gone.length ? `${gone.join(", ")} dropped` : "none dropped");
    boards.joined.say(said.at(-1));
  }

  return follow(draw);
}

export default { render };
