"""How soon, how smoothly and in how much memory does the page show a session of 100,000 records?

In Chromium, on a server in a process of its own; one session as agents write it (176 MB), one of short
lines (13 MB). The rival, in the same rounds, is a plain page that fetches the file and puts each record
into the DOM as a <pre>: it has no list to keep, and the browser does all the rest.

    python -m benchmarks.bench_page [--records 100000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import functools
import http.server
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.long_sessions import write_long_session
from benchmarks.timing import Budget, Row, interleave, table

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    # Else Chromium loads pages of its own beside what is measured.
    "--disable-features=HttpsUpgrades,PaintHolding,WebUIOmniboxPopup,WebUIOmniboxAimPopup",
]
_SESSIONS = {
    "as agents write": "4f2c0000-0000-4000-8000-000000000001",
    "short lines": "4f2c0000-0000-4000-8000-000000000002",
}
_PATIENCE_MS = 600_000
# What is asked of the page, in the unit of the row.
_BUDGETS = {
    "first paint": ("ms", 1000),
    "jump to the end": ("ms", 300),
    "jump to the middle": ("ms", 300),
    "longest task": ("ms", 100),
    "frame while scrolling, 95 %": ("ms", 50),
    "JS heap": ("MB", 100),
    "memory of its process": ("MB", 400),
    "DOM nodes": ("nodes", 5000),
}

# Before the page's first script: what is measured, in the page itself.
_OBSERVE = """
window.longest = 50;  // shorter ones are not told
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
}).observe({type: "longtask", buffered: true});
// Milliseconds from `act` to the end of the frame in which `is` first holds.
window.shownAfter = (act, is) => new Promise((resolve) => {
  const start = act();
  const frame = () => {
    if (is()) requestAnimationFrame(() => resolve(performance.now() - start));
    else requestAnimationFrame(frame);
  };
  frame();
});
// What lies between the frames in which a list is scrolled, each time by half a screen.
window.framesOf = (scroller) => new Promise((resolve) => {
  const gaps = [];
  let last = performance.now();
  const frame = (now) => {
    gaps.push(now - last);
    last = now;
    scroller.scrollTop += scroller.clientHeight / 2;
    if (gaps.length < 120) requestAnimationFrame(frame);
    else resolve(gaps.slice(1));
  };
  requestAnimationFrame(frame);
});
window.inView = (row) => {
  if (!row) return false;
  const box = row.getBoundingClientRect();
  return box.height > 0 && box.bottom > 0 && box.top < innerHeight;
};
"""

_OURS = {
    "row": "(line) => document.querySelector(`#records .record[data-line='${line}']`)",
    "end": "() => document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'G', bubbles: true}))",
    "middle": "(line) => { location.hash = location.hash.split('?')[0] + `?line=${line}`; }",
    "scroller": "document.querySelector('#records')",
}
_RIVAL = {
    "row": "(line) => document.getElementById(`line-${line}`)",
    "end": "() => scrollTo(0, document.documentElement.scrollHeight)",
    "middle": "(line) => document.getElementById(`line-${line}`).scrollIntoView()",
    "scroller": "document.documentElement",
}
_RIVAL_PAGE = """<!doctype html><html lang="en"><title>rival</title><body><script>
(async () => {
  const text = await (await fetch(location.search.slice(1))).text();
  let line = 0;
  for (const record of text.split("\\n")) {
    if (!record) continue;
    const pre = document.createElement("pre");
    pre.id = `line-${++line}`;
    pre.textContent = record;
    document.body.append(pre);
  }
})();
</script></body></html>"""


def _measure(browser: Browser, url: str, how: dict[str, str], lines: int) -> dict[str, float]:
    """Open a page, go to its end and its middle, scroll; return the figures."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(_PATIENCE_MS)
    context.add_init_script(_OBSERVE)
    page = context.new_page()
    page.goto(url, wait_until="commit")

    def shown(act: str, line: int) -> float:
        row = f"({how['row']})({line})"
        found: float = page.evaluate(f"shownAfter(() => {{ {act} }}, () => inView({row}))")
        return found

    figures = {"first paint": shown("return 0;", 1)}
    then = "const start = performance.now(); ({})({}); return start;"
    figures["jump to the end"] = shown(then.format(how["end"], ""), lines)
    middle = lines // 2
    figures["jump to the middle"] = shown(then.format(how["middle"], middle), middle)
    gaps: list[float] = page.evaluate(f"framesOf({how['scroller']})")
    figures["frame while scrolling, 95 %"] = sorted(gaps)[int(len(gaps) * 0.95)]
    figures["longest task"] = page.evaluate("longest")
    figures |= _held(page)
    context.close()
    return figures


def _held(page: Page) -> dict[str, float]:
    """What is there once the garbage is gone."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {
        one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]
    }
    return {
        "JS heap": metrics["JSHeapUsedSize"] / 1e6,
        "memory of its process": _resident_mb(page),
        "DOM nodes": metrics["Nodes"],
    }


def _resident_mb(page: Page) -> float:
    """Of the largest renderer: what lies in the DOM is no part of the JS heap."""
    browser = page.context.browser
    assert browser is not None
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = []
    for process in processes:
        if process["type"] == "renderer":
            status = Path(f"/proc/{process['id']}/status").read_text()
            sizes.append(int(status.partition("VmRSS:")[2].split()[0]) / 1000)
    return max(sizes)


class _RivalHandler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if not self.path.startswith("/rival"):
            super().do_GET()
            return
        body = _RIVAL_PAGE.encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _rival(directory: Path) -> Iterator[str]:
    handler = functools.partial(_RivalHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def _served(directory: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "sessiontail", "serve", "--dir", str(directory), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        directory = Path(home)
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        with _rival(directory) as rival, _served(directory) as served:
            for name, session_id in _SESSIONS.items():
                path = directory / f"{session_id}.jsonl"
                short = name == "short lines"
                size = write_long_session(path, session_id, options.records, short=short) / 1e6
                figures: dict[str, dict[str, list[float]]] = {"rival": {}, "ours": {}}
                ours = f"{served}/#/s/{session_id}"
                plain = f"{rival}/rival?{path.name}"
                jobs: dict[str, Callable[[], float]] = {}
                for who, url, how in (("rival", plain, _RIVAL), ("ours", ours, _OURS)):
                    jobs[who] = functools.partial(
                        _round, figures[who], browser, url, how, options.records + 2
                    )
                interleave(options.rounds, jobs, warm=False)
                rows += [
                    Row(
                        f"{job}, {options.records:,} records, {size:.0f} MB ({name})",
                        unit,
                        "all in the DOM",
                        figures["rival"][job],
                        figures["ours"][job],
                        budget=Budget(most, None, of_ratio=False),
                    )
                    for job, (unit, most) in _BUDGETS.items()
                ]
        browser.close()
    print(table(rows))


def _round(
    figures: dict[str, list[float]], browser: Browser, url: str, how: dict[str, str], lines: int
) -> float:
    for name, figure in _measure(browser, url, how, lines).items():
        figures.setdefault(name, []).append(figure)
    return 0.0


if __name__ == "__main__":
    main()
