"""``sessiontail demo`` at a terminal -> the README's picture of it, light and dark, as SVG.

    python .github/record_demo.py [DIRECTORY]

Runs the real command, in a pseudo-terminal of its own, for about eight seconds. The pictures name no
address: the fonts are those of who looks.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

# The header of a session fits in a line.
COLUMNS = 118

# The dark and the light ground of GitHub's pages; the sixteen colours of its own code blocks.
_LIGHT = TerminalTheme(
    (246, 248, 250),
    (31, 35, 40),
    [
        (36, 41, 47), (207, 34, 46), (17, 99, 41), (130, 80, 0),
        (9, 105, 218), (130, 80, 223), (27, 124, 131), (110, 119, 129),
    ],
    [
        (87, 96, 106), (164, 14, 38), (26, 127, 55), (99, 60, 1),
        (33, 139, 255), (164, 117, 249), (49, 146, 170), (140, 149, 159),
    ],
)  # fmt: skip
_DARK = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    [
        (72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34),
        (88, 166, 255), (188, 140, 255), (57, 197, 207), (177, 186, 196),
    ],
    [
        (110, 118, 129), (255, 161, 152), (86, 211, 100), (227, 179, 65),
        (121, 192, 255), (210, 168, 255), (86, 212, 221), (255, 255, 255),
    ],
)  # fmt: skip
THEMES = {"light": _LIGHT, "dark": _DARK}

# rich's own frame loads its font from the network; a picture in a README may not.
_FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <title>sessiontail demo</title>
  <style>
    .{unique_id}-matrix {{
      font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace;
      font-size: {char_height}px;
      line-height: {line_height}px;
    }}
    .{unique_id}-title {{ font-family: sans-serif; font-size: 18px; font-weight: bold; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
  </g>
</svg>
"""


def record() -> str:
    """Run the demo at a terminal; return what the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    unwanted = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    process = subprocess.Popen(
        [sys.executable, "-m", "sessiontail", "demo"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    got = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not data:
            break
        got += data
    os.close(ours)
    if process.wait():
        raise SystemExit(f"the demo failed:\n{got.decode()}")
    return got.decode().replace("\r\n", "\n")


def draw(text: str, theme: TerminalTheme, name: str) -> str:
    """Return the picture of what a terminal got."""
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(Text.from_ansi(text))
    svg = console.export_svg(
        title="sessiontail demo", theme=theme, code_format=_FRAME, unique_id=f"demo-{name}"
    )
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    """Write ``demo-light.svg`` and ``demo-dark.svg``, here or into a directory that is given."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    text = record()
    for name, theme in THEMES.items():
        path = directory / f"demo-{name}.svg"
        path.write_text(draw(text, theme, name), encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
