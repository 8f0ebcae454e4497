"""What Prometheus gets says what happened, of one application alone."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from actors import Actor
from services import client
from sessiontail import SessionStore
from sessiontail.service import create_app
from sessiontail.service.api.metrics import Metrics
from streams import taken

pytestmark = pytest.mark.anyio


def app_of(directory: Path) -> Starlette:
    return create_app(SessionStore(directory))


async def figures(app: Starlette) -> dict[str, float]:
    """All samples by name, labels behind it."""
    app.state.context.part(Metrics)._listed_s = -1.0  # however lately it was looked at
    async with client(app) as http:
        answer = await http.get("/metrics")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = "".join(f"[{value}]" for value in sample.labels.values())
            found[sample.name + labels] = sample.value
    return found


async def test_sessions_are_counted_by_state_and_files_that_are_none_apart(tmp_path: Path) -> None:
    Actor(tmp_path, UUID(int=1)).open().close()
    live = Actor(tmp_path, UUID(int=2))
    live.open()
    Actor(tmp_path, UUID(int=3)).open().kill()
    (tmp_path / f"{UUID(int=4)}.jsonl").write_bytes(b"no header\n")
    size = sum(path.stat().st_size for path in tmp_path.iterdir()) - len(b"no header\n")

    found = await figures(app_of(tmp_path))
    live.kill()

    expected = {
        "sessiontail_sessions[live]": 1,
        "sessiontail_sessions[closed]": 1,
        "sessiontail_sessions[abandoned]": 1,
        "sessiontail_sessions[unknown]": 0,
        "sessiontail_sessions_bytes": size,
        "sessiontail_unreadable_files": 1,
        "sessiontail_directory_readable": 1,
    }
    assert {name: found[name] for name in expected} == expected


async def test_streams_are_counted_with_what_they_send_and_damage_once(tmp_path: Path) -> None:
    actor = Actor(tmp_path)
    actor.open().say("one").write(b"{broken\n")
    actor.close()
    app = app_of(tmp_path)
    path = f"/api/sessions/{actor.id}/events"
    sizes = []
    for _ in range(2):
        async with taken(app, path) as stream:
            for _ in range(5):
                last = await stream.next()
            sizes.append(len(stream.body))
    assert last.event == "end"

    found = await figures(app)

    expected = {
        "sessiontail_streams": 0,
        "sessiontail_streams_begun_total": 2,
        "sessiontail_streams_refused_total": 0,
        "sessiontail_slow_clients_total": 0,
        "sessiontail_records_sent_total": 10,
        "sessiontail_bytes_sent_total": sum(sizes),
        "sessiontail_damaged_lines_total": 2,
        "sessiontail_lag_seconds_count": 10,
        "sessiontail_lag_seconds_bucket[+Inf]": 10,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["sessiontail_store_records_total"] >= 4


async def test_answers_are_counted_by_status_those_of_the_guard_too(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    async with client(app) as http:
        await http.get("/healthz")
        await http.get("/nowhere")
        await http.get("/healthz", headers={"host": "evil.example"})

    found = await figures(app)

    answers = {name: value for name, value in found.items() if "answers_total" in name}
    assert answers == {
        "sessiontail_answers_total[200]": 1,
        "sessiontail_answers_total[404]": 1,
        "sessiontail_answers_total[421]": 1,
    }


async def test_a_directory_that_cannot_be_listed_has_no_sessions_rather_than_none(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "sessions"
    directory.write_text("no directory")

    found = await figures(app_of(directory))

    assert found["sessiontail_directory_readable"] == 0
    assert [name for name in found if name.startswith("sessiontail_sessions")] == []


async def test_two_applications_of_a_process_do_not_share_figures(tmp_path: Path) -> None:
    one, two = app_of(tmp_path), app_of(tmp_path)
    await figures(one)

    assert (await figures(two)).get("sessiontail_answers_total[200]") is None


async def test_the_form_is_the_one_that_is_asked_for(tmp_path: Path) -> None:
    openmetrics = "application/openmetrics-text; version=1.0.0"
    async with client(app_of(tmp_path)) as http:
        plain: httpx.Response = await http.get("/metrics")
        other = await http.get("/metrics", headers={"accept": openmetrics})

    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert other.headers["content-type"].startswith("application/openmetrics-text; version=")
    assert other.text.endswith("# EOF\n")


@pytest.mark.parametrize("version", ["abc", "1.", "1.x", "9" * 5000, "\xb9.0.0", "1.0.0 x"])
@pytest.mark.parametrize("name", ["application/openmetrics-text", "text/plain"])
async def test_a_version_that_is_none_asks_for_no_form(
    tmp_path: Path, name: str, version: str
) -> None:
    async with client(app_of(tmp_path)) as http:
        headers = [(b"accept", f"{name}; version={version}".encode("latin-1"))]
        answer = await http.get("/metrics", headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (
        200, "text/plain; version=0.0.4; charset=utf-8",
    )  # fmt: skip


async def test_a_list_that_is_a_moment_old_serves_again(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    await figures(app)
    Actor(tmp_path).open().close()
    async with client(app) as http:
        answer = await http.get("/metrics")

    assert 'sessiontail_sessions{state="closed"} 0.0' in answer.text
    assert (await figures(app))["sessiontail_sessions[closed]"] == 1
