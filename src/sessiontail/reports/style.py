"""How a page looks: in light, in the dark, narrow, on paper. One text; nothing is loaded.

Contrasts (WCAG 2.2, on the page and on its panels): text 4.5 and more, what is drawn 3 and more.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

__all__ = ["POLICY", "STYLE"]

STYLE = """\
:root{color-scheme:light dark;--page:#fff;--panel:#f4f5f7;--text:#1c2024;--quiet:#565d66;--line:#d5d9de;
--bar:#2f6db5;--error:#b3261e;--warning:#8a5a00;--info:#4a6572;--link:#1a5fb4}
@media(prefers-color-scheme:dark){:root{--page:#15181c;--panel:#1f242a;--text:#e6e8ea;--quiet:#a9b1ba;
--line:#3a424b;--bar:#6ea8e8;--error:#ff8a80;--warning:#f0b94c;--info:#9fb8c4;--link:#8ab8f0}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1.5rem 1rem 3rem;background:var(--page);color:var(--text);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem}
h2{font-size:1.2rem;margin:2.5rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
p{margin:.5rem 0}
a{color:var(--link)}
a:focus-visible,.scroll:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.quiet,caption,footer{color:var(--quiet)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;padding:0;margin:1rem 0}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.75rem;margin:1rem 0}
.facts div{background:var(--panel);border-radius:.5rem;padding:.75rem 1rem}
dt{color:var(--quiet);font-size:.875rem}
dd{margin:0}
dd b{display:block;font-size:1.4rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto;margin:1rem 0;background:
linear-gradient(90deg,var(--page) 40%,transparent) 0/2.5rem 100% no-repeat local,
linear-gradient(-90deg,var(--page) 40%,transparent) 100%/2.5rem 100% no-repeat local,
linear-gradient(90deg,var(--quiet),transparent) 0/.5rem 100% no-repeat,
linear-gradient(-90deg,var(--quiet),transparent) 100%/.5rem 100% no-repeat}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;padding-bottom:.35rem}
th,td{padding:.3rem .75rem .3rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
tbody th{font-weight:400;min-width:6.5rem;overflow-wrap:anywhere}
thead th,tfoot th,tfoot td{font-weight:600}
th:not(.n):not([scope=row]),td.n,th.n{white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
th:last-child,td:last-child{padding-right:0}
code{font:.875em/1.4 ui-monospace,monospace}
.error{color:var(--error)}.warning{color:var(--warning)}.info{color:var(--info)}
svg{display:block;margin:1rem 0;font-size:13px;overflow:visible}
svg text{fill:var(--text)}
svg .end{text-anchor:end}
svg line{stroke:var(--quiet)}
.track{fill:var(--panel)}
.bar{fill:var(--bar)}.bar.error{fill:var(--error)}.bar.warning{fill:var(--warning)}.bar.info{fill:var(--info)}
@media(min-width:56rem){.pair{display:grid;grid-template-columns:2fr 3fr;gap:2rem;align-items:start}
.pair>*{margin:.5rem 0}}
footer{margin-top:3rem;font-size:.875rem}
@media(forced-colors:active){svg text,.bar,.bar.error,.bar.warning,.bar.info{fill:CanvasText}
.bar.error{fill:Highlight}.track{fill:Canvas;stroke:GrayText}}
@media print{:root{--page:#fff;--panel:#f4f5f7;--text:#000;--quiet:#444;--line:#bbb;--bar:#2f6db5;
--error:#b3261e;--warning:#8a5a00;--info:#4a6572;--link:#000}
body{max-width:none;padding:0;font-size:10pt;print-color-adjust:exact}nav{display:none}
.scroll{overflow:visible;background:none}h2,svg,.facts div,tr{break-inside:avoid}h2{break-after:avoid}}
"""

_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

#: What a browser may do with a page: show it in this style. No script, no request, no form, no frame.
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
