// how a session is -> a dot and its word: never the colour alone.

import { h } from "./dom.js";

const ABOUT = {
  live: "Its writer is at work",
  closed: "It was closed in order",
  abandoned: "Its writer is gone without closing it",
  unknown: "It is not closed, and whether somebody writes it does not show",
};

export const STATES = Object.keys(ABOUT);

/** Return a state as a dot and a word. */
export function stateMark(state) {
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  return h("span", { class: `state ${state}`, title: ABOUT[state] ?? null }, dot, state);
}

/** Return what stands for the title of a session that has none: no user has spoken in it yet. */
export function untitled(meta) {
  return meta.parent_session_ids?.length ? "nothing of its own said yet" : "nothing said yet";
}

/** Return what is said of an outcome, below the last record. */
export function outcomeText(outcome) {
  return {
    closed: "This session is closed. Nothing more comes.",
    abandoned:
      "The writer is gone without closing this session. Should one come back, its records appear here.",
    deleted: "This session was deleted. What was read of it is still shown here.",
    replaced: "The file of this session was replaced by another one.",
  }[outcome];
}
