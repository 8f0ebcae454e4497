// a session in brief -> the facts at the top, and what it used.

import { address, get } from "./api.js";
import { byId, h } from "./dom.js";
import { age, count, counted, moment, oneLine, size, UNKNOWN } from "./format.js";
import { stateMark, untitled } from "./state.js";

/** Show what is known of a session. */
export function showFacts(meta) {
  const title = byId("session-title");
  title.textContent = oneLine(meta.title ?? "", 300) || untitled(meta);
  title.classList.toggle("none", !meta.title);
  const { cumulative_usage: usage, modified_at: written } = meta;
  // Of a live one it is what is being written just now.
  const torn = meta.state === "live" ? 0 : meta.torn_bytes;
  byId("session-facts").replaceChildren(
    fact("State", meta.state ? stateMark(meta.state) : UNKNOWN),
    fact("Id", h("code", {}, meta.id)),
    fact("Written", h("time", { id: "written", datetime: written ?? "", title: moment(written) })),
    fact("Created", moment(meta.created_at)),
    fact("Size", size(meta.size_bytes), `${count(meta.size_bytes)} bytes`),
    torn ? fact("Torn", size(torn), `${counted(torn, "byte")} behind the last whole line: no record`) : "",
    fact("Chunks", count(meta.chunk_count)),
    fact("Tokens", usage ? count(usage.total_tokens) : UNKNOWN, usage ? null : "Unknown: no trailer says it"),
  );
  tick();
}

/** Let the age of what is shown move. */
export function tick() {
  const written = document.getElementById("written");
  if (!written) return;
  const text = age(written.dateTime);
  const told = text === "now" || text === UNKNOWN ? text : `${text} ago`;
  if (written.textContent !== told) written.textContent = told;
}

function fact(name, value, title = null) {
  return h("div", { title }, h("dt", {}, name), h("dd", {}, value));
}

/** Show what a session used, and the turns that led to it; and which tools it called. */
export async function showUsage(session, counts) {
  const box = byId("usage");
  box.replaceChildren(h("p", { class: "hint" }, "Loading…"));
  const tools = Object.entries(counts?.tools ?? {}).sort((one, other) => other[1] - one[1]);
  const used = h("dl", { class: "numbers" });
  try {
    const usage = await get(address("api/usage", { session }));
    used.append(tokens("This session", usage));
    const whole = usage.conversation;
    if (whole && whole.session_ids.length > 1) {
      used.append(tokens(`Its conversation, ${counted(whole.sessions, "turn")}`, whole));
    }
  } catch (error) {
    used.append(pair("Tokens", error.message));
  }
  for (const [name, calls] of tools.slice(0, 20)) {
    used.append(pair(oneLine(name, 60), counted(calls, "call")));
  }
  box.replaceChildren(used);
}

function tokens(name, usage) {
  if (!usage.known) return pair(name, `${UNKNOWN} tokens: unknown`);
  const unknown = usage.unknown + usage.damaged + (usage.unreadable ?? 0);
  const parts = `${count(usage.prompt_tokens)} prompt, ${count(usage.completion_tokens)} completion`;
  const rest = unknown ? `; unknown of ${counted(unknown, "session")}` : "";
  return pair(name, `${count(usage.total_tokens)} tokens (${parts})${rest}`);
}

function pair(name, value) {
  return h("div", {}, h("dt", { dir: "auto" }, name), h("dd", {}, value));
}

/** Show what all sessions used, in the bar. */
export async function showTotals() {
  const usage = await get("api/usage");
  const unknown = usage.unknown + usage.damaged + usage.unreadable;
  const rest = unknown ? `, unknown of ${count(unknown)}` : "";
  const known = `${count(usage.total_tokens)} tokens of ${counted(usage.known, "session")}`;
  byId("totals").textContent = usage.known ? `${known}${rest}` : "";
}
