// A passkey: the browser asks its owner, and its answer is sent with the form. Forms that need one are hidden until a
// browser is known to be able to.
"use strict";

document.querySelectorAll("form[data-passkey]").forEach((form) => {
  const create = "create" in form.dataset;
  const read = window.PublicKeyCredential?.[create ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON"];
  if (!read) return;
  form.hidden = false;
  const failed = form.querySelector("[data-failed]");
  form.addEventListener("submit", async (event) => {
    if (form.elements.answer.value) return;
    event.preventDefault();
    failed.hidden = true;
    try {
      const publicKey = read.call(PublicKeyCredential, JSON.parse(form.dataset.passkey));
      const said = await navigator.credentials[create ? "create" : "get"]({ publicKey });
      form.elements.answer.value = JSON.stringify(said);
      form.requestSubmit();
    } catch {
      failed.hidden = false;
    }
  }, { capture: true });
});
