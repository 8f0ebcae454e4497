// the page: what its parts say to each other.

import { forgetAhead, Unreached } from "./api.js";
import { byId } from "./dom.js";
import { showTotals, tick } from "./facts.js";
import { age } from "./format.js";
import { listenToKeys } from "./keys.js";
import { hashOf, onPlace } from "./router.js";
import { Search } from "./search.js";
import { SessionList } from "./sessions.js";
import { SessionView } from "./session.js";
import { Stream } from "./stream.js";
import { startTheme } from "./theme.js";

const NEWS = new Set(["started", "closed", "abandoned", "resumed", "deleted", "replaced", "changed"]);
// The totals read the whole directory: first comes what is looked at.
const TOTALS_AFTER_MS = 2_000;
const TOTALS_EACH_MS = 60_000;

startTheme();
const list = new SessionList(failed, () => view.listed());
const search = new Search((id) => list.meta(id)?.title ?? null);
const view = new SessionView({
  follow: (session, cursor) => stream.follow(session, cursor),
  known: (session) => list.meta(session),
  error: failed,
});
const stream = new Stream(happened, () => showConnection());

function happened(name, data) {
  if (name === "ready") {
    // What came while nobody listened is not told again.
    if (!data.complete || !list.complete) list.reload({ stay: true });
    view.again();
  } else if (NEWS.has(name)) {
    list.news(name, data);
    if (data.id === view.session) view.news(name, data);
  } else if (data.session_id === view.session) view.event(name, data);
  else if (name === "unreadable") failed(new Error(data.detail));
}

function failed(error) {
  if (error instanceof Unreached) return; // the bar says so, and the stream when it is back
  byId("failure-text").textContent = error.message;
  byId("failure").hidden = false;
}

let wasConnected = false;
function showConnection() {
  const { connected } = stream;
  wasConnected ||= connected;
  byId("lost").hidden = connected || !(wasConnected || stream.refusal);
  byId("refusal").textContent = stream.refusal;
  byId("connection").className = connected ? "connected" : "lost";
  byId("connection-word").textContent = connected ? "connected" : "reconnecting…";
  if (!connected) byId("lost-age").textContent = age(new Date(stream.contactMs).toISOString());
}

function go(step) {
  const id = list.neighbour(step);
  if (id) location.hash = hashOf(id);
}

/** Go to a field; what is typed takes the place of what it has. */
function enter(id) {
  const input = byId(id);
  input.focus();
  input.select();
}

function leave() {
  const active = document.activeElement;
  if (active instanceof HTMLInputElement) active.blur();
  else if (search.open) search.close();
  else if (view.filtered) view.clearFilter();
  else if (list.filtered) list.clearFilter();
  byId("records").focus({ preventScroll: true });
}

byId("skip").addEventListener("click", () => byId("records").focus());
const help = byId("help");
byId("help-button").addEventListener("click", () => help.showModal());
byId("help-close").addEventListener("click", () => help.close());
byId("failure-close").addEventListener("click", () => (byId("failure").hidden = true));
byId("retry").addEventListener("click", () => stream.retry());
byId("no-match-clear").addEventListener("click", () => list.clearFilter());
document.addEventListener("visibilitychange", () => document.hidden || stream.retry());

listenToKeys({
  j: () => view.records.step(1),
  k: () => view.records.step(-1),
  n: () => go(1),
  p: () => go(-1),
  J: () => go(1),
  K: () => go(-1),
  g: () => view.records.toStart(),
  G: () => view.records.toEnd(),
  f: () => view.records.toggleFollow(),
  o: () => view.records.toggleFold(),
  Enter: () => view.records.toggleFold(),
  "/": () => enter(view.session ? "filter" : "query"),
  s: () => enter("query"),
  "?": () => help.showModal(),
  Escape: leave,
});

onPlace(({ session, line }) => {
  byId("failure").hidden = true;
  list.select(session);
  view.show(session, line);
});
list.reload();
forgetAhead();
setTimeout(() => showTotals().catch(failed), TOTALS_AFTER_MS);
setInterval(() => {
  if (!document.hidden) showTotals().catch(() => {}); // if the service is lost, the stream says so
}, TOTALS_EACH_MS);
setInterval(() => {
  tick();
  if (!stream.connected) showConnection();
}, 1000);
