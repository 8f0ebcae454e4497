// a record -> its row: who speaks, what is said, what is called, what came back, what is damaged.

import { callsOf, contentOf, saysFailed } from "./calls.js";
import { h, s } from "./dom.js";
import { count, counted, inert, moment, oneLine, size } from "./format.js";
import { compact } from "./json.js";
import { hashOf } from "./router.js";
import { argumentsView, lettersOf, output, prose, putText, resultView } from "./text.js";

const ROLES = {
  header: "header",
  system: "system",
  user: "user",
  assistant: "assistant",
  tool_result: "tool result",
  trailer: "trailer",
  damage: "damage",
};
// Lines that are shown of what is folded.
const OF_A_MESSAGE = 40;
const OF_A_RESULT = 12;
const OF_ARGUMENTS = 14;
const COPIED = "A copy of an earlier session's row";
// Letters of arguments that are read as well on one line: such a call is folded at first.
const FITS_A_LINE = 72;

/**
 * @typedef {import("./text.js").Look & {
 *   session: string,
 *   calls: import("./calls.js").Calls,
 *   inherited: number | null,
 *   live: boolean,
 *   showWhole: (line: number) => void,
 * }} RecordLook
 */

/** Return what `kind=` calls a record. */
export function kindOf(record) {
  return record.record_type === "chunk" ? record.kind : record.record_type;
}

/**
 * Return the row of a record.
 * @param {any} record
 * @param {RecordLook} look
 */
export function recordRow(record, look) {
  const kind = kindOf(record);
  if (kind === "blank") return h("div", { class: "blank" });
  const inherited = isInherited(record, look);
  const role = ROLES[kind] ?? kind;
  const row = h(
    "article",
    {
      class: `record ${kind}${inherited ? " inherited" : ""}`,
      tabindex: "-1",
      "aria-label": `${role}, line ${record.line}${inherited ? ", inherited" : ""}`,
      data: { line: record.line, kind },
    },
    h(
      "div",
      { class: "gutter" },
      h("span", { class: "role" }, role),
      inherited ? h("span", { class: "tag", title: COPIED }, "inherited") : null,
      h(
        "a",
        {
          class: "line",
          href: hashOf(look.session, record.line),
          title: "A link to this line",
          "aria-label": `Link to line ${record.line}`,
        },
        String(record.line),
      ),
    ),
  );
  const body = h("div", { class: "body" });
  BODIES[kind]?.(body, record, record.cut ? { ...look, cut: true } : look);
  if (record.cut) {
    const further = look.query !== "" && !body.querySelector("mark");
    if (further) body.append(h("p", { class: "hint" }, "What matches is further down."));
    body.append(wholeButton(record, look));
  }
  row.append(body);
  return row;
}

function isInherited(record, look) {
  return Number.isInteger(record.index) && record.index < (look.inherited ?? 0);
}

const BODIES = { header, system: message, user: message, assistant, tool_result: result, trailer, damage };

function message(body, record, look) {
  const text = contentOf(record.payload.content);
  if (text) body.append(prose(text, `${record.line}:text`, look, OF_A_MESSAGE));
  else body.append(h("p", { class: "hint" }, "(no text)"));
}

function assistant(body, record, look) {
  const { payload, line } = record;
  const thought = contentOf(payload.reasoning_content || payload.reasoning);
  if (thought) {
    const inner = prose(thought, `${line}:thought`, look, OF_A_MESSAGE);
    const title = [h("span", { class: "name" }, "reasoning")];
    body.append(fold("thought", `${line}:reasoning`, look, title, inner, true));
  }
  const text = contentOf(payload.content);
  const calls = callsOf(record);
  if (text) body.append(prose(text, `${line}:text`, look, OF_A_MESSAGE));
  calls.forEach((call, at) => body.append(callCard(call, `${line}:call${at}`, record, look)));
  if (!text && !calls.length) body.append(h("p", { class: "hint" }, "(no text, no call)"));
}

function callCard(call, key, record, look) {
  const answer = look.calls.resultOf(call.id, record.line);
  const title = [
    h("span", { class: "name", dir: "auto" }, oneLine(call.name, 80) || "(no name)"),
    briefly(call.arguments),
  ];
  const brief = (compact(call.arguments) ?? call.arguments).length <= FITS_A_LINE;
  const inner = argumentsView(call.arguments, key, look, OF_ARGUMENTS);
  const card = fold("call", key, look, title, inner, brief);
  if (answer) card.append(partner("result", "down", answer.line, look));
  else if (look.live) card.append(h("span", { class: "partner none waiting" }, "no result yet"));
  else card.append(h("span", { class: "partner none" }, "no result known"));
  return card;
}

