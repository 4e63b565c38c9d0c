// Drawings: the progress of an upload; two sheets that are zoomed, moved and looked at in several ways. Every page works
// without it.
"use strict";
(() => {
  const all = (selector, use, root = document) => root.querySelectorAll(selector).forEach(use);

  // --- uploads: in pieces, each sent again when the connection breaks; a file that is chosen again goes on where it was.
  // Where a browser makes no digest (plain http), the form is sent as the browser would send it.
  const LEAST = 2 ** 16, USUAL = 2 ** 18, MOST = 2 ** 22, QUICK_MS = 1500, LONG_MS = 60000, TRIES = 12, LOOKS = 80;
  class Refused extends Error {}
  const pause = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); window.addEventListener("online", done, { once: true }); });
  const words = (text) => new DOMParser().parseFromString(text, "text/html").querySelector("main [role=alert] p")?.textContent.trim();
  const post = async (data) => {
    const answer = await fetch(location.href, { method: "POST", body: data, redirect: "manual", signal: AbortSignal.timeout?.(LONG_MS) });
    if (answer.type === "opaqueredirect") return null;
    if (answer.status >= 500 || answer.status === 429) throw new Error(answer.status);
    if (!answer.ok) throw new Refused(words(await answer.text()));
    return (answer.headers.get("Content-Type") || "").startsWith("application/json") ? answer.json() : null;
  };
  const ask = (form, values, piece) => {
    const data = new FormData();
    Object.entries({ token: form.elements.token.value, ...values }).forEach(([name, value]) => data.set(name, value));
    if (piece) data.set("file", piece, "piece");
    return post(data);
  };
  const send = async (form, file, moved, waits) => {
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    const sha256 = [...new Uint8Array(digest)].map((each) => each.toString(16).padStart(2, "0")).join("");
    let made = !form.elements.id, said = null, size = USUAL, fails = 0, looks = 0;
    const revision = (form.elements.revision || form.elements.id).value;
    const told = { act: "tell", revision, name: file.name.slice(-255), type: file.type, bytes: file.size, sha256 };
    for (;;) {
      try {
        if (!made) { // a new revision comes first
          const data = new FormData(form);
          data.delete("file");
          await post(data);
          made = true;
        }
        said ??= await ask(form, told);
        if (!said) { location.reload(); return; } // somebody has to log in
        if (said.state === "refused") throw new Refused(said.words);
        if (said.state === "ready" || looks > LOOKS) break;
        if (said.state === "checking") {
          moved(1);
          looks += 1;
          said = null;
          await pause(1.5);
          continue;
        }
        moved(said.offset / file.size);
        const first = said.offset, began = performance.now();
        said = await ask(form, { act: "piece", of: said.id, first, total: file.size }, file.slice(first, first + size));
        if (performance.now() - began < QUICK_MS) size = Math.min(size * 2, MOST);
        fails = 0;
      } catch (fault) {
        fails += 1;
        if (fault instanceof Refused || fails > TRIES) throw fault;
        said = null;
        size = Math.max(size / 4, LEAST);
        waits();
        await pause(Math.min(2 ** (fails - 1), 30));
      }
    }
    moved(1);
    await ask(form, { act: "came" }).catch(() => null);
    location.assign(location.pathname + location.search);
  };
  const sendWhole = (form, moved) => new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", ({ loaded, total }) => moved(loaded / total));
    request.addEventListener("load", () => {
      if (request.status < 400) { location.assign(request.responseURL); done(); } else failed(new Refused(words(request.responseText)));
    });
    ["error", "timeout", "abort"].forEach((name) => request.addEventListener(name, () => failed(new Error(name))));
    request.open("POST", location.href);
    request.send(new FormData(form));
  });
  all("form[data-upload]", (form) => {
    const shown = form.querySelector("[data-progress]"), failed = form.querySelector("[data-failed]");
    const button = form.querySelector("button[type=submit]"), chosen = form.elements.file, pieces = Boolean(window.crypto?.subtle);
    const tell = (text) => { failed.hidden = !text; failed.textContent = text; };
    const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
    const moved = (share) => {
      tell("");
      shown.querySelector("progress").value = share;
      shown.querySelector("[data-percent]").textContent = percent.format(share);
    };
    if (pieces) document.getElementById(chosen.getAttribute("aria-describedby")).textContent = chosen.dataset.words;
    form.addEventListener("submit", async (event) => {
      const [file] = chosen.files;
      if (!file) return;
      event.preventDefault();
      if (button.disabled) return;
      if (file.size > Number(chosen.dataset.most)) { tell(chosen.dataset.words); return; }
      button.disabled = true;
      shown.hidden = false;
      moved(0);
      try {
        await (pieces ? send(form, file, moved, () => tell(failed.dataset.waits)) : sendWhole(form, moved));
      } catch (fault) {
        button.disabled = false;
        shown.hidden = true;
        tell((fault instanceof Refused && fault.message) || failed.dataset.words);
      }
    }, { capture: true });
  });

  // --- the overlay
  const stage = document.querySelector("[data-stage]");
  if (!stage) return;
  const tools = document.querySelector("[data-tools]"), svg = stage.querySelector("svg");
  const W = Number(stage.dataset.width), H = Number(stage.dataset.height);
  const SIDE = Number(stage.dataset.side), LEVELS = Number(stage.dataset.levels);
  const layers = Object.fromEntries([...svg.querySelectorAll("[data-layer]")].map((each) => [each.dataset.layer, each]));
  const clip = svg.querySelector("#split rect"), divider = svg.querySelector("[data-divider]"), clouds = svg.querySelector(".clouds");
  const slider = document.querySelector("[data-slider]");
  const held = (value, least, most) => Math.min(Math.max(value, least), Math.max(least, most));
  let mode = "overlay", view = { x: 0, y: 0, w: W, h: H }, current = 0, blink = 0, asked = 0;

  // --- tiles: those in sight, over the whole sheet of level 0; a few at a time, again where one did not come
  const loading = new Set(), waiting = [];
  const more = () => {
    while (loading.size < 4 && waiting.length) {
      const [image, url, tries] = waiting.shift();
      if (!image.isConnected) continue;
      loading.add(image);
      const ended = () => { loading.delete(image); more(); };
      image.addEventListener("load", ended, { once: true });
      image.addEventListener("error", () => {
        ended();
        if (tries) setTimeout(() => { waiting.push([image, url, tries - 1]); more(); }, 1000);
      }, { once: true });
      image.setAttribute("href", url);
    }
  };
  const size = (level) => {
    let [wide, high] = [W, H];
    for (let at = LEVELS - 1; at > level; at -= 1) [wide, high] = [Math.ceil(wide / 2), Math.ceil(high / 2)];
    return [wide, high];
  };
  const put = (layer, level, column, row) => {
    const id = `${layer}-${level}-${column}-${row}`;
    if (layers[layer].querySelector(`[data-tile="${id}"]`)) return;
    const [wide, high] = size(level), x = column * SIDE, y = row * SIDE;
    const image = document.createElementNS(svg.namespaceURI, "image");
    const place = { x: (x * W) / wide, y: (y * H) / high, width: (Math.min(SIDE, wide - x) * W) / wide, height: (Math.min(SIDE, high - y) * H) / high };
    Object.entries({ ...place, preserveAspectRatio: "none", "data-tile": id, "data-level": level }).forEach(([name, value]) => image.setAttribute(name, value));
    layers[layer].append(image);
    waiting.push([image, stage.dataset.tiles + id, 3]);
  };
  const SHOWS = { overlay: ["overlay"], old: ["old"], new: ["new"], slider: ["new", "old"], blink: ["new", "old"] };
  const fill = () => {
    const scale = (stage.clientWidth * (window.devicePixelRatio || 1)) / view.w;
    const level = held(LEVELS - 1 + Math.ceil(Math.log2(scale) - 0.2), 0, LEVELS - 1);
    const [wide, high] = size(level);
    SHOWS[mode].forEach((layer) => {
      put(layer, 0, 0, 0);
      all("image[data-level]", (each) => { if (![0, level].includes(Number(each.dataset.level))) each.remove(); }, layers[layer]);
      if (!level) return;
      const span = (from, to, whole, full) => [held(Math.floor((from * full) / whole / SIDE), 0, Infinity), held(Math.floor((to * full) / whole / SIDE), 0, Math.ceil(full / SIDE) - 1)];
      const [left, right] = span(view.x, view.x + view.w, W, wide), [top, bottom] = span(view.y, view.y + view.h, H, high);
      for (let row = top; row <= bottom; row += 1) for (let column = left; column <= right; column += 1) put(layer, level, column, row);
    });
    more();
  };

  // --- what is in sight, in pixels of the largest picture
  const whole = () => Math.max(W, (H * stage.clientWidth) / stage.clientHeight);
  const look = (x, y, w) => {
    if (!stage.clientWidth || !stage.clientHeight) return; // a window that is being resized has no size for a moment
    const most = whole();
    const wide = held(w, Math.min(most, stage.clientWidth / 4), most), high = (wide * stage.clientHeight) / stage.clientWidth;
    const at = (from, span, full) => (span >= full ? (full - span) / 2 : held(from, 0, full - span));
    view = { x: at(x, wide, W), y: at(y, high, H), w: wide, h: high };
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
    clouds.setAttribute("font-size", (16 * wide) / stage.clientWidth);
    stage.classList.toggle("close", wide < most - 1);
    split();
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(fill);
  };
  const zoom = (factor, x = view.x + view.w / 2, y = view.y + view.h / 2) => {
    const w = held(view.w / factor, Math.min(whole(), stage.clientWidth / 4), whole()), k = w / view.w;
    look(x - (x - view.x) * k, y - (y - view.y) * k, w);
  };
  const move = (x, y) => look(view.x + x, view.y + y, view.w);
  const under = (event) => {
    const box = stage.getBoundingClientRect();
    return [view.x + ((event.clientX - box.left) * view.w) / box.width, view.y + ((event.clientY - box.top) * view.h) / box.height];
  };

  // --- ways to look
  const split = () => {
    const x = view.x + (view.w * Number(slider.value)) / 100, on = mode === "slider";
    Object.entries({ x: Math.min(view.x, 0), y: Math.min(view.y, 0), width: Math.max(0, x - Math.min(view.x, 0)), height: Math.max(H, view.h) * 2 }).forEach(([name, value]) => clip.setAttribute(name, value));
    divider.setAttribute("x1", x);
    divider.setAttribute("x2", x);
    divider.setAttribute("visibility", on ? "visible" : "hidden");
    if (on) layers.old.setAttribute("clip-path", "url(#split)"); else layers.old.removeAttribute("clip-path");
  };
  const show = (name) => {
    mode = name;
    clearInterval(blink);
    Object.entries(layers).forEach(([layer, group]) => group.setAttribute("visibility", SHOWS[mode].includes(layer) ? "visible" : "hidden"));
    slider.closest("[data-split]").hidden = mode !== "slider";
    if (mode === "blink") blink = setInterval(() => layers.old.setAttribute("visibility", layers.old.getAttribute("visibility") === "hidden" ? "visible" : "hidden"), 700);
    look(view.x, view.y, view.w);
  };

  // --- changes
  const entry = (number) => document.querySelector(`[data-change="${number}"]`);
  const numbers = () => [...document.querySelectorAll("[data-change]")].map((each) => Number(each.dataset.change));
  const mark = (number) => {
    current = number;
    all("li[aria-current]", (each) => each.removeAttribute("aria-current"));
    entry(number).setAttribute("aria-current", "true");
    all("[data-cloud]", (each) => each.classList.toggle("current", Number(each.dataset.cloud) === number), svg);
    const said = document.querySelector("[data-said]");
    said.textContent = said.dataset.words.replace("{number}", number).replace("{all}", numbers().length);
  };
  const jump = (number) => {
    const [left, top, wide, high] = entry(number).dataset.at.split(" ").map(Number);
    const w = Math.max(wide * 1.8, (high * 1.8 * stage.clientWidth) / stage.clientHeight, stage.clientWidth * 0.7);
    mark(number);
    look(left + wide / 2 - w / 2, top + high / 2 - (w * stage.clientHeight) / stage.clientWidth / 2, w);
  };
  const step = (by) => {
    const known = numbers(), at = known.indexOf(current);
    if (!known.length) return;
    jump(known[at < 0 ? (by > 0 ? 0 : known.length - 1) : (at + by + known.length) % known.length]);
    if (window.innerWidth >= 1200) entry(current).scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.jump"), item = link?.closest("[data-change]");
    if (!item || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    jump(Number(item.dataset.change));
    if (window.innerWidth < 1200) document.getElementById("sheet").scrollIntoView({ block: "start" });
  });
  document.addEventListener("htmx:afterSwap", () => {
    all("[data-change]", (each) => {
      const cloud = svg.querySelector(`[data-cloud="${each.dataset.change}"]`);
      cloud?.classList.toggle("checked", Boolean(each.querySelector(".badge.green")));
    });
    if (current) mark(current);
  });
  // What is refused is shown as a page of its own, with what was typed.
  ["htmx:responseError", "htmx:sendError", "htmx:timeout"].forEach((name) => document.addEventListener(name, (event) => {
    const form = event.detail.elt;
    if (form?.matches("[data-change-form]")) form.submit();
  }));

  // --- wheel, fingers, keys, buttons
  const fingers = new Map();
  let far = false;
  stage.addEventListener("wheel", (event) => {
    if (event.deltaY > 0 && view.w >= whole() - 1) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.25 : 0.8, ...under(event));
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!fingers.size) far = false;
    fingers.set(event.pointerId, event);
  });
  stage.addEventListener("pointermove", (event) => {
    const was = fingers.get(event.pointerId);
    if (!was) return;
    const k = view.w / stage.clientWidth, other = [...fingers.values()].find((each) => each.pointerId !== event.pointerId);
    far ||= Math.hypot(event.clientX - was.clientX, event.clientY - was.clientY) > 4;
    if (!far) return;
    if (!stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    if (!other) { move((was.clientX - event.clientX) * k, (was.clientY - event.clientY) * k); return; }
    const apart = (each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
    const middle = under({ clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 });
    if (apart(was) > 0) zoom(apart(event) / apart(was), ...middle);
  });
  ["pointerup", "pointercancel"].forEach((name) => stage.addEventListener(name, (event) => fingers.delete(event.pointerId)));
  stage.addEventListener("click", (event) => {
    const cloud = event.target.closest?.("[data-cloud]");
    if (far || !cloud || !entry(cloud.dataset.cloud)) return;
    mark(Number(cloud.dataset.cloud));
    entry(current).scrollIntoView({ block: "nearest" });
  });
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") look(0, 0, whole());
    else if (event.key === "n") step(1);
    else if (event.key === "p") step(-1);
    else if (STEPS[event.key] && view.w < whole() - 1) move((STEPS[event.key][0] * view.w) / 8, (STEPS[event.key][1] * view.h) / 8);
    else return;
    event.preventDefault();
  });
  all("[data-zoom]", (button) => button.addEventListener("click", () => {
    if (button.dataset.zoom === "whole") look(0, 0, whole());
    else zoom(button.dataset.zoom === "in" ? 1.5 : 1 / 1.5);
  }));
  all("[data-step]", (button) => button.addEventListener("click", () => step(Number(button.dataset.step))));
  all("[name=layer]", (choice) => choice.addEventListener("change", () => show(choice.value)));
  document.querySelector("[data-clouds]").addEventListener("change", (event) => clouds.setAttribute("display", event.target.checked ? "inline" : "none"));
  slider.addEventListener("input", split);
  window.addEventListener("resize", () => look(view.x, view.y, view.w));

  tools.hidden = false;
  document.querySelector("[data-keys]").hidden = false;
  stage.classList.add("live");
  const chosen = document.querySelector("[data-change][aria-current]");
  look(0, 0, whole());
  show(document.querySelector("[name=layer]:checked").value); // a browser may have kept another choice
  if (chosen) jump(Number(chosen.dataset.change));
})();
