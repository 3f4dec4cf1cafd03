/** The live page: the user, the connection and its state, the two views, and the list of events. */

import { get, isTuleapPage, request, userId, uuids } from "./api.js";
import { Board } from "./board.js";
import { Campaign } from "./campaign.js";
import { h, notify } from "./dom.js";
import { Events } from "./events.js";
import { showState } from "./status.js";

const EXPIRING_SECONDS = 3;

const element = (id) => document.getElementById(id);
let ticketSeconds = null; // lifetime of the next token only

async function getTicket() {
  const seconds = ticketSeconds ?? 1800;
  ticketSeconds = null;
  return (await get(`jwt?seconds=${seconds}`)).token;
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

  connection.on("state", (state, why) => {
    if (state === "live") notify("");
    showState(state, why);
  });
  connection.on("event", (event) => events.show(event));
  // Offline, the state has said it already.
  connection.on("error", (error) => connection.state === "offline" || notify(error.message));
  showState(connection.state);
  showGroups(me, connection, () => Promise.all([board.load(), campaign.load()]));
  const cut = () => {
    element("line").open = false; // it would cover the notice
    connection.cut();
  };
  element("cut").addEventListener("click", cut);
  element("expire").addEventListener("click", () => {
    ticketSeconds = EXPIRING_SECONDS;
    cut();
  });
}

addEventListener("hashchange", showView);
addEventListener("click", closeMenus);
addEventListener("keydown", closeMenus);
showView();
const NO_LIBRARY = "The page needs autobahn-js: type npm ci";
start().catch((error) => showState("offline", { reason: globalThis.autobahn ? error.message : NO_LIBRARY }));
