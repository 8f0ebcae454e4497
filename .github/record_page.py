"""``sessiontail serve --demo`` in Chromium -> the README's pictures of the page, light and dark, as PNG.

    python .github/record_page.py [DIRECTORY]

Runs the real command and a real browser, until a session that is being written has some tools' results.
The machine needs a font for each script that the demo's agents write (Debian: fonts-droid-fallback).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1280, "height": 760}
# A picture in a README is small; what is larger has become something else.
MOST_BYTES = 200_000
PATIENCE_S = 120
# How a live session looks that is worth a picture.
TOOLS_SEEN = 2


@contextmanager
def served() -> Iterator[str]:
    """Run the command; give its URL."""
    command = [sys.executable, "-m", "sessiontail", "serve", "--demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.terminate()


def choose(page: Page) -> None:
    """Show a session that is being written, in a language of most readers, and wait for its tools."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        page.locator("#session-list a:has(.state.live)").first.wait_for()
        for row in page.locator("#session-list a:has(.state.live)").all():
            if not row.locator(".title").inner_text().rstrip("…").isascii():
                continue
            row.click()
            page.locator("#records .record").first.wait_for()
            while page.locator("#session-facts .state.live").count():
                if page.locator("#records .tool_result:not(.inherited)").count() >= TOOLS_SEEN:
                    return
                page.wait_for_timeout(200)
            break  # it has ended: look at the list anew
    raise SystemExit(f"no session was fit for a picture in {PATIENCE_S} s")


def main(directory: Path) -> None:
    """Take the pictures."""
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport=SIZE, reduced_motion="reduce").new_page()
        page.goto(url)
        choose(page)
        page.mouse.move(0, 0)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            path = directory / f"page-{scheme}.png"
            page.screenshot(path=path)
            if path.stat().st_size > MOST_BYTES:
                raise SystemExit(f"{path} has {path.stat().st_size:,} bytes")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
