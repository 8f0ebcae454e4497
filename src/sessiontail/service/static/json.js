// JSON as sessions have it -> values, and lines of pieces to look at. Python writes NaN; JSON has none.

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]|\s+/gy;
const NUMBER_NAMES = /"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN/g;
// More letters than anybody reads: they are not taken apart.
const LONGEST = 1_000_000;

/** Return the value of a JSON text; NaN and Infinity become their names. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (text.length > LONGEST) throw error;
    const named = text.replace(NUMBER_NAMES, (token) => (token[0] === '"' ? token : `"${token}"`));
    if (named === text) throw error;
    return JSON.parse(named);
  }
}

/**
 * Return a JSON text as pieces, indented; null where it is none. Numbers keep all their digits and
 * keys their order: nothing is made a value on the way.
 * @param {string} text
 * @returns {{kind: "key" | "string" | "number" | "word" | "mark", text: string}[] | null}
 */
export function pretty(text) {
  const tokens = tokensOf(text);
  if (!tokens) return null;
  const pieces = [];
  let depth = 0;
  const put = (kind, piece) => pieces.push({ kind, text: piece });
  const line = () => put("mark", `\n${"  ".repeat(Math.min(depth, 40))}`);
  tokens.forEach((token, at) => {
    const next = tokens[at + 1];
    if (token === "{" || token === "[") {
      put("mark", token);
      depth += 1;
      if (next !== "}" && next !== "]") line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      if (tokens[at - 1] !== "{" && tokens[at - 1] !== "[") line();
      put("mark", token);
    } else if (token === ",") {
      put("mark", token);
      line();
    } else if (token === ":") put("mark", ": ");
    else if (token[0] === '"') put(next === ":" ? "key" : "string", token);
    else put(/^[-\d]/.test(token) ? "number" : "word", token);
  });
  return pieces;
}

/** Return a JSON text on one line, with a space behind commas and colons; null where it is none. */
export function compact(text) {
  return (
    tokensOf(text)
      ?.map((token) => (token === "," || token === ":" ? `${token} ` : token))
      .join("") ?? null
  );
}

function tokensOf(text) {
  if (text.length > LONGEST) return null;
  try {
    parse(text);
  } catch {
    return null;
  }
  return (text.match(TOKEN) ?? []).filter((token) => token.trim());
}
