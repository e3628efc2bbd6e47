// Passkeys: adds one to an account, and signs in with one. Without this script, or where
// the browser has none, passwords and codes do the same.
(() => {
  "use strict";
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) return;
  const word = (text) => {
    const p = document.querySelector("[data-passkey-word]");
    if (p) { p.textContent = text; p.hidden = !text; }
  };
  const post = async (url, body, headers) => {
    const answer = await fetch(url, { method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json", ...headers }, body });
    const value = await answer.json();
    if (!answer.ok) throw new Error(value.error);
    return value;
  };
  const attempt = (steps) => async (event) => {
    event.preventDefault();
    word("");
    try { location.assign(await steps(event)); } catch (e) {
      word(e.name === "NotAllowedError" ? "Nothing was chosen. Try again when you are ready." : e.message);
    }
  };
  for (const part of document.querySelectorAll("[data-passkey-part], button[data-passkey]")) part.hidden = false;
  for (const button of document.querySelectorAll("button[data-passkey=use]")) button.addEventListener("click", attempt(async () => {
    const { publicKey } = await post("/signin/passkey/begin");
    const credential = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
    return (await post("/signin/passkey?next=" + encodeURIComponent(button.dataset.next), JSON.stringify(credential))).next;
  }));
  for (const form of document.querySelectorAll("form[data-passkey=add]")) form.addEventListener("submit", attempt(async () => {
    const { publicKey } = await post("/account/passkeys/begin");
    const credential = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) });
    return (await post("/account/passkeys/add?name=" + encodeURIComponent(form.elements.name.value), JSON.stringify(credential))).next;
  }));
})();