function partner(what, way, line, look) {
  const place = { class: "partner", href: hashOf(look.session, line) };
  return h("a", place, arrow(way), `${what}, line ${count(line)}`);
}

function briefly(text) {
  return h("code", { class: "brief", dir: "auto" }, oneLine(compact(text) ?? text, 160));
}

function result(body, record, look) {
  const { payload, line } = record;
  const text = contentOf(payload.content);
  const call = look.calls.callOf(String(payload.tool_call_id ?? ""), line);
  const failed = saysFailed(record);
  const name = oneLine(contentOf(payload.name) || (call?.name ?? ""), 80);
  const title = [
    h("span", { class: "name", dir: "auto" }, name || "(no name)"),
    briefly(call?.arguments ?? ""),
    failed ? h("span", { class: "failed" }, "failed") : null,
    h("span", { class: "amount" }, record.cut ? lettersOf(record) : amountOf(text)),
  ];
  const empty = h("p", { class: "hint" }, "(empty)");
  const inner = text ? resultView(text, `${line}:text`, look, OF_A_RESULT) : empty;
  const card = fold(failed ? "outcome failure" : "outcome", `${line}:result`, look, title, inner);
  if (call) card.append(partner("call", "up", call.line, look));
  else card.append(h("span", { class: "partner none" }, "its call is not known here"));
  body.append(card);
}

function amountOf(text) {
  const lines = text.split("\n").length;
  return lines > 1 ? `${counted(lines, "line")}, ${size(text.length)}` : size(text.length);
}

function header(body, record) {
  const { lineage_operator: operator, lineage_kind: kind } = record;
  const facts = [`${operator} / ${kind}`, `created ${moment(record.created_at)}`];
  const parents = record.parent_session_ids ?? [];
  if (record.sandbox_backend) facts.push(`sandbox ${record.sandbox_backend}`);
  const line = h("p", { class: "quiet", dir: "auto" }, inert(facts.join("  ·  ")));
  parents.forEach((id, at) => {
    line.append(at ? ", " : "  ·  child of ", h("a", { href: hashOf(id), title: id }, id.slice(0, 8)));
  });
  body.append(line);
}

function trailer(body, record) {
  const { closed_at: closed, final_chunk_count: chunks, cumulative_usage: usage } = record;
  const parts = usage
    ? `${count(usage.prompt_tokens)} prompt, ${count(usage.completion_tokens)} completion`
    : "";
  const told = [
    closed ? `closed ${moment(closed)}` : "closed",
    chunks === null ? "chunks unknown" : counted(chunks, "chunk"),
    usage ? `${count(usage.total_tokens)} tokens (${parts})` : "tokens unknown",
  ];
  body.append(h("p", { class: "quiet" }, told.join("  ·  ")));
}

function damage(body, record, look) {
  const place = `line ${count(record.line)}, byte ${count(record.offset)}`;
  body.append(
    h(
      "p",
      { class: "reason" },
      h("strong", {}, `This line is no record: ${record.reason}`),
      h("span", { class: "amount" }, `${place}, ${counted(record.length, "byte")}`),
    ),
    putText(h("p", { class: "hint", dir: "auto" }), record.message ?? "", look.query),
    output(record.raw ?? record.text ?? "", `${record.line}:raw`, look, OF_A_RESULT),
  );
}

function wholeButton(record, look) {
  return h(
    "button",
    { class: "more whole", type: "button", onclick: () => look.showWhole(record.line) },
    `Show all: ${lettersOf(record)}`,
  );
}

/** Return a card that opens and closes; `closed` says how it is at first. */
function fold(kind, key, look, title, inner, closed = false) {
  const id = `fold-${key}`;
  const shut = closed && !inner.querySelector("mark"); // what is searched for is shown
  const open = look.isOpen(id) === shut;
  const details = h("details", { class: "card", open }, h("summary", {}, ...title), inner);
  details.addEventListener("toggle", () => look.setOpen(id, details.open === shut));
  return h("div", { class: `fold ${kind}` }, details);
}

function arrow(way) {
  const path = way === "down" ? "M6 2v8M2.5 6.5 6 10l3.5-3.5" : "M6 10V2M2.5 5.5 6 2l3.5 3.5";
  const drawn = s("path", { d: path });
  return s("svg", { class: "icon", viewBox: "0 0 12 12", "aria-hidden": "true" }, drawn);
}
