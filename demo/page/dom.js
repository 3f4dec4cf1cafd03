/** Helpers that make elements, avatars and dialogs for the views. */

/** An element with properties, `on…` listeners, `data-…` and `aria-…` attributes, and children (null is left out). */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "list") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The initials of a user on a colour of the user's own. Avatars are not loaded, because the page loads nothing from other sites. */
export function avatar(user, text = user.real_name) {
  const letters = user.real_name.split(/\s+/, 2).map((word) => word[0]).join("");
  return h("span", { className: "avatar", title: text, role: "img", "aria-label": text, "data-hue": user.id % 6 }, letters);
}

/** Replace the children unless they are the same, and keep the focus. */
export function setChildren(parent, children) {
  const isSame = parent.children.length === children.length && children.every((it, index) => parent.children[index] === it);
  if (isSame) return;
  const focused = document.activeElement;
  parent.replaceChildren(...children);
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** Show a dialog. Escape and each of its actions close it. */
export function ask(title, fields, actions) {
  const form = h("form", { method: "dialog" }, h("h2", {}, title), fields, h("div", { className: "actions" }, actions));
  const dialog = h("dialog", { "aria-label": title, onclose: () => dialog.remove() }, form);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A button that closes its dialog and then calls `act`. */
export const action = (text, act, properties = {}) =>
  h("button", { type: "button", ...properties, onclick: ({ target }) => (target.closest("dialog").close(), act()) }, text);

export const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function notify(text) {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  notice.hidden = !text;
}
