"""Chromium, driven by Playwright: a page that tells what it must not do, and what axe says of it.

A browser takes a second to start, and each context another: both are there once a module. While they
are, this thread has a running loop, so a module of browser tests has no async ones.
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
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from programs import needed

__all__ = ["Watched", "browser", "faults", "open_page", "usual", "violations"]

# The machine may be busy: what does not come, comes late.
PATIENCE_MS = 60_000
# Playwright's own that matter, as the last list of them counts; and two for which Chromium loads pages of
# its own beforehand, a second of a processor.
_FEATURES_OFF = (
    "HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,LensOverlay,MediaRouter,OptimizationHints,"
    "NetworkTimeServiceQuerying,PaintHolding,PreconnectToSearch,AimEnabled,"
    "WebUIOmniboxPopup,WebUIOmniboxAimPopup"
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={_FEATURES_OFF}",
]
VIEWPORT: ViewportSize = {"width": 1280, "height": 800}

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
        #: What pages may ask.
        self.origins: set[str] = set()

    def clear(self) -> None:
        """Begin anew."""
        self._faults.clear()
        self._expected.clear()
        self.origins.clear()

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

    def watch(self, context: BrowserContext) -> None:
        """Look at all that pages of this context do."""
        context.set_default_timeout(PATIENCE_MS)
        context.expose_function("tellReport", lambda report: self._tell(f"policy: {report}"))
        context.add_init_script(_REPORTS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self._tell(f"error: {error.error}"))
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("page", self._page)

    def _tell(self, fault: str) -> None:
        self._faults.append(fault)

    def _console(self, said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            self._tell(f"console {said.type}: {said.text} ({said.location.get('url')})")

    def _dialog(self, dialog: Dialog) -> None:
        self._tell(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        if _origin(request.url) not in self.origins:
            self._tell(f"request: {request.url[:200]}")

    def _failed(self, request: Request) -> None:
        # A stream that its page gives up is aborted.
        if request.failure != "net::ERR_ABORTED":
            self._tell(f"failed: {request.failure} {urlsplit(request.url).path}")

    def _page(self, page: Page) -> None:
        page.on("popup", lambda popup: self._tell(f"popup: {popup.url}"))
        page.on("download", lambda download: self._tell(f"download: {download.url}"))
        page.on("crash", lambda _: self._tell("the page crashed"))


def _origin(url: str) -> str:
    asked = urlsplit(url)
    return f"{asked.scheme}://{asked.netloc}"


@pytest.fixture(scope="module")
def usual(browser: Browser) -> Iterator[tuple[Page, Watched]]:
    """The page of all tests that need none of their own."""
    watched = Watched()
    context = browser.new_context(viewport=VIEWPORT, reduced_motion="reduce")
    watched.watch(context)
    yield context.new_page(), watched
    context.close()


@pytest.fixture
def faults(usual: tuple[Page, Watched]) -> Iterator[Watched]:
    """What the pages of this test do that they must not; a test fails by what it did not expect."""
    page, watched = usual
    watched.clear()
    yield watched
    page.evaluate("null")  # what it told before this is here behind it
    if watched.faults:
        pytest.fail("\n".join(watched.faults))


@pytest.fixture
def open_page(
    browser: Browser, usual: tuple[Page, Watched], faults: Watched
) -> Iterator[Callable[..., Page]]:
    """Opens the usual page anew: ``open_page(url, height=3000)``; with options another: ``is_mobile``."""
    contexts: list[BrowserContext] = []

    def open_one(url: str, *, width: int = 1280, height: int = 800, **options: Any) -> Page:
        faults.origins.add(_origin(url))
        size: ViewportSize = {"width": width, "height": height}
        if options:
            context = browser.new_context(viewport=size, reduced_motion="reduce", **options)
            contexts.append(context)
            faults.watch(context)
            page = context.new_page()
        else:
            page = usual[0]
            page.goto("about:blank")  # another place behind # would not load it anew
            page.context.clear_cookies()
            page.emulate_media(color_scheme="light", reduced_motion="reduce")
            page.set_viewport_size(size)
        page.goto(url, wait_until="domcontentloaded")
        return page

    yield open_one
    for context in contexts:
        context.close()
    usual[0].goto("about:blank")


_AXE: list[str] = []


def violations(page: Page, *, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe finds wrong with the page as it is now: rule, element, and what to do, a line each.

    ``rules`` are all that are looked at; none: all there are. It runs beside the page's own policy,
    which page.evaluate is not held by.
    """
    if not _AXE:
        source = resources.files("axe_playwright_python").joinpath("axe.min.js")
        _AXE.append(source.read_text("utf-8"))
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_AXE[0])
    options = {"resultTypes": ["violations"], **({"runOnly": [*rules]} if rules else {})}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['id']} ({violation['impact']}): {' '.join(map(str, node['target']))}: "
        + " ".join(check["message"] for check in (*node["any"], *node["all"], *node["none"]))
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
