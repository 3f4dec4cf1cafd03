/** The list of events: time, command, subject, latency, publication. */

import { find } from "./api.js";
import { h, TIME } from "./dom.js";

const KEPT = 50;

/** The subject of an event in a few words. */
function about(cmd, data, nameOf) {
  if (cmd === "kanban_item:move") return `card ${data.artifact_id} → ${nameOf(data.in_column)}`;
  if (cmd.startsWith("kanban_item:")) return `card ${data.artifact_id}`;
  if (cmd === "kanban_column:create" || cmd === "kanban_column:edit") return `column ${data.label ?? data.id}`;
  if (cmd === "testmanagement_user:presence") {
    const [came, left] = [data.execution_to_add, data.execution_to_remove];
    return [data.user?.real_name, came && `on test ${came}`, left && `left test ${left}`].filter(Boolean).join(" ");
  }
  if (cmd === "testmanagement_execution:update") return `test ${data.artifact_id} ${data.status}`;
  if (cmd === "testmanagement_podium:update") return data.map(({ user, score }) => `${user.username} ${score}`).join(", ");
  if (typeof data !== "object") return String(data);
  return data.artifact_id ? `${data.artifact_id}` : "";
}

export class Events {
  /** `nameOf`: a column's label by its id. */
  constructor(log, more, nameOf = (id) => id) {
    this._log = log;
    this._nameOf = nameOf;
    more.addEventListener("click", () => {
      const isOpen = log.classList.toggle("open");
      more.setAttribute("aria-expanded", isOpen);
    });
  }

  show({ cmd, data, publication, missed }) {
    const receivedAt = performance.timeOrigin + performance.now();
    const latency = h("span", { className: "latency" }, missed ? "missed" : "");
    const item = h(
      "li",
      { "data-cmd": cmd, ...(publication && { "data-publication": publication }) },
      h("time", {}, TIME.format(receivedAt)),
      h("code", {}, cmd),
      h("span", { className: "about" }, about(cmd, data, this._nameOf)),
      latency,
      h("span", { className: "publication", title: "publication" }, publication && String(publication)),
    );
    this._log.querySelector(".empty")?.remove();
    this._log.prepend(item);
    while (this._log.children.length > KEPT) this._log.lastChild.remove();
    if (!publication) this._leaveOpen(latency, "socket.io does not name the publication");
    else if (!missed) this._measure(publication, receivedAt, latency);
  }

  /** The latency from the post to this page: the substitute knows the time of the post, and both use the same clock. */
  async _measure(publication, receivedAt, latency) {
    const { posted_at: postedAt } = (await find(`posts/${publication}`).catch(() => null)) ?? {};
    if (postedAt) latency.textContent = `${Math.max(receivedAt - postedAt, 0).toFixed(1)} ms`;
    else this._leaveOpen(latency, "no post: the server has published this event by itself");
  }

  _leaveOpen(latency, why) {
    latency.textContent = "–";
    latency.title = why;
  }
}
