/** The live page: the user, the connection and its state, the two views, and the list of events. */

import { get, isTuleapPage, request, userId, uuids } from "./api.js";
import { Board } from "./board.js";
import { Campaign } from "./campaign.js";
import { h, notify } from "./dom.js";
import { Events } from "./events.js";

const STATES = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", offline: "Offline" };
const REASONS = {
  lost: "the connection was lost",
  cut: "the connection was cut",
  unanswered: "the server does not answer",
  "org.tuleap.error.token_expired": "the token has expired",
  "org.tuleap.close.revoked": "the token was revoked",
  "org.tuleap.close.replaced": "another session of this window has replaced this one",
  "wamp.close.killed": "an operator has ended the session",
  "forced close": "the line was cut",
  "transport close": "the line was lost",
  "transport error": "the line was lost",
  "ping timeout": "the server does not answer",
  unreachable: "the server does not answer",
  waiting: "connected again, the page waits until the server asks for a token",
  "io server disconnect": "the server has ended the connection for good",
};
const AGAIN =
  "Live again. The server has sent what it remembers. Tuleap's kanban page does not load itself again: after a restart " +
  "of the server, reload the page.";
const EXPIRING_SECONDS = 3;

const element = (id) => document.getElementById(id);
let ticketSeconds = null; // lifetime of the next token only

async function getTicket() {
  const seconds = ticketSeconds ?? 1800;
  ticketSeconds = null;
  return (await get(`jwt?seconds=${seconds}`)).token;
}

function showState(state, { reason, retryIn } = {}) {
  const badge = element("state");
  badge.dataset.state = document.body.dataset.state = state;
  badge.textContent = STATES[state];
  const pause = retryIn ? `, next attempt in ${retryIn.toFixed(1)} s` : "";
  const isWell = state === "live" || state === "connecting";
  if (reason === "again") notify(AGAIN);
  else notify(isWell ? "" : `${STATES[state]}: ${REASONS[reason] ?? reason}${pause}. Changes of others are not shown meanwhile.`);
}

function showView() {
  const view = location.hash === "#campaign" ? "campaign" : "board";
  for (const name of ["board", "campaign"]) element(name).hidden = name !== view;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

const addressOf = (id, isTuleap) => `?as=${id}${isTuleap ? "&page=tuleap" : ""}${location.hash}`;

function showUsers(users) {
  const named = ({ real_name, role }) => `${real_name} (${role})`;
  const me = users.find(({ id }) => id === userId) ?? users[0];
  document.title = `${me.real_name}${isTuleapPage ? " (socket.io)" : ""} – tuleaprt live`;
  const select = element("who");
  select.replaceChildren(...users.map((user) => h("option", { value: user.id, selected: user.id === me.id }, named(user))));
  select.addEventListener("change", () => location.assign(addressOf(select.value, isTuleapPage)));
  for (const [list, isTuleap] of [["others", false], ["pages", true]])
    element(list).replaceChildren(
      ...users.map((user) =>
        h("li", {}, h("a", { href: addressOf(user.id, isTuleap), target: "_blank", rel: "noopener" }, named(user))),
      ),
    );
  return me;
}

function showGroups(me, connection, reload) {
  element("groups").replaceChildren(
    ...me.groups.map(({ id, label, is_in }) => {
      const change = async ({ target }) => {
        await request("PUT", `users/${me.id}/groups`, { group: id, is_in: target.checked });
        await connection.refresh();
        await reload();
      };
      return h("label", {}, h("input", { type: "checkbox", checked: is_in, value: id, onchange: change }), ` ${label}`);
    }),
  );
}

/** A click outside of a menu closes it, and so does Escape. */
function closeMenus({ target, key }) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    const isLeft = target instanceof Node && !menu.contains(target);
    if (key === "Escape") menu.querySelector("summary").focus();
    if (key === "Escape" || (isLeft && !key)) menu.open = false;
  }
}

function showProtocol(transports) {
  document.body.dataset.protocol = isTuleapPage ? "socket.io" : "wamp";
  element("protocol").textContent = isTuleapPage ? "socket.io" : "WAMP";
  element("transport").textContent = transports.join(" → ");
}

async function connect(config) {
  if (isTuleapPage) {
    const { connect: asTuleap } = await import("./tuleap_page.js");
    const connection = asTuleap({ url: config.socketio, getTicket, uuids });
    connection.on("transport", () => showProtocol(connection.transports));
    return connection;
  }
  const { connect: overWamp } = await import("./client/tuleaprt-client.js");
  const connection = overWamp({ url: config.url, realm: config.realm, getTicket, uuid: uuids.board });
  connection.on("state", (state) => showProtocol(state === "live" ? ["websocket"] : []));
  return connection;
}

async function start() {
  const [config, users] = await Promise.all([get("config"), get("users")]);
  const me = showUsers(users);
  showProtocol([]);
  const connection = await connect(config);
  const board = new Board(element("board"), connection.board(config.kanban), users);
  const events = new Events(element("log"), element("more"), (id) => board.nameOf(id));
  const campaign = new Campaign(element("campaign"), connection.campaign(config.campaign), me);

  connection.on("state", showState);
  connection.on("event", (event) => events.show(event));
  connection.on("error", (error) => notify(error.message));
  showState(connection.state);
  showGroups(me, connection, () => Promise.all([board.load(), campaign.load()]));
  element("cut").addEventListener("click", () => connection.cut());
  element("expire").addEventListener("click", () => {
    ticketSeconds = EXPIRING_SECONDS;
    connection.cut();
  });
}

addEventListener("hashchange", showView);
addEventListener("click", closeMenus);
addEventListener("keydown", closeMenus);
showView();
start().catch((error) => notify(globalThis.autobahn ? error.message : "The page needs autobahn-js: type npm ci, and load it again."));
