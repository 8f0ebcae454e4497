"""The looks of an exported page: one style sheet, for light and dark, wide and narrow, and paper."""

from __future__ import annotations

__all__ = ["STYLE"]

# System fonts, no pictures: the page is one file that asks nothing of any network. Each pair of text
# and ground has a contrast of 4.5 : 1 at least, in both schemes.
STYLE = """\
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --card: #ffffff; --text: #1d1f21; --dim: #5c6167; --line: #dfe1e4;
  --code: #f3f4f5; --user: #0b6287; --assistant: #2f6b26; --tool: #7a5200; --system: #5b5f66;
  --damage: #a11a1a; --damage-ground: #fdf1f0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #16181a; --card: #1e2124; --text: #e4e6e8; --dim: #a0a6ad; --line: #343a40;
    --code: #272b2f; --user: #7cc7e8; --assistant: #98d08c; --tool: #e5bd70; --system: #b0b5bb;
    --damage: #ff9b94; --damage-ground: #33201f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 54rem;
  background: var(--ground); color: var(--text); font: 1rem/1.55 system-ui, sans-serif;
}
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.3; overflow-wrap: anywhere; }
h2 { margin: 0 0 .5rem; font-size: .95rem; line-height: 1.4; }
h3 { margin: .75rem 0 .25rem; font-size: .85rem; color: var(--dim); font-weight: 600; }
h2 small { margin-left: .4em; color: var(--dim); font-weight: 400; font-size: .85em; }
h2 small a { color: inherit; }
code, pre { font: .85rem/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
dl {
  display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0 0 2rem;
  font-size: .9rem;
}
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
article {
  margin: 0 0 1rem; padding: .8rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-left: .25rem solid var(--role, var(--line)); border-radius: .4rem;
}
article > h2 { color: var(--role, inherit); }
.user { --role: var(--user); }
.assistant { --role: var(--assistant); }
.tool_result { --role: var(--tool); }
.system { --role: var(--system); }
.damage { --role: var(--damage); background: var(--damage-ground); }
.inherited { border-style: dashed; border-left-style: double; }
.said { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext; margin: 0; }
.thought { color: var(--dim); font-style: italic; }
.aside { color: var(--dim); font-style: italic; margin: 0 0 1rem; }
article .aside { margin: 0; }
pre {
  margin: 0; padding: .6rem .75rem; background: var(--code); border-radius: .3rem; max-width: 100%;
  white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4;
}
details { margin-top: .6rem; border: 1px solid var(--line); border-radius: .3rem; padding: .4rem .75rem; }
details[open] { padding-bottom: .75rem; }
details details { margin-top: .25rem; }
details + .said, .said + pre, .said + details { margin-top: .5rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary:focus-visible, a:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
summary small { color: var(--dim); margin-left: .4em; }
summary strong { color: var(--tool); font-weight: 600; }
footer { color: var(--dim); font-size: .9rem; }
@media (max-width: 32rem) {
  body { padding: 1rem .6rem 3rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .4rem; }
  article { padding: .6rem .7rem; }
}
@media print {
  body { max-width: none; }
  article, details { break-inside: avoid; }
}
"""
