"""``/metrics``: what the service and its directory do, in Prometheus' text.

Figures are taken when they are asked for; the directory is listed for that once a second at most.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import anyio
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sessiontail.errors import PersistenceError
from sessiontail.format.lifecycle import SessionState
from sessiontail.service.api.endpoints import Answer, Endpoint
from sessiontail.service.api.parameters import read
from sessiontail.service.context import Context, context_of
from sessiontail.service.live.clients import LAG_BOUNDS_S, Clients

__all__ = ["ENDPOINTS", "Counted", "Metrics"]

# The list of a directory is that old at most.
_LISTED_S = 1.0
_VERSION = re.compile(r"(\d{1,4}(\.\d{1,4}){0,3})?", re.ASCII)
# Of the store's counters, those that say how things stand.
_GAUGES = {"open_files": "session files open now", "lag_s": "from the last change to its record"}


class Metrics(Collector):
    """The figures of an application; its part, made by ``context.part(Metrics)``."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._clients = context.part(Clients)
        #: Answers that began, by status.
        self.statuses: Counter[int] = Counter()
        # Sessions by state, files that are no sessions, and bytes; None: they cannot be listed.
        self._listed: tuple[Counter[SessionState], int, int] | None = None
        self._listed_s = -_LISTED_S
        self._turn = anyio.Lock()
        # An application's own: a process may have several.
        self.registry = CollectorRegistry()
        self.registry.register(self)

    async def look(self) -> None:
        """List the directory, unless that was done just now."""
        async with self._turn:
            if time.monotonic() - self._listed_s < _LISTED_S:
                return
            scan = self._store.scan()
            try:
                metas = await scan.rest()
            except PersistenceError:
                self._listed = None
            else:
                states = Counter(meta.state for meta in metas)
                size = sum(meta.size_bytes for meta in metas)
                self._listed = states, len(scan.skipped), size
            self._listed_s = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        yield from self._of_directory()
        yield from self._of_streams()
        yield from self._of_store()
        answers = CounterMetricFamily(
            "sessiontail_answers", "Answers that began, by status", labels=["status"]
        )
        for status, count in sorted(self.statuses.items()):
            answers.add_metric([str(status)], count)
        yield answers

    def _of_directory(self) -> Iterator[Metric]:
        readable = self._listed is not None
        yield GaugeMetricFamily(
            "sessiontail_directory_readable", "Whether the directory can be listed", readable
        )
        if self._listed is None:
            return
        states, skipped, size = self._listed
        sessions = GaugeMetricFamily("sessiontail_sessions", "Sessions by state", labels=["state"])
        for state in SessionState:
            sessions.add_metric([state.value], states[state])
        yield sessions
        yield GaugeMetricFamily(
            "sessiontail_unreadable_files", "Session files without a header", skipped
        )
        yield GaugeMetricFamily("sessiontail_sessions_bytes", "Bytes of all sessions", size)

    def _of_streams(self) -> Iterator[Metric]:
        figures = self._clients.figures
        yield GaugeMetricFamily("sessiontail_streams", "Streams open now", len(self._clients))
        for name, about, count in (
            ("streams_begun", "Streams that began", figures.begun),
            ("streams_refused", "Streams that were refused: there were too many", figures.refused),
            ("slow_clients", "Clients cut off because they took nothing", figures.slow_clients),
            ("records_sent", "Records sent to clients", figures.records),
            ("bytes_sent", "Bytes sent on streams", figures.bytes),
            ("damaged_lines", "Lines read for streams that are no records", figures.damage),
        ):
            yield CounterMetricFamily(f"sessiontail_{name}", about, count)
        lag = HistogramMetricFamily(
            "sessiontail_lag_seconds", "From reading a record to handing it to a connection"
        )
        lag.add_metric([], [*_summed_up(figures.lags)], figures.lag_sum_s)
        yield lag

    def _of_store(self) -> Iterator[Metric]:
        for name, value in self._store.stats.as_dict().items():
            if name in _GAUGES:
                unit = name.replace("lag_s", "lag_seconds")
                yield GaugeMetricFamily(f"sessiontail_store_{unit}", _GAUGES[name], value)
            else:
                yield CounterMetricFamily(
                    f"sessiontail_store_{name}", f"What the store has counted as {name}", value
                )


def _summed_up(counts: Iterable[int]) -> Iterator[tuple[str, int]]:
    """Yield the buckets of a histogram, each with all that is below its bound."""
    bounds = [*map(str, LAG_BOUNDS_S), "+Inf"]
    so_far = 0
    for bound, count in zip(bounds, counts, strict=True):
        so_far += count
        yield bound, so_far


class Counted:
    """Middleware: counts answers by their status, those of all that stands behind it.

    Args:
        app: what answers.
        context: whose figures.
    """

    def __init__(self, app: ASGIApp, *, context: Context) -> None:
        self._app = app
        self._statuses = context.part(Metrics).statuses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def count_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._statuses[message["status"]] += 1
            await send(message)

        await self._app(scope, receive, count_and_send)


def _sound(accept: str) -> str:
    """Return an Accept header; nothing where a version in it is none, which ``choose_encoder`` raises for."""
    versions = re.findall(r"version\s*=([^,;]*)", accept)
    return accept if all(_VERSION.fullmatch(one.strip()) for one in versions) else ""


async def show_metrics(request: Request) -> Response:
    """Answer with all figures."""
    read(request, ())
    metrics = context_of(request).part(Metrics)
    await metrics.look()
    encode, media_type = choose_encoder(_sound(request.headers.get("accept", "")))
    return Response(encode(metrics.registry), headers={"content-type": media_type})


ENDPOINTS = (
    Endpoint(
        path="/metrics",
        handle=show_metrics,
        operation_id="showMetrics",
        summary="Figures for Prometheus.",
        responses={
            200: Answer(
                about="Sessions by state, streams, records and bytes sent, lag, slow clients, "
                "damage, and what the store has counted.",
                media_type="text/plain",
            )
        },
    ),
)
