// The page of a case: photos that can be looked at closely, seconds that run out, texts that are not lost.
"use strict";
(() => {
  const all = (selector, use, root = document) => root.querySelectorAll(selector).forEach(use);

  // --- photos
  const viewers = document.querySelector("[data-viewers]");
  const tools = document.querySelector("[data-tools]");
  const filter = { brightness: 100, contrast: 100 };

  const look = (viewer) => {
    const { scale = 1, x = 0, y = 0 } = viewer.at ?? {};
    const image = viewer.querySelector("img");
    image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    image.style.filter = `brightness(${filter.brightness}%) contrast(${filter.contrast}%)`;
    viewer.querySelector("[data-stage]").classList.toggle("close", scale > 1);
  };
  const move = (viewer, change) => {
    const stage = viewer.querySelector("[data-stage]");
    const { scale, x, y } = { scale: 1, x: 0, y: 0, ...viewer.at, ...change };
    const size = Math.min(8, Math.max(1, scale));
    const reach = (side) => (side * (size - 1)) / 2;
    const held = (value, most) => Math.min(most, Math.max(-most, value));
    viewer.at = { scale: size, x: held(x, reach(stage.clientWidth)), y: held(y, reach(stage.clientHeight)) };
    look(viewer);
  };
  const zoom = (viewer, factor) => {
    const at = { scale: 1, x: 0, y: 0, ...viewer.at };
    move(viewer, { scale: at.scale * factor, x: at.x * factor, y: at.y * factor });
  };
  const STEPS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  const dress = (viewer) => {
    const stage = viewer.querySelector("[data-stage]");
    const image = stage.querySelector("img");
    image.draggable = false;
    let from = null;
    stage.addEventListener("wheel", (event) => {
      if (event.deltaY > 0 && (viewer.at?.scale ?? 1) <= 1) return;
      event.preventDefault();
      zoom(viewer, event.deltaY < 0 ? 1.2 : 1 / 1.2);
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      from = { x: event.clientX, y: event.clientY, at: { x: 0, y: 0, ...viewer.at }, far: false };
      if ((viewer.at?.scale ?? 1) > 1) stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!from || (viewer.at?.scale ?? 1) <= 1) return;
      const x = event.clientX - from.x, y = event.clientY - from.y;
      from.far ||= Math.hypot(x, y) > 4;
      move(viewer, { x: from.at.x + x, y: from.at.y + y });
    });
    stage.addEventListener("pointercancel", () => { from = null; });
    stage.addEventListener("pointerup", () => { const was = from; setTimeout(() => { if (from === was) from = null; }, 0); });
    stage.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      if (event.detail && from?.far) return;
      zoom(viewer, (viewer.at?.scale ?? 1) > 1 ? 1 / 8 : 2.5);
    });
    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = { scale: 1, x: 0, y: 0, ...viewer.at };
      if (event.key === "+" || event.key === "=") zoom(viewer, 1.4);
      else if (event.key === "-") zoom(viewer, 1 / 1.4);
      else if (event.key === "0") move(viewer, { scale: 1, x: 0, y: 0 });
      else if (STEPS[event.key] && at.scale > 1) move(viewer, { x: at.x + 40 * STEPS[event.key][0], y: at.y + 40 * STEPS[event.key][1] });
      else return;
      event.preventDefault();
    });
    look(viewer);
  };
  const present = () => viewers.querySelectorAll("[data-viewer]");

  if (viewers && tools) {
    tools.hidden = false;
    present().forEach(dress);
    all("[data-zoom]", (button) => {
      button.addEventListener("click", () => present().forEach((viewer) => {
        if (button.dataset.zoom === "reset") move(viewer, { scale: 1, x: 0, y: 0 });
        else zoom(viewer, button.dataset.zoom === "in" ? 1.4 : 1 / 1.4);
      }));
    });
    all("[data-filter]", (slider) => {
      slider.addEventListener("input", () => { filter[slider.dataset.filter] = slider.value; present().forEach(look); });
    });
    // Another photo, without losing what was typed.
    all("a[data-show]", (link) => {
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
        event.preventDefault();
        const name = link.dataset.show;
        let viewer = viewers.querySelector(`[data-viewer=${name}]`);
        if (!viewer) {
          viewer = present()[0].cloneNode(true);
          viewer.dataset.viewer = name;
          viewers.append(viewer);
          dress(viewer);
        }
        viewer.querySelector("img").src = link.dataset.large;
        viewer.querySelector("img").alt = link.querySelector("img").alt;
        viewer.querySelector("[data-stage]").href = link.dataset.original;
        viewer.querySelector("figcaption").replaceChildren(link.querySelector("[data-caption]").content.cloneNode(true));
        localTimes(viewer); // console.js
        move(viewer, { scale: 1, x: 0, y: 0 });
        all(`a[data-show=${name}]`, (each) => each.removeAttribute("aria-current"));
        link.setAttribute("aria-current", "true");
        viewers.scrollIntoView({ block: "nearest" });
      });
    });
    all("a[data-photo]", (link) => {
      const thumb = document.querySelector(`a[data-show=current][data-large*="${link.dataset.photo}"]`);
      link.addEventListener("click", (event) => { if (thumb) { event.preventDefault(); thumb.click(); } });
    });
  }

  // --- the seconds in which a signature can be taken back
  all("form[data-seconds]", (form) => {
    let left = Number(form.dataset.seconds);
    const shown = form.querySelector("[data-left]");
    const number = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "second", unitDisplay: "long" });
    const tick = () => {
      if (left <= 0) { form.querySelector("button").hidden = true; return; }
      shown.textContent = `(${number.format(left)})`;
      left -= 1;
      setTimeout(tick, 1000);
    };
    tick();
  });

  // --- what is typed
  all("form[data-draft]", (form) => {
    const texts = form.querySelectorAll("textarea");
    let into = texts[0], sent = false;
    texts.forEach((area) => area.addEventListener("focus", () => { into = area; }));
    form.addEventListener("submit", () => { sent = true; });
    window.addEventListener("pageshow", () => { sent = false; });
    window.addEventListener("beforeunload", (event) => {
      const typed = form.dataset.draft || [...texts].some((area) => area.value !== area.defaultValue);
      if (typed && !sent) event.preventDefault();
    });
    all("[data-insert]", (button) => {
      button.addEventListener("click", (event) => {
        const text = form.elements.saved.selectedOptions[0]?.dataset.text;
        if (text === undefined && form.elements.saved.value) return;
        event.preventDefault();
        if (!text) return;
        const before = into.value.slice(0, into.selectionStart);
        const gap = before && !before.endsWith("\n") ? "\n" : "";
        into.setRangeText(gap + text, into.selectionStart, into.selectionEnd, "end");
        into.focus();
        into.dispatchEvent(new Event("input", { bubbles: true }));
      });
    }, form);
    // A verdict against the AI needs its reason.
    const why = form.elements.verdict_text;
    if (why) all("[name=verdict]", (choice) => {
      choice.addEventListener("change", () => { why.required = ["edit", "reject"].includes(choice.value); });
    }, form);
  });
})();
