/** The live page: the user, the connection and its state, the two views, and the list of events. */

import { get, request, userId, uuid } from "./api.js";
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
};
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
  notify(isWell ? "" : `${STATES[state]}: ${REASONS[reason] ?? reason}${pause}. Changes of others are not shown meanwhile.`);
}

function showView() {
  const view = location.hash === "#campaign" ? "campaign" : "board";
  for (const name of ["board", "campaign"]) element(name).hidden = name !== view;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showUsers(users) {
  const named = ({ real_name, role }) => `${real_name} (${role})`;
  const me = users.find(({ id }) => id === userId) ?? users[0];
  document.title = `${me.real_name} – tuleaprt live`;
  const select = element("who");
  select.replaceChildren(...users.map((user) => h("option", { value: user.id, selected: user.id === me.id }, named(user))));
  select.addEventListener("change", () => location.assign(`?as=${select.value}${location.hash}`));
  element("others").replaceChildren(
    ...users.map((user) =>
      h("li", {}, h("a", { href: `?as=${user.id}${location.hash}`, target: "_blank", rel: "noopener" }, named(user))),
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

async function start() {
  const [config, users] = await Promise.all([get("config"), get("users")]);
  const me = showUsers(users);
  const { connect } = await import("./client/tuleaprt-client.js");
  const connection = connect({ url: config.url, realm: config.realm, getTicket, uuid });
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
