// What the theme leaves open, for readers without a server, without a mouse, and on a slow line.

// A page opened from the disk may not fetch another one, so search shows its results there without extracts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// In another language the page brings the words of these scripts along; what it lacks is said in English.
function say(text, values = {}) {
  return (window.siteWords?.[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// Figures that move: the module of a figure is loaded when one of its places comes into view, once for all of them.
window.figureModule = async (address, places) => {
  await inView(places);
  return import("data:text/javascript," + encodeURIComponent(await window.figureText(address)));
};

// From the disk a page may fetch no text, but it may load a script: each of these leaves a text in figureSources.
const texts = {};
window.figureText = (address) => {
  texts[address] ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.figureSources[address.slice(address.lastIndexOf("/") + 1)]);
    script.onerror = reject;
    document.head.append(script);
  });
  return texts[address];
};

function inView(places) {
  return new Promise((resolve) => {
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watcher.disconnect();
      resolve();
    }, { rootMargin: "200px" });
    places.forEach((place) => watcher.observe(place));
  });
}

// A formula wider than the screen scrolls in its box; the keyboard must reach the box to scroll it.
function makeWideFormulasReachable() {
  for (const box of document.querySelectorAll("div.math, div.math mjx-container")) {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  }
}

// What is folded opens for a reader who comes by a link, be it to the heading on the fold or to a place inside.
function unfold() {
  const place = location.hash && document.getElementById(location.hash.slice(1));
  if (!place) return;
  const folds = [...place.querySelectorAll(":scope > details.deeper")];
  for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) folds.push(fold);
  if (folds.every((fold) => fold.open)) return;
  folds.forEach((fold) => { fold.open = true; });
  place.scrollIntoView();
}
document.addEventListener("DOMContentLoaded", unfold);
window.addEventListener("hashchange", unfold);
// The reader may have closed it again: a second press on the same link changes no address.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href*='#']");
  if (link && link.href === location.href) unfold();
});
document.addEventListener("toggle", makeWideFormulasReachable, true); // it had no width to be measured by

// MathJax weighs more than the page: the words come first.  `formulas` is done when all of them are drawn.
window.formulas = new Promise((resolve) => {
  const wanted = document.querySelector('meta[name="formulas"]');
  window.addEventListener("load", () => {
    if (!wanted) return resolve();
    const script = document.createElement("script");
    script.src = wanted.content;
    script.onload = async () => {
      await window.MathJax.startup.promise;
      makeWideFormulasReachable();
      window.addEventListener("resize", makeWideFormulasReachable);
      resolve();
    };
    document.head.append(script);
  });
});

// Which exercises are done, as the reader marks them: kept in this browser alone, in the form of the file that
// `progress(save=...)` of a notebook writes.  Number -> {tried: day, done: day}.
const SHELF = "keep-the-crack progress";
const BOOK = { book: "Keep the Crack", version: 1 };

function readProgress() {
  try {
    return progressIn(localStorage.getItem(SHELF));
  } catch {
    return {}; // nothing there, or nothing of ours
  }
}

function progressAsText(exercises) {
  return JSON.stringify({ ...BOOK, exercises }, null, 1) + "\n";
}

// Throws an Error that says what is wrong with the text.
function progressIn(text) {
  let told;
  try {
    told = JSON.parse(text);
  } catch {
    throw new Error(say("it is not JSON"));
  }
  if (told?.book !== BOOK.book || told.version !== BOOK.version) throw new Error(say("it is not of this book"));
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (!isObject(told.exercises)) throw new Error(say("it names no exercises"));
  for (const [number, days] of Object.entries(told.exercises)) {
    const known = /^\d{1,4}\.\d{1,4}$/.test(number) && isObject(days) && "tried" in days
      && Object.entries(days).every(([key, day]) => ["tried", "done"].includes(key) && isDay(day));
    if (!known) throw new Error(say("what it says of {number} is not understood", { number }));
  }
  return told.exercises;
}

