// What the theme leaves open, for readers without a server and for readers without a mouse.

// A page opened from the disk may not fetch another one, so search shows its results there without extracts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// A formula wider than the screen scrolls in its box; the keyboard must reach the box to scroll it.
function makeWideFormulasReachable() {
  for (const box of document.querySelectorAll("div.math, div.math mjx-container")) {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  }
}

window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  makeWideFormulasReachable();
  window.addEventListener("resize", makeWideFormulasReachable);
});
