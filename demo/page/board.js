/** The Kanban board: draws it, sends the user's changes to Tuleap, and applies the events of other windows. */

import { find, request } from "./api.js";
import { Columns } from "./columns.js";
import { action, ask, avatar, h, notify, setChildren } from "./dom.js";

const SIDE = { ArrowLeft: -1, ArrowRight: 1 };
const ALONG = { ArrowUp: -1, ArrowDown: 1 };

export class Board {
  constructor(root, room, users) {
    this._root = root;
    this._room = room;
    this._users = new Map(users.map((user) => [user.id, user]));
    this._columns = new Columns(null);
    this._elements = new Map(); // id → its element
    this._lists = new Map(); // id of a column → its element
    this._queue = Promise.resolve(); // the window's own changes, sent one after another
    this._waiting = 0;
    this._dragged = null;
    this._empty = h("p", { className: "empty" },
      "There are no cards that you may see. Add one in a column below, or in another window.");
    this._list = h("ol", { className: "columns", tabIndex: 0, "aria-label": "Columns" });
    for (const name of ["live", "gap"]) room.on(name, () => this.load());
    room.on("kanban_item:create", (data) => this._fetched(data.artifact_id));
    room.on("kanban_item:update", (data) => this._columns.cards.has(data.artifact_id) && this._fetched(data.artifact_id));
    room.on("kanban_item:move", (data) => this._moved(data));
    room.on("kanban_column:create", (data) => this._change(() => this._columns.add(data)));
    room.on("kanban_column:edit", (data) => this._change(() => this._columns.edit(data)));
    room.on("kanban_column:move", (data) => this._change(() => this._columns.sort(data)));
    room.on("kanban_column:delete", (data) => this._change(() => this._removeColumn(data)));
    room.on("kanban:edit", (label) => this._change(() => (this._label = label)));
  }

  async load() {
    const board = await find(`kanban/${this._room.id}`);
    this._lists.clear();
    this._elements.clear();
    this._columns = new Columns(board);
    this._label = board?.label;
    this._mayEdit = board?.may_edit ?? false;
    if (board) this._draw();
    else this._drawNothing();
  }

  /** The label of a column that an event names by its id. */
  nameOf(columnId) {
    return this._columns.get(columnId)?.label ?? columnId;
  }

  /** Apply a change and draw it. While a card is dragged, the drawing waits for the drop. */
  _change(change) {
    change();
    if (this._dragged === null && this._columns.all.length) this._draw();
  }

  _put(item) {
    this._columns.put(item);
    this._elements.delete(item.id);
  }

  /** A card was created or changed. Moves have events of their own, which give its place. */
  async _fetched(id) {
    const item = await find(`kanban_items/${id}`);
    this._change(() => {
      if (item) this._put(item);
      else this._forget(id);
      if (item) this._flash(id);
    });
  }

  async _moved({ artifact_id: id, in_column: to, ordered_destination_column_items_ids: order }) {
    if (!this._columns.cards.has(id)) await this._fetched(id);
    if (!this._columns.cards.has(id)) return;
    this._change(() => {
      this._columns.place(id, to);
      this._columns.sortCards(to, order);
      this._flash(id);
    });
  }

  _forget(id) {
    this._columns.forget(id);
    this._elements.delete(id);
  }

  _removeColumn(id) {
    this._columns.remove(id);
    this._lists.delete(id);
  }

  /** The window's own change: shown at once, then sent to Tuleap. If it is refused, the board is loaded again. */
  _do(change, method, path, body) {
    this._change(change);
    this._waiting += 1;
    this._queue = this._queue.then(async () => {
      try {
        const answer = await request(method, path, body);
        this._waiting -= 1;
        return answer;
      } catch (error) {
        this._waiting -= 1;
        notify(error.message);
        await this.load();
        return null;
      }
    });
    return this._queue;
  }

  async _move(id, to, before = null) {
    const item = await this._do(() => this._columns.place(id, to, before), "PATCH", `kanban_items/${id}`, { in_column: to, before });
    // The event of another user's move may have arrived meanwhile, though Tuleap has applied that move before.
    const isElsewhere = item && this._waiting === 0 && this._columns.where(id)?.id !== item.in_column;
    if (isElsewhere) this._change(() => this._columns.place(id, item.in_column));
  }

  async _create(form, column) {
    const [label, isRestricted] = [form.elements.label.value.trim(), form.elements.restricted.checked];
    if (!label) return;
    form.reset();
    const body = { label, in_column: column.id, is_restricted: isRestricted };
    const item = await this._do(() => {}, "POST", "kanban_items", body);
    if (item) this._change(() => this._put(item));
  }

