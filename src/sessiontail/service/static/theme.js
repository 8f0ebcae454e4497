// light, dark, or as the system has it: switched by a button, and remembered.

import { byId } from "./dom.js";

const KEY = "sessiontail-theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

/** Show the remembered theme, and let the button switch it. */
export function startTheme() {
  const button = byId("theme");
  show(button, remembered());
  button.addEventListener("click", () => {
    const theme = NEXT[remembered()];
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      button.title = "This browser does not remember it";
    }
    show(button, theme);
  });
}

function remembered() {
  try {
    const theme = localStorage.getItem(KEY);
    return theme && theme in NEXT ? theme : "system";
  } catch {
    return "system"; // storage is forbidden
  }
}

function show(button, theme) {
  document.documentElement.dataset.theme = theme;
  const label = `Theme: ${theme}. Switch to ${NEXT[theme]}`;
  button.setAttribute("aria-label", label);
  button.title = label;
}
