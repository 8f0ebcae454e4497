"""The application stands by itself, and inside another one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from services import asked, client
from sessiontail import SessionStore
from sessiontail.service import create_app
from sessiontail.service.context import Context

pytestmark = pytest.mark.anyio


async def test_its_lifespan_holds_the_watch_and_lets_go_of_it(tmp_path: Path) -> None:
    store = SessionStore(tmp_path, events=False)
    app = create_app(store)
    context: Context = app.state.context

    seen = []
    for _ in range(2):
        async with app.router.lifespan_context(app):
            seen.append((store.polled_because is None, context.tasks is None))
        seen.append((store.polled_because is None, context.tasks is None))

    assert seen == [(False, False), (True, True)] * 2


async def test_what_it_was_lent_tasks_for_ends_with_it(tmp_path: Path) -> None:
    from anyio import Event, sleep_forever

    app = create_app(SessionStore(tmp_path))
    began, ended = Event(), Event()

    async def wait() -> None:
        began.set()
        try:
            await sleep_forever()
        finally:
            ended.set()

    async with app.router.lifespan_context(app):
        app.state.context.tasks.start_soon(wait)
        await began.wait()

    assert ended.is_set()


async def test_an_error_in_what_goes_on_beside_it_is_not_lost(tmp_path: Path) -> None:
    app = create_app(SessionStore(tmp_path))

    with pytest.raises(ExceptionGroup) as raised:
        async with app.router.lifespan_context(app):
            raise ZeroDivisionError

    assert [*map(type, raised.value.exceptions)] == [ZeroDivisionError]
    assert app.state.context.tasks is None


async def test_it_works_under_a_prefix_of_another_application_that_runs_no_lifespan(
    tmp_path: Path,
) -> None:
    outer = Starlette(routes=[Mount("/agents", create_app(SessionStore(tmp_path), token="t"))])

    async with client(outer, prefix="/agents") as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        assert (await http.get("/api/nothing")).status_code == 401
        entered = await http.get("/", params={"token": "t"})
        assert (entered.status_code, entered.headers["location"]) == (303, "./")
        assert "; Path=/agents/" in entered.headers["set-cookie"]
        assert (await http.get("/api/nothing")).status_code == 404


async def test_two_of_them_beside_each_other_share_nothing(tmp_path: Path) -> None:
    one, other = (create_app(SessionStore(tmp_path), token=name) for name in ("a", "b"))

    assert one.state.context is not other.state.context
    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer a")]
    assert (await asked(one, "/x", headers=headers)).status == 404
    assert (await asked(other, "/x", headers=headers)).status == 401


async def test_a_host_or_a_token_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a token is a word"):
        create_app(SessionStore(tmp_path), token="")
    with pytest.raises(ValueError, match="no name of a host"):
        create_app(SessionStore(tmp_path), allowed_hosts=["http://a"])


def test_what_is_not_installed_is_told_in_one_line() -> None:
    program = """
import sys
sys.modules["starlette"] = None
from sessiontail import MissingExtra
try:
    import sessiontail.service
except MissingExtra as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout == (
        "the service needs starlette, uvicorn and prometheus-client: "
        "pip install starlette uvicorn prometheus-client\n"
    )
