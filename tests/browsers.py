"""Chromium, driven by Playwright: a page that tells what it must not do, and what axe says of it.

A browser takes a second to start: one a module. While it is there, this thread has a running loop,
so a module of browser tests has no async ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Page,
    Request,
    expect,
    sync_playwright,
)

from programs import needed

__all__ = ["Watched", "browser", "faults", "open_page", "violations"]

# The machine may be busy: what does not come, comes late.
PATIENCE_MS = 60_000
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# What a policy refused is told by an event, also where nothing is said on the console.
_REPORTS = """
addEventListener("securitypolicyviolation", (event) => {
  tellReport(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, with a new profile."""
    path = needed("chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=FLAGS,
            timeout=PATIENCE_MS,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """What pages did that they must not do: a fault each."""

    def __init__(self) -> None:
        self._faults: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def expect(self, pattern: str) -> None:
        """Take what matches for granted, before or after it came."""
        self._expected.append(re.compile(pattern))

    @property
    def faults(self) -> list[str]:
        """What came and was not expected."""
        return [
            fault
            for fault in self._faults
            if not any(pattern.search(fault) for pattern in self._expected)
        ]

    def watch(self, context: BrowserContext, origin: str) -> None:
        """Look at all that pages of this context do; they may ask ``origin`` alone."""
        tell = self._faults.append
        context.expose_function("tellReport", lambda report: tell(f"policy: {report}"))
        context.add_init_script(_REPORTS)
        context.on("console", lambda said: self._console(said.type, said.text))
        context.on("weberror", lambda error: tell(f"error: {error.error}"))
        context.on("dialog", self._dialog)
        context.on("request", lambda request: self._request(request, origin))
        context.on("requestfailed", self._failed)
        context.on("page", self._page)

    def _console(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self._faults.append(f"console {kind}: {text}")

    def _dialog(self, dialog: Dialog) -> None:
        self._faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request, origin: str) -> None:
        asked = urlsplit(request.url)
        if f"{asked.scheme}://{asked.netloc}" != origin:
            self._faults.append(f"request: {request.url[:200]}")

    def _failed(self, request: Request) -> None:
        # A stream that its page gives up is aborted.
        if request.failure != "net::ERR_ABORTED":
            self._faults.append(f"failed: {request.failure} {urlsplit(request.url).path}")

    def _page(self, page: Page) -> None:
        page.on("popup", lambda popup: self._faults.append(f"popup: {popup.url}"))
        page.on("download", lambda download: self._faults.append(f"download: {download.url}"))
        page.on("crash", lambda _: self._faults.append("the page crashed"))


@pytest.fixture
def faults() -> Iterator[Watched]:
    """What the pages of this test do that they must not; a test fails by what it did not expect."""
    watched = Watched()
    yield watched
    if watched.faults:
        pytest.fail("\n".join(watched.faults))


@pytest.fixture
def open_page(browser: Browser, faults: Watched) -> Iterator[Callable[..., Page]]:
    """Opens pages, each in a context of its own: ``open_page(url, color_scheme="dark", ...)``."""
    contexts: list[BrowserContext] = []

    def open_one(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        asked = urlsplit(url)
        faults.watch(context, f"{asked.scheme}://{asked.netloc}")
        page = context.new_page()
        page.goto(url, wait_until="domcontentloaded")
        return page

    yield open_one
    for context in contexts:
        for page in context.pages:
            page.evaluate("null")  # what it told before this is here behind it
        context.close()


_AXE: list[str] = []


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is now: rule, element, and what to do, a line each.

    It runs beside the page's own policy, which page.evaluate is not held by.
    """
    if not _AXE:
        source = resources.files("axe_playwright_python").joinpath("axe.min.js")
        _AXE.append(source.read_text("utf-8"))
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_AXE[0])
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']} ({violation['impact']}): {' '.join(map(str, node['target']))}: "
        + " ".join(check["message"] for check in (*node["any"], *node["all"], *node["none"]))
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
