// A list that renews itself keeps its place: the rows that were in sight stay where they are. htmx keeps the focus.
"use strict";

let inSight = [];
const topOf = (row) => row.getBoundingClientRect().top;

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "worklist" || window.scrollY === 0) { inSight = []; return; }
  const rows = [...event.detail.target.querySelectorAll("tbody tr")];
  inSight = rows.filter((row) => topOf(row) >= 0).map((row) => [row.id, topOf(row)]);
});
const keepPlace = () => {
  const found = inSight.find(([id]) => document.getElementById(id));
  if (found) window.scrollBy({ top: topOf(document.getElementById(found[0])) - found[1], behavior: "instant" });
};
// Twice: at once, and when moments have been written in the time zone of whoever looks.
document.addEventListener("htmx:afterSwap", keepPlace);
document.addEventListener("htmx:afterSettle", () => { keepPlace(); inSight = []; });

// A list that cannot be renewed says so.
const stale = (is) => { document.getElementById("stale").hidden = !is; };
["htmx:sendError", "htmx:timeout", "htmx:responseError"].forEach((name) => document.addEventListener(name, () => stale(true)));
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) stale(false); });
