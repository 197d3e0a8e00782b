// What the theme leaves open, for readers without a server and for readers without a mouse.

// A page opened from the disk may not fetch another one, so search shows its results there without extracts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// A formula wider than the screen scrolls in its box; the keyboard must reach the box to scroll it.
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  for (const box of document.querySelectorAll("div.math, div.math mjx-container")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
