// records -> which result belongs to which call, both ways, by the ids that the model gave them.

import { parse } from "./json.js";

/** @typedef {{line: number, name: string, arguments: string}} Call */
/** @typedef {{line: number, length: number, cut: boolean}} Result */

/** Learns calls and results as records come by, in any order, and knows the partner of each. */
export class Calls {
  /** @type {Map<string, Call[]>} */
  #calls = new Map();
  /** @type {Map<string, Result[]>} */
  #results = new Map();

  /** Note what a record calls or answers; return the ids for which that was news. */
  learn(record) {
    if (record.kind === "assistant") {
      return callsOf(record).flatMap(({ id, name, arguments: text }) =>
        note(this.#calls, id, { line: record.line, name, arguments: text.slice(0, 200) }),
      );
    }
    if (record.kind === "tool_result") {
      const text = contentOf(record.payload.content);
      const result = { line: record.line, length: text.length, cut: Boolean(record.cut) };
      return note(this.#results, String(record.payload.tool_call_id ?? ""), result);
    }
    return [];
  }

  /** Return the call that the result on `line` answers: the last above it; null: none is known. */
  callOf(id, line) {
    return this.#calls.get(id)?.findLast((call) => call.line < line) ?? null;
  }

  /** Return the lines of all that has this id. */
  linesOf(id) {
    return [...(this.#calls.get(id) ?? []), ...(this.#results.get(id) ?? [])].map((one) => one.line);
  }

  /** Return the result of the call on `line`: the first below it; null: none is known. */
  resultOf(id, line) {
    return this.#results.get(id)?.find((result) => result.line > line) ?? null;
  }
}

/** Return the calls of an assistant's record, as text; what is no call is left out. */
export function callsOf(record) {
  const calls = record.payload?.tool_calls;
  if (!Array.isArray(calls)) return [];
  return calls
    .filter((call) => call !== null && typeof call?.function === "object" && call.function !== null)
    .map((call) => ({
      id: asText(call.id),
      name: asText(call.function.name),
      arguments: asText(call.function.arguments),
    }));
}

/** Return a message's content as text: of a list of parts, their texts, and a word for the others. */
export function contentOf(content) {
  if (typeof content === "string") return content;
  if (content === null || content === undefined) return "";
  if (!Array.isArray(content)) return asText(content);
  return content.map(partOf).join("\n");
}

/** Return whether a result says that its tool failed, as `format/tool_errors` has it; cut, it says none. */
export function saysFailed({ payload, cut }) {
  if (payload.is_error === true || payload.isError === true) return true;
  if (cut || typeof payload.content !== "string" || !/^\s*\{/u.test(payload.content)) return false;
  try {
    const { ok, exit_code: code, error } = parse(payload.content);
    return ok === false || (typeof code === "number" && code !== 0) || !isNothing(error);
  } catch {
    return false; // no JSON
  }
}

function isNothing(value) {
  return typeof value === "object" && value !== null ? Object.keys(value).length === 0 : !value;
}

function partOf(part) {
  if (typeof part === "string") return part;
  if (typeof part?.text === "string") return part.text;
  if (typeof part?.type === "string") return `[${part.type}, ${asText(part).length} letters]`;
  return asText(part);
}

function asText(value) {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  try {
    return JSON.stringify(value);
  } catch {
    return "(nested too deeply for text)";
  }
}

function note(table, id, value) {
  if (!id) return [];
  const there = table.get(id);
  if (!there) table.set(id, [value]);
  else if (there.some((one) => one.line === value.line)) return [];
  else table.set(id, [...there, value].sort((one, other) => one.line - other.line));
  return [id];
}
