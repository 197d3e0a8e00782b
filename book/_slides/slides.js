// Starts the deck when its formulas are drawn, and makes what is on a slide fit it.

const SIZES = [32, 30, 28, 26, 24]; // of the letters; smaller ones the last row could not read
const [LOWEST, RIGHT] = [680, 1232]; // how far down and to the right a slide may be written on

const ZOOMS = [1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1]; // of a figure that moves, whose letters are made for a page
const FIGURE = 880; // its width

// How far a slide is written on, downwards and to the right, in its own pixels; a figure that moves scrolls.
function used(slide) {
  const { left, top, width } = slide.getBoundingClientRect();
  const scale = width / slide.offsetWidth;
  const seen = (one) => one.checkVisibility() && !one.closest("aside, mjx-assistive-mml, .moving");
  const boxes = [...slide.querySelectorAll("*")].filter(seen).map((one) => one.getBoundingClientRect());
  const bottom = Math.max(0, ...boxes.map((box) => (box.bottom - top) / scale));
  return { bottom, right: Math.max(0, ...boxes.map((box) => (box.right - left) / scale)) };
}

function fit(slide) {
  if (!slide || !slide.offsetWidth) return;
  for (const size of SIZES) {
    slide.style.fontSize = `${size}px`;
    const { bottom, right } = used(slide);
    if (bottom <= LOWEST && right <= RIGHT) break;
  }
  const figure = slide.querySelector("[data-figure]");
  if (!figure) return;
  const frame = figure.closest(".moving");
  for (const zoom of ZOOMS) {
    Object.assign(figure.style, { zoom, width: `${FIGURE / zoom}px` });
    if (frame.scrollHeight <= frame.clientHeight) break;
  }
}

async function start() {
  await window.MathJax?.startup.promise;
  const deck = new Reveal(document.querySelector(".reveal"), {
    width: 1280,
    height: 720,
    margin: 0,
    center: false,
    hash: true,
    slideNumber: "c/t",
    transition: "none",
    plugins: [RevealNotes],
  });
  deck.on("slidechanged", (event) => fit(event.currentSlide));
  deck.on("pdf-ready", () => document.querySelectorAll(".slides section section").forEach(fit));
  await deck.initialize();
  window.deck = deck;
  fit(deck.getCurrentSlide());
  // A figure that moves is drawn by a module, and grows while it is used.
  const growing = new ResizeObserver(() => fit(deck.getCurrentSlide()));
  document.querySelectorAll("[data-figure]").forEach((figure) => growing.observe(figure));
}

start();
