// Passkeys (WebAuthn level 3). A form with `data-passkey` ("create" or "get") asks its server for options, the browser
// for a passkey, and sends what it signed. Without this script such a form stays hidden: a password does as well.

import { inSite } from "./site.js";

const forms = document.querySelectorAll("form[data-passkey]");
const isThere = Boolean(window.PublicKeyCredential && navigator.credentials);
for (const note of document.querySelectorAll("[data-no-passkeys]")) note.hidden = isThere;

if (isThere) {
  for (const form of forms) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (form.dataset.busy) return;
      form.dataset.busy = "yes";
      const button = form.querySelector("button");
      button.setAttribute("aria-busy", "true");
      say(form, "");
      ceremony(form)
        .then((location) => window.location.assign(inSite(location)))
        .catch((error) => {
          say(form, error instanceof Refused ? error.message : form.dataset.failed);
          button.removeAttribute("aria-busy");
          delete form.dataset.busy;
        });
    });
  }
}

class Refused extends Error {}

async function ceremony(form) {
  const options = await post(form.dataset.options, {});
  const credential =
    form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: creation(options) })
      : await navigator.credentials.get({ publicKey: request(options) });
  const also = form.dataset.also ? new FormData(document.querySelector(form.dataset.also)) : [];
  const fields = Object.fromEntries([...new FormData(form), ...[...also].filter(([name]) => name === "keep")]);
  return (await post(form.action, { ...fields, credential: plain(credential) })).location;
}

async function post(address, body) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said.detail);
  return said;
}

function say(form, text) {
  const place = form.querySelector(".message");
  place.textContent = text;
  place.hidden = !text;
}

function creation(options) {
  return {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: (options.excludeCredentials ?? []).map(descriptor),
  };
}

function request(options) {
  return {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: (options.allowCredentials ?? []).map(descriptor),
  };
}

function descriptor(one) {
  return { ...one, id: bytes(one.id) };
}

function plain(credential) {
  const { response } = credential;
  const said = { clientDataJSON: text(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) said[name] = text(response[name]);
  }
  if (response.getTransports) said.transports = response.getTransports();
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: said,
  };
}

// base64url (RFC 4648 §5), without padding
function bytes(written) {
  const plainText = atob(written.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plainText, (character) => character.charCodeAt(0));
}

function text(buffer) {
  const characters = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(characters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
