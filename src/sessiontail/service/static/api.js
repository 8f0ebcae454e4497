// paths of the service -> values. A refusal is a Problem; without the token the page becomes the login.

import { parse } from "./json.js";

const MOST_TRIES = 6;

/** What the service refused, in its own words. */
export class Problem extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** The service was not reached. The stream notices it too, and says when it is back. */
export class Unreached extends Error {}

/** Return a path with parameters, relative to the page: it may be mounted anywhere. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) {
      if (one !== null && one !== undefined && one !== "") query.append(name, String(one));
    }
  }
  const asked = query.toString();
  return asked ? `${path}?${asked}` : path;
}

/** Ask for a path; return the response once its head is there. */
export async function ask(path, { signal, headers } = {}) {
  const response = await fetch(path, { signal, headers, credentials: "same-origin" }).catch((error) => {
    throw signal?.aborted ? error : new Unreached("The service is not reached");
  });
  if (response.status === 401) location.reload(); // the same address now is the login page
  if (!response.ok) throw new Problem(response.status, await reason(response));
  return response;
}

/** The first page of the list of sessions, unless something filters it; `limit` at once. */
export function sessionsPath({ sort = "-created", states = [], text = "", limit = 100, cursor = null } = {}) {
  return address("api/sessions", { sort, state: states, q: text, limit, cursor });
}

/** A session in brief; its records are not counted by kind for it, which takes long. */
export function briefPath(session) {
  return address(`api/sessions/${session}`, { counts: false });
}

/** So many records of a session from a line on. */
export function recordsPath(session, line, limit) {
  return address(`api/sessions/${session}/records`, { line, limit });
}

/** What was asked for ahead, by its path. */
const ahead = new Map();

/** Ask for a path now, which somebody is about to want. */
export function askAhead(path) {
  const answer = get(path);
  answer.catch(() => {}); // who takes it is told
  ahead.set(path, answer);
}

/** Let go what nobody took: later it is old. */
export function forgetAhead() {
  ahead.clear();
}

/** Return what a path has, as a value; a service that has too much to do is asked again. */
export async function get(path, options) {
  const asked = ahead.get(path);
  if (ahead.delete(path)) return asked;
  return parse(await (await askAgain(path, options)).text());
}

/** Ask for a path, again where the service has too much to do; return the response. */
export async function askAgain(path, options) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask(path, options);
    } catch (error) {
      if (error.status !== 429 || tries === MOST_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, tries * 500));
    }
  }
}

/** Yield what a path has, a value a line, as it comes. */
export async function* lines(path, options) {
  const response = await ask(path, options);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const whole = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = whole.pop() ?? "";
      for (const line of whole) if (line.trim()) yield parse(line);
    }
  } finally {
    reader.cancel().catch(() => {}); // it may have failed: then there is nothing to end
  }
}

async function reason(response) {
  try {
    const problem = await response.json();
    return problem.detail || problem.title || `status ${response.status}`;
  } catch {
    return `the service answers with status ${response.status}`;
  }
}
