// lines <-> the pages in which they are asked for.

/** Lines of a page. */
export const PAGE = 100;

/** Return the page that a line is in, from 0. */
export function pageOf(line) {
  return Math.floor((line - 1) / PAGE);
}

/** Return the first line of the page that a line is in. */
export function firstOfPage(line) {
  return pageOf(line) * PAGE + 1;
}
