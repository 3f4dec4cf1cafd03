/** The client with autobahn-js's session, for bundlers and Node. */
import autobahn from "autobahn/lib/session.js";

import { connect as connectWith } from "./dist/tuleaprt-client.js";

export const connect = (options) => connectWith({ autobahn, ...options });
