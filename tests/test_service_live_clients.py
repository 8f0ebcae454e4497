"""Who has a stream open: how many may, and that all of them end."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from sessiontail import SessionStore
from sessiontail.service import create_app, end_streams
from sessiontail.service.context import Context, Limits
from sessiontail.service.live.clients import Clients
from sessiontail.service.problems import Problem


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    return Clients(Context(SessionStore(tmp_path), Limits(streams=3, streams_per_client=2)))


def refusal(clients: Clients, address: str) -> tuple[int, str, dict[str, str]]:
    with pytest.raises(Problem) as caught, clients.joined(address):
        pass
    return caught.value.status, caught.value.detail, caught.value.headers


def test_one_client_may_not_have_all_streams_nor_all_clients_more_than_there_are(
    clients: Clients,
) -> None:
    with ExitStack() as stack:
        for address in ("a", "a", "b"):
            stack.enter_context(clients.joined(address))
        refused = [refusal(clients, "a"), refusal(clients, "c")]

    retry = {"Retry-After": "5"}
    assert refused == [
        (429, "this client has 2 streams open, as many as it may; close one", retry),
        (503, "3 streams are open, as many as there may be; try again later", retry),
    ]
    assert (len(clients), clients.figures.begun, clients.figures.refused) == (0, 3, 2)


def test_what_ends_makes_room(clients: Clients) -> None:
    for _ in range(5):
        with clients.joined("a"), clients.joined("a"):
            pass

    assert clients.figures.refused == 0


def test_where_too_much_is_held_who_holds_for_longest_is_cut(tmp_path: Path) -> None:
    """Not who comes last: else some clients that take nothing keep all others out."""
    clients = Clients(Context(SessionStore(tmp_path), Limits(held_bytes=10, streams_per_client=1)))
    with ExitStack() as stack:
        held = [stack.enter_context(clients.joined("a", size)) for size in (6, 4, 5, 1, 99)]
        stack.enter_context(clients.joined("a"))
        cut = [client.cut_off for client in held]

    assert cut == [True, True, True, True, False]
    with clients.joined("a", 10) as one, clients.joined("a", 0) as other:
        assert (one.cut_off, other.cut_off) == (False, False)
    assert (len(clients), clients.figures.slow_clients, clients.figures.refused) == (0, 4, 0)


def test_none_begins_while_the_server_stops(clients: Clients) -> None:
    clients.end()

    assert refusal(clients, "a")[:2] == (503, "the server stops; ask again when it is back")


@pytest.mark.anyio
async def test_a_stream_that_waits_ends_at_once_and_one_that_sends_has_a_moment(
    clients: Clients,
) -> None:
    sent = anyio.Event()
    with clients.joined("a") as waits, clients.joined("b") as sends:
        sends.sending = True
        with anyio.CancelScope() as sending:
            sends.runs_in(sending)
            with anyio.CancelScope() as waiting:
                waits.runs_in(waiting)
                clients.end()
                assert (waiting.cancel_called, sending.cancel_called) == (True, False)
            with anyio.CancelScope() as late:
                waits.runs_in(late)
            await sent.wait()  # for ever

    assert sending.cancelled_caught
    assert late.cancel_called


@pytest.mark.anyio
async def test_who_has_last_words_is_asked_for_them(clients: Clients) -> None:
    asked = anyio.Event()
    with clients.joined("a") as client, anyio.CancelScope() as scope:
        client.farewell = asked.set
        client.runs_in(scope)
        clients.end()

        assert (asked.is_set(), scope.cancel_called) == (True, False)


async def test_an_application_that_is_served_otherwise_has_its_streams_ended(
    tmp_path: Path, anyio_backend: str
) -> None:
    app = create_app(SessionStore(tmp_path))
    clients = app.state.context.part(Clients)
    with clients.joined("a") as client, anyio.CancelScope() as scope:
        client.runs_in(scope)
        end_streams(app)

    assert (scope.cancel_called, clients.closing) == (True, True)
