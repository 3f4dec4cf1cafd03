/** The substitute's REST interface, as one user and one window. */

const storage = globalThis.sessionStorage;

/** A window keeps its uuid over a reload, so that it is still the same window. A copy of a tab gets a new one. */
function windowUuid() {
  const isReload = performance.getEntriesByType("navigation")[0]?.type === "reload";
  const uuid = (isReload && storage.getItem("uuid")) || crypto.randomUUID();
  if (!isReload) storage.removeItem("execution");
  storage.setItem("uuid", uuid);
  return uuid;
}

/** Tuleap's pages have another UUID after a reload, and a kanban and a campaign are two pages. */
function pageUuids() {
  storage.removeItem("execution");
  return { board: crypto.randomUUID(), campaign: crypto.randomUUID() };
}

function sameUuid() {
  const uuid = windowUuid();
  return { board: uuid, campaign: uuid };
}

const parameters = new URLSearchParams(location.search);

export const userId = Number(parameters.get("as")) || 101;
export const isTuleapPage = parameters.get("page") === "tuleap";
export const uuids = isTuleapPage ? pageUuids() : sameUuid();

const TIME_LIMIT = 30_000; // ms

/** A refused request: HTTP's `status`, and Tuleap's error as `message`. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function request(method, path, body) {
  const headers = { "X-User": userId, "X-Client-UUID": path.startsWith("testmanagement_") ? uuids.campaign : uuids.board };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(TIME_LIMIT); // a lost network does not end a request
  const answer = await fetch(`api/${path}`, { method, headers, body: body && JSON.stringify(body), signal });
  const value = await answer.json();
  if (!answer.ok) throw new Refusal(answer.status, value.error);
  return value;
}

export const get = (path) => request("GET", path);

/** `get`, or null if the thing does not exist or the user may not see it. */
export async function find(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}
