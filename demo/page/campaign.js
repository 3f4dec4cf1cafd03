/** The test campaign: tests and their results, the presence, and the podium. */

import { find, request, uuids } from "./api.js";
import { action, ask, avatar, h, notify, setChildren } from "./dom.js";

const STATUSES = { passed: "Passed", failed: "Failed", blocked: "Blocked", notrun: "Not run" };
const PLACES = ["1st", "2nd", "3rd"];

/** The podium as the server counts it, from the tests that this window shows. */
function countPoints(executions) {
  const scores = new Map(); // id of a user → the user and the score
  for (const { status, tested_by: user, is_automated: isAutomated } of executions) {
    if (!user || isAutomated || status === "notrun") continue;
    const { score } = scores.get(user.id) ?? { score: 0 };
    scores.set(user.id, { user, score: score + 1 });
  }
  const sorted = [...scores.values()].sort((a, b) => b.score - a.score || a.user.id - b.user.id);
  return sorted.map((it) => ({ ...it, rank: sorted.findIndex(({ score }) => score === it.score) + 1 }));
}

export class Campaign {
  constructor(root, room, me) {
    this._root = root;
    this._room = room;
    this._me = me;
    this._executions = new Map();
    this._elements = new Map();
    this._isThere = false;
    this._current = Number(sessionStorage.getItem("execution")) || null; // the test that this window is on
    for (const name of ["live", "gap"]) room.on(name, () => this.load());
    room.on("presence", () => this._draw());
    room.on("podium", () => this._draw());
    for (const what of ["create", "update", "link_artifact"])
      room.on(`testmanagement_execution:${what}`, (data) => this._fetched(data.artifact_id));
    room.on("testmanagement_execution:delete", (data) => this._removed(data.artifact_id));
    room.on("testmanagement_campaign:update", () => this._renamed());
  }

  /** Load the campaign, and announce this window's presence again: a restarted server has lost it. */
  async load() {
    const campaign = await find(`testmanagement_campaigns/${this._room.id}`);
    this._isThere = campaign !== null;
    this._label = campaign?.label;
    this._mayEdit = campaign?.may_edit ?? false;
    this._executions = new Map((campaign?.executions ?? []).map((it) => [it.id, it]));
    this._elements.clear();
    if (!this._executions.has(this._current)) this._keep(null);
    if (this._current !== null) await this._announce(this._current, "").catch((error) => notify(error.message));
    this._draw();
  }

  async _renamed() {
    const campaign = await find(`testmanagement_campaigns/${this._room.id}`);
    if (campaign) this._label = campaign.label;
    this._draw();
  }

  async _fetched(id) {
    const execution = await find(`testmanagement_executions/${id}`);
    if (execution) this._executions.set(id, execution);
    else return this._removed(id);
    this._draw();
  }

  _removed(id) {
    this._executions.delete(id);
    this._elements.delete(id);
    if (this._current === id) this._keep(null);
    this._draw();
  }

  _keep(id) {
    this._current = id;
    if (id === null) sessionStorage.removeItem("execution");
    else sessionStorage.setItem("execution", id);
  }

  _announce(id, removeFrom) {
    return request("PATCH", `testmanagement_executions/${id}/presences`, { uuid: uuids.campaign, remove_from: String(removeFrom) });
  }

  async _open(id) {
    const before = this._current;
    if (before === id) return this._close();
    this._keep(id);
    this._draw();
    await this._try(() => this._announce(id, before ?? ""));
    return undefined;
  }

  async _close() {
    const id = this._current;
    this._keep(null);
    this._draw();
    await this._try(() => this._announce(id, id));
  }

  async _try(act) {
    try {
      return await act();
    } catch (error) {
      notify(error.message);
      await this.load();
      return null;
    }
  }

  async _save(id, status) {
    const execution = await this._try(() => request("PUT", `testmanagement_executions/${id}`, { status }));
    if (execution) this._executions.set(id, execution);
    this._draw();
  }

