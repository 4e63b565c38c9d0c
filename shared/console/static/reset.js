// The code of a mail stands behind # in its link: no server sees it. It goes into the field, and out of the address.
"use strict";

const code = location.hash.slice(1);
const field = document.getElementById("f-code");
if (field && /^[\w-]{43}$/.test(code)) {
  field.value = code;
  history.replaceState(null, "", location.pathname);
  document.getElementById("f-new_password").focus();
}