  _draw() {
    if (this._list.parentElement !== this._root) {
      this._title = h("h1", { id: "board-title" });
      const rename = h("button", { type: "button", className: "quiet structure", onclick: () => this._askBoard() }, "Rename");
      const add = h("button", { type: "button", className: "structure", onclick: () => this._askNewColumn() }, "Add a column");
      this._root.replaceChildren(h("div", { className: "heading" }, this._title, rename, add), this._empty, this._list);
    }
    this._title.textContent = this._label;
    this._root.classList.toggle("looking-on", !this._mayEdit);
    this._empty.hidden = this._columns.all.some(({ cards }) => cards.length);
    setChildren(this._list, this._columns.all.map((column) => this._drawColumn(column)));
  }

  _drawNothing() {
    this._root.replaceChildren(
      h("div", { className: "nothing" },
        h("h1", { id: "board-title" }, "You may not see this board"),
        h("p", {}, "Tuleap does not show it to you. This window is subscribed to its topic but receives no events: ",
          "the server compares the groups in your token with the rights of each message.")),
    );
  }

  _drawColumn(column) {
    let element = this._lists.get(column.id);
    if (!element) {
      element = this._newColumn(column);
      this._lists.set(column.id, element);
    }
    const { length } = column.cards;
    const isOver = column.limit !== null && length > column.limit;
    element.querySelector("h2").textContent = column.label;
    const count = element.querySelector(".count");
    count.textContent = column.limit === null ? `${length}` : `${length} / ${column.limit}`;
    count.classList.toggle("over", isOver);
    count.title = isOver ? "more than the limit" : "";
    const cards = column.cards.map((id) => this._drawCard(this._columns.cards.get(id)));
    element.emptyState.textContent = this._emptyText(column);
    setChildren(element.querySelector("ul"), cards.length ? cards : [element.emptyState]);
    return element;
  }

  _emptyText({ id }) {
    if (!this._empty.hidden) return "No cards.";
    return id === "archive" ? "No cards. Move one here." : "No cards. Add one below, or move one here.";
  }

  _newColumn(column) {
    const title = `title-${column.id}`;
    const edit = h("button", { type: "button", className: "quiet structure", "aria-label": `Edit ${column.label}`, onclick: () => this._askColumn(column.id) }, "…");
    const form = h("form", { className: "add", onsubmit: (event) => (event.preventDefault(), this._create(form, column)) },
      h("input", { name: "label", maxLength: 250, required: true, autocomplete: "off", placeholder: "New card", "aria-label": `New card in ${column.label}` }),
      h("label", { title: "Only testers and administrators see it" }, h("input", { type: "checkbox", name: "restricted" }), " confidential"),
      h("button", {}, "Add"));
    const element = h("li", { className: "column", "data-id": column.id, "aria-labelledby": title },
      h("div", { className: "top" }, h("h2", { id: title }), h("span", { className: "count" }), column.is_open ? edit : null),
      h("ul", { className: "cards", "aria-labelledby": title }),
      column.id === "archive" ? null : form);
    element.emptyState = h("li", { className: "empty" });
    element.addEventListener("dragover", (event) => this._over(event, element));
    element.addEventListener("dragleave", (event) => element.contains(event.relatedTarget) || element.classList.remove("target"));
    element.addEventListener("drop", (event) => this._drop(event, element, column.id));
    return element;
  }

  _drawCard(card) {
    let element = this._elements.get(card.id);
    if (element) return element;
    const submitter = this._users.get(card.submitter_id);
    const body = h("div", {
      className: "card", role: "button", tabIndex: 0, draggable: true, "data-id": card.id, "data-color": card.color || "none",
      "aria-describedby": "hint", onclick: () => this._askCard(card.id), onkeydown: (event) => this._key(event, card.id),
      ondragstart: (event) => this._drag(event, card.id), ondragend: () => this._dragEnd(),
    },
      h("span", { className: "label" }, card.label),
      h("span", { className: "meta" }, h("span", { className: "id" }, `#${card.id}`),
        card.is_restricted ? h("span", { className: "tag" }, "confidential") : null,
        submitter ? avatar(submitter, `Submitted by ${submitter.real_name}`) : null));
    element = h("li", {}, body);
    this._elements.set(card.id, element);
    return element;
  }

  _flash(id) {
    const card = this._columns.cards.get(id);
    if (!card) return;
    const body = this._drawCard(card).firstChild;
    body.classList.remove("changed");
    requestAnimationFrame(() => body.classList.add("changed"));
  }

