// the address -> its first answers, asked for while the page's other modules are still on their way.

import { askAhead, briefPath, recordsPath, sessionsPath } from "./api.js";
import { placeOf } from "./router.js";
import { firstOfPage, PAGE } from "./paging.js";

const { session, line } = placeOf(location.hash);
if (session) {
  askAhead(recordsPath(session, firstOfPage(line ?? 1), PAGE));
  askAhead(briefPath(session));
}
askAhead(sessionsPath());
