// names and texts -> elements. Text of sessions becomes text nodes here, and nothing else.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Return a new element. Properties that begin with "on" are listeners, "class" is the class, "data"
 * the dataset; true is an empty attribute, null and false are left out.
 * @param {string} name
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null)} children
 * @returns {HTMLElement}
 */
export function h(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

/** Return a new element of a picture; as `h`. */
export function s(name, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

/** Return the element of the page with this id; it is there. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/** Say a text to a screen reader, once, without moving the focus. */
export function announce(text) {
  byId("news").textContent = text;
}

/** Return a function that runs `act` so many milliseconds after its last call. */
export function debounced(act, ms) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), ms);
  };
}