function isDay(day) {
  const time = new Date(`${day}T00:00Z`);
  return typeof day === "string" && !isNaN(time) && time.toISOString().slice(0, 10) === day;
}

// What either of them holds; of two days, the first.
function mergedProgress(one, other) {
  const both = {};
  for (const number of new Set([...Object.keys(one), ...Object.keys(other)])) {
    both[number] = {};
    for (const key of ["tried", "done"]) {
      const days = [one[number]?.[key], other[number]?.[key]].filter(Boolean).sort();
      if (days.length) both[number][key] = days[0];
    }
  }
  return both;
}

function mark(number, done) {
  const now = new Date();
  const today = new Date(now - now.getTimezoneOffset() * 60000).toISOString().slice(0, 10);
  const exercises = readProgress();
  const { tried = today, done: before = today } = exercises[number] ?? {};
  exercises[number] = done ? { tried, done: before } : { tried };
  localStorage.setItem(SHELF, progressAsText(exercises));
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function showProgress() {
  try { // it throws where a browser keeps nothing, and may be missing
    localStorage.setItem(`${SHELF} trial`, "1");
    localStorage.removeItem(`${SHELF} trial`);
  } catch {
    return;
  }
  const updates = [];
  for (const line of document.querySelectorAll("[data-exercise]")) {
    const number = line.dataset.exercise;
    const box = element("input", { type: "checkbox" });
    const which = element("span", { className: "unseen" }, " " + say("with Exercise {number}", { number }));
    line.append(element("label", {}, box, " " + say("Done"), which));
    box.addEventListener("change", () => mark(number, box.checked));
    updates.push(() => { box.checked = "done" in (readProgress()[number] ?? {}); });
  }
  const place = document.querySelector("[data-exercises]");
  if (place) updates.push(showCount(place));
  const update = () => updates.forEach((one) => one());
  update();
  window.addEventListener("storage", update); // another page of the book is open, too
  window.addEventListener("pageshow", update); // the reader came back to a page that was kept as it was
}

// The line of the first page, with buttons for a file; returns what brings it up to date.
function showCount(place) {
  const numbers = place.dataset.exercises.split(" ");
  const count = element("p", { className: "count" });
  const said = element("p", { role: "status" });
  const file = element("input", { type: "file", accept: ".json,application/json", hidden: true });
  const save = element("button", { type: "button" }, say("Save as a file"));
  const load = element("button", { type: "button" }, say("Add from a file"));
  const update = () => {
    const kept = readProgress();
    const done = numbers.filter((number) => "done" in (kept[number] ?? {})).length;
    count.textContent = say("{done} of {all} exercises done on this device", { done, all: numbers.length });
  };
  save.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([progressAsText(readProgress())], { type: "application/json" }));
    element("a", { href: address, download: "progress.json" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  });
  load.addEventListener("click", () => file.click());
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    try {
      const found = progressIn(await chosen.text());
      localStorage.setItem(SHELF, progressAsText(mergedProgress(readProgress(), found)));
      const all = Object.values(found);
      const done = all.filter((days) => "done" in days);
      const counts = { name: chosen.name, tried: all.length, done: done.length };
      said.textContent = say("Added {name}: {tried} tried, {done} done.", counts);
    } catch (error) {
      said.textContent = say("{name} cannot be used: {reason}.", { name: chosen.name, reason: error.message });
    }
    file.value = ""; // so that the same file can be chosen again
    update();
  });
  const link = element("a", { href: "api/exercises.html#chapters_code.exercises.progress" });
  link.append(element("code", {}, "progress"));
  const [before, after] = say("Mark an exercise as done below its heading. In a notebook, {link} reads and writes "
    + "the same file.").split("{link}");
  const words = element("p", {}, before, link, after);
  place.append(element("div", {}, count, words), element("div", { className: "buttons" }, save, load, file), said);
  place.hidden = false;
  return update;
}
document.addEventListener("DOMContentLoaded", showProgress);
