/** The columns of a board and their cards, as this window knows them, and the changes that events describe. */

export class Columns {
  /** `board`: as Tuleap describes it; null: the user may not see it. */
  constructor(board) {
    this.all = (board?.columns ?? []).map((column) => ({ ...column, cards: [] })); // {id, label, limit, is_open, cards: [id, …]}
    this.cards = new Map(); // id → the card as Tuleap describes it
    for (const item of board?.items ?? []) this.put(item);
  }

  get(id) {
    return this.all.find((column) => column.id === id);
  }

  /** The column of a card. */
  where(cardId) {
    return this.all.find(({ cards }) => cards.includes(cardId));
  }

  put(item) {
    this.cards.set(item.id, item);
    if (!this.where(item.id)) this.get(item.in_column)?.cards.push(item.id);
  }

  place(id, to, before = null) {
    const target = this.get(to);
    if (!target) return;
    this._take(id);
    const index = target.cards.indexOf(before);
    target.cards.splice(index < 0 ? target.cards.length : index, 0, id);
    this.cards.get(id).in_column = to;
  }

  sortCards(columnId, order) {
    const rank = new Map(order.map((each, index) => [each, index]));
    this.get(columnId)?.cards.sort((a, b) => (rank.get(a) ?? Infinity) - (rank.get(b) ?? Infinity));
  }

  forget(id) {
    this._take(id);
    this.cards.delete(id);
  }

  _take(id) {
    const column = this.where(id);
    if (column) column.cards.splice(column.cards.indexOf(id), 1);
  }

  add({ id, label, limit, is_open }) {
    if (this.get(id)) return;
    this.all.splice(-1, 0, { id, label, limit, is_open, cards: [] });
  }

  edit({ id, label, wip_limit: limit }) {
    const column = this.get(id);
    if (!column) return;
    if (label !== null) column.label = label; // null: unchanged
    if (limit !== null) column.limit = limit || null;
  }

  sort(ids) {
    const places = new Map(ids.map((id, index) => [id, index]));
    const place = ({ id }) => places.get(id) ?? (id === "backlog" ? -1 : Infinity);
    this.all.sort((a, b) => place(a) - place(b));
  }

  remove(id) {
    this.all = this.all.filter((column) => column.id !== id);
  }
}
