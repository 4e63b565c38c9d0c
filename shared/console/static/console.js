// What a browser can make more comfortable. Every page works without it.
"use strict";

const each = (root, selector, use) => root.querySelectorAll(selector).forEach(use);

// Moments in the time zone of whoever looks.
const localTimes = (root) =>
  each(root, "time[datetime]:not([title])", (time) => {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = at.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
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

// Whoever types is there: the session lives on. (A page asks nothing by itself otherwise.)
let told = Date.now();
document.addEventListener("input", () => {
  const me = document.querySelector("a.me");
  if (!me || Date.now() - told < 300_000) return;
  told = Date.now();
  fetch(me.href, { method: "HEAD" }).catch(() => {});
});

const dress = (root) => [localTimes, choices, questions, once].forEach((use) => use(root));
dress(document);
document.addEventListener("htmx:load", (event) => { if (event.detail.elt !== document.body) dress(event.detail.elt.parentNode ?? document); });