  /** The viewers of a test. For this window, the page's own state counts, which is newer than the server's. */
  _viewers(id) {
    const others = (this._room.presence.get(String(id)) ?? []).filter((user) => user.uuid !== uuids.campaign);
    return this._current === id ? [this._me, ...others] : others;
  }

  _draw() {
    if (!this._isThere) {
      this._root.replaceChildren(
        h("div", { className: "nothing" },
          h("h1", { id: "campaign-title" }, "You may not see this campaign"),
          h("p", {}, "Tuleap does not show it to you, and the server does not send its presence to you.")),
      );
      this._frame = null;
      return;
    }
    if (!this._frame) this._build();
    this._title.textContent = this._label;
    this._root.classList.toggle("looking-on", !this._mayEdit);
    const tests = [...this._executions.values()].map((it) => this._drawTest(it));
    this._empty.textContent = `There are no tests that you may see. ${
      this._mayEdit ? "Add one with the button “Add a test”, or in another window." : "A member of the project can add one."}`;
    setChildren(this._frame.querySelector(".tests"), tests.length ? tests : [this._empty]);
    this._drawProgress();
    this._drawPodium();
  }

  _build() {
    this._title = h("h1", { id: "campaign-title" });
    this._progress = h("div", { className: "progress" });
    this._podium = h("div", { className: "podium", "aria-label": "Podium", role: "group" });
    const rename = h("button", { type: "button", className: "quiet structure", onclick: () => this._askName() }, "Rename");
    const add = h("button", { type: "button", className: "structure", onclick: () => this._askTest() }, "Add a test");
    this._empty = h("li", { className: "empty" });
    this._frame = h("div", { className: "campaign" },
      h("div", { className: "list" }, this._progress, h("ul", { className: "tests", "aria-label": "Tests" })),
      h("aside", { "aria-labelledby": "podium-title" }, h("h2", { id: "podium-title" }, "Podium"), this._podium));
    this._root.replaceChildren(h("div", { className: "heading" }, this._title, rename, add), this._frame);
  }

  _drawProgress() {
    const all = [...this._executions.values()];
    const counts = Object.keys(STATUSES).map((status) => [status, all.filter((it) => it.status === status).length]);
    this._progress.replaceChildren(
      h("div", { className: "shares", "aria-hidden": "true" },
        counts.filter(([, count]) => count).map(([status, count]) => {
          const share = h("span", { className: status });
          share.style.flexGrow = count;
          return share;
        })),
      h("p", {}, counts.map(([status, count]) => h("span", { className: `count-of ${status}` }, `${count} ${STATUSES[status].toLowerCase()}`))),
    );
  }

  /** The element of a test. It is kept while the test, its viewers and its state have not changed. */
  _drawTest(execution) {
    const viewers = this._viewers(execution.id);
    const isOpen = this._current === execution.id;
    const key = JSON.stringify([execution, viewers, isOpen]);
    const before = this._elements.get(execution.id);
    if (before?.key === key) return before.element;
    const hadFocus = before?.element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const element = h("li", { className: `test ${isOpen ? "open" : ""}`, "data-id": execution.id, "data-status": execution.status },
      this._drawRow(execution, viewers, isOpen), isOpen ? this._drawDetail(execution) : null);
    this._elements.set(execution.id, { key, element });
    if (hadFocus) queueMicrotask(() => element.querySelector(`[data-key="${hadFocus}"]`)?.focus({ preventScroll: true }));
    return element;
  }

  _drawRow(execution, viewers, isOpen) {
    return h("button", { type: "button", className: "row", "aria-expanded": isOpen, "data-key": "row", onclick: () => this._open(execution.id) },
      h("span", { className: `status ${execution.status}` }, STATUSES[execution.status]),
      h("span", { className: "label" }, execution.label,
        execution.is_restricted ? h("span", { className: "tag" }, "confidential") : null,
        execution.is_automated ? h("span", { className: "tag" }, "automated") : null,
        execution.bugs.length ? h("span", { className: "tag bug" }, `${execution.bugs.length} bug${execution.bugs.length > 1 ? "s" : ""}`) : null),
      h("span", { className: "viewers" }, viewers.map((user) => avatar(user, `${user.real_name} is on this test`))));
  }

