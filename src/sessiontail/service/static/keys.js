// keys -> what they do; not while somebody types, and not with Ctrl, Alt or Meta.

/**
 * Let keys act from now on.
 * @param {Record<string, () => void>} acts by the key's name
 */
export function listenToKeys(acts) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return; // it has its own keys
    if (event.key !== "Escape") {
      if (types(event.target)) return;
      // Enter and space belong to what has the focus, where that is a control.
      if (event.key === "Enter" && event.target.closest("a, button, summary, select")) return;
    }
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function types(element) {
  return element.matches("input:not([type=checkbox]), select, textarea, [contenteditable]");
}
