/** A test campaign: its viewers and its podium. */

import { Room } from "./room.js";

const PRESENCES = "org.tuleap.testmanagement.presences";
const PODIUM = "org.tuleap.testmanagement.podium";

/** A test campaign: a room that also keeps the presence and the podium. */
export class Campaign extends Room {
  presence = new Map();
  podium = [];

  /** Applies the answers with `taken`: later, they would overwrite the events that arrive right after them. */
  async _read(session) {
    const [presences, podium] = [PRESENCES, PODIUM].map((procedure) => session.call(procedure, [this.id]));
    presences.taken = (all) => this._isLeft || this._setPresence(all);
    podium.taken = (standings) => this._isLeft || this._setPodium(standings);
    await Promise.all([presences, podium]);
  }

  _apply({ cmd, data }) {
    if (cmd === "testmanagement_user:presence") {
      if ("execution_to_remove" in data) this._setUsers(data.execution_to_remove, data.execution_presences_to_remove);
      if ("execution_to_add" in data) this._setUsers(data.execution_to_add, data.execution_presences_to_add);
    } else if (cmd === "user:leave") {
      const isAnother = ({ uuid }) => uuid !== data;
      for (const [id, users] of [...this.presence]) this._setUsers(id, users.filter(isAnother));
    } else if (cmd === "testmanagement_execution:delete") this._setUsers(data.artifact_id, []);
    else if (cmd === "testmanagement_podium:update") this._setPodium(data);
  }

  _forget() {
    this._setPresence({});
    this._setPodium([]);
  }

  _setPresence(all) {
    for (const id of [...this.presence.keys()]) if (!(id in all)) this._setUsers(id, []);
    for (const [id, users] of Object.entries(all)) this._setUsers(id, users);
  }

  _setUsers(execution, users) {
    const id = String(execution);
    if (JSON.stringify(this.presence.get(id) ?? []) === JSON.stringify(users)) return;
    if (users.length) this.presence.set(id, users);
    else this.presence.delete(id);
    this._emit("presence", id, users);
  }

  _setPodium(standings) {
    if (JSON.stringify(this.podium) === JSON.stringify(standings)) return;
    this.podium = standings;
    this._emit("podium", standings);
  }
}
