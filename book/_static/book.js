// What the theme leaves open, for readers without a server, without a mouse, and on a slow line.

// A page opened from the disk may not fetch another one, so search shows its results there without extracts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

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
