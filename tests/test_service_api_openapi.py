"""The table of the API -> its description, and every answer is as it says, whatever is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from starlette.applications import Starlette
from starlette.routing import Mount

from chats import FIRST, GONE, Chats, name, rows
from described import faults
from samples import chunk_line, trailer_line
from served import Served
from services import client, get
from serving import serving
from sessiontail import SessionStore
from sessiontail.service import create_app
from sessiontail.service.api.openapi import LINE_SCHEMA, api_table, described
from sessiontail.service.context import Context, Limits

TOKEN = "it-is-a-secret-of-some-length"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
#: What a request may name: sessions that are there, in all states, and one that is not.
NAMES = [*map(name, range(1, 8)), GONE, name(99)]


def write_sessions(directory: Path) -> Path:
    """Sessions of all kinds: closed, running, damaged, empty, in a circle, and what is none."""
    chats = Chats(directory)
    chats.write(1, rows(*FIRST[:1]), parents=())
    chats.write(2, rows(*FIRST[:2]))
    chats.write(3, rows(*FIRST) + b"{no\n", parents=(name(2), GONE))
    chats.write(4, rows(FIRST[0]) + trailer_line(2, (1, 2, 3)), closed=False)
    call = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": '{"a": 1}'}}
    odd = chunk_line(0, "x" * 5000, "assistant", tool_calls=[call], score=float("nan"))
    half = chunk_line(1, "HALF\u2028<script>", "tool_result").replace(b"HALF", b"\\ud800")
    chats.write(5, odd + half, parents=(name(5),))
    (directory / f"{name(6)}.jsonl").write_bytes(b"")
    (directory / f"{name(7)}.jsonl").write_bytes(b"no header\n")
    return directory


#: What the schema of a single value cannot say: a pattern is one, a cursor fits, a moment is in the
#: calendar; and what all of a request may be too long for. Streams need not be waited for.
CONFIG = """
max-stream-events = 1
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = [400, 403, 404, 405, 409, 411, 413, 414, 422, 429, 431]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the answers are what is tested


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sessions(tmp_path_factory.mktemp("sessions"))


@pytest.fixture(scope="module")
def app(directory: Path) -> Starlette:
    return create_app(
        SessionStore(directory),
        token=TOKEN,
        allowed_hosts=["127.0.0.1", "testserver"],
        limits=Limits(wait_s=0.05, search_s=2),
    )


def with_known_names(description: Any) -> Any:
    """The description, narrowed: where it asks for a session's id, one of ``NAMES`` is given."""
    if isinstance(description, dict):
        if description.get("format") == "uuid" and set(description) == {"type", "format"}:
            return {"type": "string", "enum": NAMES}
        return {key: with_known_names(value) for key, value in description.items()}
    if isinstance(description, list):
        return [*map(with_known_names, description)]
    return description


def narrowed(description: dict[str, Any]) -> dict[str, Any]:
    for path in description["paths"].values():
        for operation in path.values():
            operation["parameters"] = with_known_names(operation["parameters"])
    return description


@pytest.mark.anyio
@pytest.mark.parametrize("token", [None, TOKEN])
async def test_the_description_is_valid_and_says_what_must_be_known(
    directory: Path, token: str | None
) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    inner = create_app(SessionStore(directory), token=token)
    app = Starlette(routes=[Mount("/tools", inner)])

    async with client(app, **HEADERS) as http:
        told = (await http.get("/tools/openapi.json")).json()

    OpenAPIV31SpecValidator(told).validate()
    assert told["servers"] == [{"url": "/tools"}]
    known = {path: one[method]["security"] for path, one in told["paths"].items() for method in one}
    needed: list[Any] = [{"token": []}, {"cookie": []}] if token else []
    assert known.pop("/healthz") == known.pop("/login") == []
    assert set(map(str, known.values())) == {str(needed)}
    assert ("401" in told["paths"]["/api/audit"]["get"]["responses"]) == bool(token)


def test_whatever_is_refused_is_described_as_a_problem(app: Starlette) -> None:
    context: Context = app.state.context

    paths = described(context.endpoints, with_token=True)["paths"]

    other = {
        (path, status, *answer.get("content", {}))
        for path, methods in paths.items()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        if status >= "400" and [*answer.get("content", {})] != ["application/problem+json"]
    }
    form = {("/login", status, "text/html") for status in ("401", "429")}
    assert other == {*form, ("/healthz", "503", "application/json")}


