// What a browser can make more comfortable. Every page works without it.
"use strict";

const each = (root, selector, use) => root.querySelectorAll(selector).forEach(use);

// Moments in the time zone of whoever looks, written as they are in their country: 30 Nov, or Nov 30.
const spoken = document.documentElement.lang;
const place = `${navigator.languages.find((each) => each.split("-")[0] === spoken) ?? spoken}-u-nu-latn`;
const localTimes = (root) =>
  each(root, "time[datetime]:not([title])", (time) => {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    const clock = "day" in time.dataset ? {} : { timeStyle: "short" };
    time.textContent = at.toLocaleString(place, { dateStyle: "medium", ...clock });
  });

// A choice that is sent as soon as it is made; the button beside it is for browsers without script.
const choices = (root) => {
  each(root, "[data-no-script]", (element) => { element.hidden = true; });
  each(root, "select[data-submit]", (select) => { select.onchange = () => select.form.requestSubmit(); });
};

// A question before an act that cannot be taken back.
const questions = (root) =>
  each(root, "form[data-ask]", (form) => {
    form.onsubmit = (event) => { if (!window.confirm(form.dataset.ask)) event.preventDefault(); };
  });

// Nothing is sent twice by a second click; a page that comes back from the browser's memory is usable again.
const once = (root) =>
  each(root, "form[method=post]", (form) => {
    form.addEventListener("submit", (event) => {
      if (event.defaultPrevented) return;
      setTimeout(() => each(form, "button[type=submit]", (button) => { button.disabled = true; }), 0);
    });
  });
window.addEventListener("pageshow", (event) => {
  if (event.persisted) each(document, "form button[type=submit]", (button) => { button.disabled = false; });
});

// What is typed outlives a page that is loaded anew, "back", and a browser that broke down: it stays in its tab until it is
// sent, until its writer logs out, or until somebody else logs in there.
const DRAFT = "draft ";
const me = document.querySelector("a.me")?.dataset.user;
const forget = (whose) => Object.keys(sessionStorage).filter((name) => name.startsWith(DRAFT) && whose(name))
  .forEach((name) => sessionStorage.removeItem(name));
const drafts = (root) => {
  if (me) forget((name) => !name.startsWith(`${DRAFT}${me} `));
  each(root, "form[data-draft]", (form) => {
    const name = `${DRAFT}${me} ${location.pathname}`;
    const texts = [...form.querySelectorAll("textarea")];
    const kept = JSON.parse(sessionStorage.getItem(name) ?? "null");
    const keep = () => sessionStorage.setItem(name, JSON.stringify(Object.fromEntries(texts.map((area) => [area.name, area.value]))));
    if (form.dataset.draft) keep(); // the page itself shows what was typed
    else if (kept) {
      texts.forEach((area) => { if (area.name in kept) area.value = kept[area.name]; });
      const anew = texts.some((area) => area.value !== area.defaultValue);
      if (anew) form.closest("details")?.setAttribute("open", "");
      else sessionStorage.removeItem(name);
      each(form, "[data-kept]", (note) => { note.hidden = !anew; });
    }
    form.addEventListener("input", keep);
  });
};
document.addEventListener("submit", (event) => {
  if (event.target.action.endsWith("/logout")) forget(() => true);
});

// Whoever types is there: the session lives on. (A page asks nothing by itself otherwise.)
let told = Date.now();
document.addEventListener("input", () => {
  const link = document.querySelector("a.me");
  if (!link || Date.now() - told < 300_000) return;
  told = Date.now();
  fetch(link.href, { method: "HEAD" }).catch(() => {});
});

const dress = (root) => [localTimes, choices, questions, once, drafts].forEach((use) => use(root));
dress(document);
document.addEventListener("htmx:load", (event) => { if (event.detail.elt !== document.body) dress(event.detail.elt.parentNode ?? document); });