  _drawDetail(execution) {
    const { id } = execution;
    const bug = h("input", { name: "title", maxLength: 250, placeholder: "Title of a bug", "aria-label": "Title of a bug", "data-key": "bug" });
    const report = async (event) => {
      event.preventDefault();
      if (!bug.value.trim()) return;
      const title = bug.value;
      bug.value = "";
      const changed = await this._try(() => request("PATCH", `testmanagement_executions/${id}/issues`, { title }));
      if (changed) this._executions.set(id, changed);
      this._draw();
    };
    const remove = async () => {
      if (await this._try(() => request("DELETE", `testmanagement_executions/${id}`))) this._removed(id);
    };
    return h("div", { className: "detail" },
      h("p", {}, execution.tested_by ? `Last result by ${execution.tested_by.real_name}.` : "Not run yet."),
      h("div", { className: "results", role: "group", "aria-label": "Result" },
        Object.entries(STATUSES).map(([status, text]) =>
          h("button", { type: "button", className: status, "data-key": status, "aria-pressed": execution.status === status, onclick: () => this._save(id, status) }, text))),
      execution.bugs.length ? h("ul", { className: "bugs" }, execution.bugs.map(({ xref, title }) => h("li", {}, h("code", {}, xref), ` ${title}`))) : null,
      h("form", { className: "report", onsubmit: report }, bug, h("button", { "data-key": "report" }, "Report")),
      h("div", { className: "actions" },
        h("button", { type: "button", className: "quiet structure", onclick: remove, "data-key": "remove" }, "Remove the test"),
        h("button", { type: "button", className: "quiet", onclick: () => this._close(), "data-key": "leave" }, "Leave the test")));
  }

  _drawPodium() {
    const standings = (this._room.podium ?? countPoints([...this._executions.values()])).map((it, index) => ({ ...it, place: index }));
    if (!standings.length) {
      this._podium.replaceChildren(h("p", { className: "empty" }, "No results yet. Each result of a manual test is a point for its tester."));
      return;
    }
    const step = ({ user, score, rank, place }) =>
      h("li", { className: `place-${place} rank-${rank}`, "data-user": user.id, "data-score": score },
        avatar(user), h("span", { className: "name" }, user.real_name),
        h("span", { className: "step" }, h("b", {}, PLACES[rank - 1] ?? `${rank}th`), h("span", {}, `${score} point${score === 1 ? "" : "s"}`)));
    const line = ({ user, score, rank }) =>
      h("li", { "data-user": user.id, "data-score": score }, h("b", {}, `${rank}th`), avatar(user), user.real_name, h("span", { className: "score" }, `${score}`));
    const rest = standings.slice(3);
    this._podium.replaceChildren(
      h("ol", { className: "steps" }, standings.slice(0, 3).map(step)),
      ...(rest.length ? [h("ol", { className: "others", start: 4 }, rest.map(line))] : []),
    );
  }

  _askName() {
    const label = h("input", { name: "label", maxLength: 250, value: this._label });
    const save = async () => {
      if (await this._try(() => request("PATCH", `testmanagement_campaigns/${this._room.id}`, { label: label.value }))) this._label = label.value;
      this._draw();
    };
    ask("Rename the campaign", [h("label", {}, "Name", label)],
      [action("Cancel", () => {}, { className: "quiet" }), action("Save", save, { className: "main" })]);
  }

  _askTest() {
    const label = h("input", { name: "label", maxLength: 250 });
    const save = async () => {
      if (!label.value.trim()) return;
      const path = `testmanagement_campaigns/${this._room.id}/executions`;
      const execution = await this._try(() => request("POST", path, { label: label.value }));
      if (execution) this._executions.set(execution.id, execution);
      this._draw();
    };
    ask("New test", [h("label", {}, "Title", label)],
      [action("Cancel", () => {}, { className: "quiet" }), action("Add", save, { className: "main" })]);
  }
}