  _key(event, id) {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this._askCard(id);
    } else if (event.shiftKey && (event.key in SIDE || event.key in ALONG)) {
      event.preventDefault();
      this._step(id, event.key);
      this._elements.get(id).firstChild.focus();
    }
  }

  _step(id, key) {
    const column = this._columns.where(id);
    if (key in SIDE) {
      const target = this._columns.all[this._columns.all.indexOf(column) + SIDE[key]];
      if (target) this._move(id, target.id);
      return;
    }
    const index = column.cards.indexOf(id) + ALONG[key];
    if (index < 0 || index >= column.cards.length) return;
    const before = column.cards[ALONG[key] < 0 ? index : index + 1] ?? null;
    this._move(id, column.id, before);
  }

  _drag(event, id) {
    this._dragged = id;
    event.dataTransfer.setData("text/plain", String(id));
    event.dataTransfer.effectAllowed = "move";
    event.target.classList.add("dragged");
  }

  _over(event, element) {
    if (this._dragged === null) return;
    event.preventDefault();
    element.classList.add("target");
  }

  _drop(event, element, columnId) {
    event.preventDefault();
    element.classList.remove("target");
    const id = this._dragged;
    this._dragged = null;
    if (id === null) return;
    const cards = [...element.querySelectorAll(".card")].filter((card) => Number(card.dataset.id) !== id);
    const below = cards.find((card) => event.clientY < card.getBoundingClientRect().top + card.offsetHeight / 2);
    this._move(id, columnId, below ? Number(below.dataset.id) : null);
  }

  _dragEnd() {
    this._dragged = null;
    for (const it of this._root.querySelectorAll(".dragged, .target")) it.classList.remove("dragged", "target");
    this._draw();
  }

  _askCard(id) {
    const card = this._columns.cards.get(id);
    const label = h("textarea", { name: "label", rows: 6, maxLength: 250, value: card.label });
    const column = h("select", { name: "column" },
      this._columns.all.map((it) => h("option", { value: it.id, selected: it === this._columns.where(id) }, it.label)));
    const save = () => {
      const target = this._columns.all[column.selectedIndex];
      if (target && target !== this._columns.where(id)) this._move(id, target.id);
      const text = label.value.trim();
      if (text && text !== card.label) this._do(() => this._put({ ...this._columns.cards.get(id), label: text }), "PATCH", `kanban_items/${id}`, { label: text });
    };
    ask(`Card #${id}`, [h("label", {}, "Title", label), h("label", {}, "Column", column)],
      [action("Cancel", () => {}, { className: "quiet" }), action("Save", save, { className: "main" })]);
  }

  _askBoard() {
    const label = h("input", { name: "label", maxLength: 250, value: this._label });
    const save = () => label.value.trim() && this._do(() => (this._label = label.value.trim()), "PATCH", `kanban/${this._room.id}`, { label: label.value });
    ask("Rename the board", [h("label", {}, "Name", label)],
      [action("Cancel", () => {}, { className: "quiet" }), action("Save", save, { className: "main" })]);
  }

  _askNewColumn() {
    const label = h("input", { name: "label", maxLength: 250 });
    const save = async () => {
      if (!label.value.trim()) return;
      const column = await this._do(() => {}, "POST", `kanban/${this._room.id}/columns`, { label: label.value });
      if (column) this._change(() => this._columns.add(column));
    };
    ask("New column", [h("label", {}, "Name", label)],
      [action("Cancel", () => {}, { className: "quiet" }), action("Add", save, { className: "main" })]);
  }

  _askColumn(id) {
    const column = this._columns.get(id);
    const label = h("input", { name: "label", maxLength: 250, value: column.label });
    const limit = h("input", { name: "limit", type: "number", min: 0, max: 999, value: column.limit ?? 0 });
    const save = () => {
      const change = { id, label: label.value.trim() || column.label, wip_limit: Number(limit.value) || 0 };
      this._do(() => this._columns.edit(change), "PATCH", `kanban_columns/${id}`, { label: change.label, wip_limit: change.wip_limit });
    };
    const move = (step) => () => {
      const ids = this._columns.all.filter(({ is_open: isOpen }) => isOpen).map((it) => it.id);
      const index = ids.indexOf(id);
      if (!(index + step in ids)) return;
      ids.splice(index + step, 0, ...ids.splice(index, 1));
      this._do(() => this._columns.sort(ids), "PUT", `kanban/${this._room.id}/columns`, { column_ids: ids });
    };
    const remove = () => this._do(() => this._removeColumn(id), "DELETE", `kanban_columns/${id}`);
    ask("Column", [h("label", {}, "Name", label), h("label", {}, "Limit of cards (0: none)", limit)], [
      action("Delete", remove, { className: "quiet", disabled: column.cards.length > 0, title: "A column with cards cannot be deleted" }),
      action("← Left", move(-1), { className: "quiet" }), action("Right →", move(1), { className: "quiet" }),
      action("Save", save, { className: "main" }),
    ]);
  }
}
