/** What a page says about its connection: why it has ended, when the next attempt is, and what to do if there is none. */

import { h, TIME } from "./dom.js";

const NAMES = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", offline: "Offline" };
const REASONS = {
  lost: "The connection was lost.",
  closed: "The server has closed the connection.",
  cut: "The connection was cut.",
  unanswered: "The server does not answer.",
  unreachable: "The server does not answer.",
  "no ticket": "Tuleap gives no token.",
  failed: "The server has not answered as the page expects.",
  "closed 1011": "The server has a fault, which is in its log.",
  "closed 1012": "The server has stopped.",
  "closed 1013": "The page has read too slowly.",
  "org.tuleap.error.token_expired": "The token has expired.",
  "org.tuleap.error.limit_exceeded": "The user has too many sessions. Close other windows.",
  "org.tuleap.error.rate_exceeded": "The page has made too many requests.",
  "wamp.error.authentication_denied": "The server has refused the token.",
  "org.tuleap.close.revoked": "An administrator has revoked the token.",
  "org.tuleap.close.replaced": "Another session of this window has replaced this one.",
  "wamp.close.killed": "An operator has ended the session.",
  // socket.io
  "forced close": "The connection was cut.",
  "transport close": "The connection was lost.",
  "transport error": "The connection was lost.",
  "ping timeout": "The server does not answer.",
  "io server disconnect": "The server has ended the connection for good.",
  waiting: "Connected again: the page waits until the server asks for a token.",
};
const AGAIN =
  "Live again. The server has sent what it remembers. Tuleap's kanban page does not load itself again: after a restart " +
  "of the server, reload the page.";

const element = (id) => document.getElementById(id);
let timer;
let leftAt = null; // when the page was live for the last time

function countDown(text, at) {
  const seconds = Math.ceil((at - performance.now()) / 1000);
  text.textContent = seconds > 0 ? `Next attempt in ${seconds} s.` : "The page is connecting now.";
  if (seconds > 0) timer = setTimeout(countDown, 1000, text, at);
}

function nextAttempt(retryIn) {
  const text = h("span", { id: "next", "aria-live": "off" }); // a screen reader would read out each second
  countDown(text, performance.now() + retryIn * 1000);
  return text;
}

/** What the page does next. `retryIn`: seconds; null: socket.io-client does not say. */
function whatNext(state, reason, retryIn) {
  if (state === "offline") return "The page does not try again.";
  if (reason === "waiting") return null;
  return retryIn === null ? "The page tries again by itself." : nextAttempt(retryIn);
}

/** Show the state. While the page is not live, its content is marked as old. */
export function showState(state, { reason = null, retryIn = null } = {}) {
  const [badge, notice, main] = ["state", "connection", "main"].map(element);
  clearTimeout(timer);
  if (badge.dataset.state === "live" && state !== "live") leftAt = new Date();
  badge.dataset.state = document.body.dataset.state = state;
  badge.textContent = NAMES[state];
  const again = h("button", { type: "button", id: "again", onclick: () => location.reload() }, "Connect again");
  const isWell = state === "live" || state === "connecting";
  const age = leftAt && `What you see may be old: changes since ${TIME.format(leftAt)} are not shown.`;
  const parts = isWell ? [reason === "again" && AGAIN] : [REASONS[reason] ?? `${reason}.`, age, whatNext(state, reason, retryIn)];
  const text = h("p", {}, parts.filter(Boolean).flatMap((part) => [part, " "]));
  notice.replaceChildren(text, state === "offline" ? again : "");
  notice.hidden = !text.hasChildNodes();
  main.toggleAttribute("data-old", !isWell && leftAt !== null);
}