def test_the_table_for_people_has_a_row_for_each_path(app: Starlette) -> None:
    context: Context = app.state.context

    table = api_table(context.endpoints)

    assert len(table.splitlines()) == len(context.endpoints) + 2
    assert (
        "| `GET /api/usage` | Tokens, and of how many sessions they are known: of all, or of one "
        "conversation | `session` |"
    ) in table.splitlines()


@pytest.mark.anyio
@pytest.mark.parametrize("number", range(1, 8))
async def test_each_answer_about_a_session_is_as_it_is_described(
    app: Starlette, number: int
) -> None:
    found = []
    async with client(app, **HEADERS) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
        for path, told in paths.items():
            names = [one["name"] for one in told.get("get", {}).get("parameters", ())]
            if "last-event-id" in names or not names:
                continue
            query = {"session": name(number)} if "session" in names else {}
            query |= {"q": "e"} if path == "/api/search" else {}
            url = path.replace("{session_id}", name(number)).replace("{line}", "2")
            answer = await http.get(url, params=query)
            kind = answer.headers["content-type"]
            content = told["get"]["responses"][str(answer.status_code)]["content"][kind]
            if kind == "application/x-ndjson":
                values = map(json.loads, answer.text.splitlines())
                wrong = [one for value in values for one in faults(value, content[LINE_SCHEMA])]
            elif kind == "application/json":
                wrong = faults(answer.json(), content["schema"])
            else:
                wrong = []
            found += [(url, one) for one in wrong]

    assert found == []


# One test, with its imports in it: every process that tests would take two seconds for them.
def test_what_is_described_and_what_is_not_is_answered_as_described(
    app: Starlette, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import schemathesis
    from schemathesis.generation import GenerationMode

    from api_checks import lines_are_as_described, nothing_leaks

    monkeypatch.setenv("SESSIONTAIL_SECRETS", f"{directory.parent}\nTraceback")
    context: Context = app.state.context
    paths = [one for one in context.endpoints if one.method == "GET"]
    # A server of its own: schemathesis leaves the event loop of an application in this process behind.
    with serving(directory, wait_s=0.05, search_s=2) as served:
        told = schemathesis.openapi.from_url(f"{served.url}/openapi.json").raw_schema
        api = schemathesis.openapi.from_dict(
            narrowed(told), config=schemathesis.Config.from_str(CONFIG)
        )
        for path, mode in [
            *((one.path, GenerationMode.POSITIVE) for one in paths),
            # Where nothing is asked for, nothing can be wrong.
            *((one.path, GenerationMode.NEGATIVE) for one in paths if one.parameters),
        ]:

            @settings(
                max_examples=4,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=[*HealthCheck],
            )
            @given(case=api[path]["GET"].as_strategy(generation_mode=mode))
            def attack(case: Any) -> None:
                response = case.call(base_url=served.url, timeout=60)
                case.validate_response(
                    response, additional_checks=[lines_are_as_described, nothing_leaks]
                )

            attack()


@pytest.mark.slow
# In parts of a quarter of a minute each: after two a test is taken to hang, however busy the machine is.
@pytest.mark.parametrize(
    ("phases", "seed"), [("examples,coverage", 1), *(("fuzzing", seed) for seed in range(1, 5))]
)
@pytest.mark.parametrize("token", [True, False], ids=["with a token", "open"])
def test_a_stranger_who_has_the_description_finds_no_answer_that_is_not_described(
    directory: Path, tmp_path: Path, phases: str, seed: int, *, token: bool
) -> None:
    known = ["--token", TOKEN] if token else []
    headers = HEADERS if token else {}
    with Served("--dir", directory, *known) as served:
        told = get(f"{served.url}/openapi.json", headers=headers).json()
        (tmp_path / "openapi.json").write_text(json.dumps(narrowed(told)), "utf-8")
        (tmp_path / "schemathesis.toml").write_text(CONFIG, "utf-8")
        run = subprocess.run(
            [
                Path(sys.executable).parent / "schemathesis", "--config-file", "schemathesis.toml",
                "run", "openapi.json", "--url", served.url, "--seed", str(seed), "--no-color",
                "--max-examples", "50", "--phases", phases,
                "--request-timeout", "30", "--max-failures", "5", "--suppress-health-check", "all",
                *(part for name, value in headers.items() for part in ("-H", f"{name}: {value}")),
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parent),
                "SCHEMATHESIS_HOOKS": "api_checks",
                "SESSIONTAIL_SECRETS": f"{directory.parent}\nTraceback",
            },
            capture_output=True,
            check=False,
            encoding="utf-8",
        )  # fmt: skip
        alive = get(f"{served.url}/healthz").json()

    assert run.returncode == 0, run.stdout[:20_000] + run.stderr
    assert alive == {"status": "ok"}
