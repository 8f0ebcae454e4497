from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from samples import ID
from sessiontail import (
    InvalidSessionId,
    PersistenceError,
    SessionStore,
    delete_session,
    load_session,
    session_file,
    session_partial_file,
    sessions_dir,
)
from sessiontail.persistence import SESSION_FILE_SUFFIX, SESSION_PARTIAL_SUFFIX, ensure_sessions_dir
from sessiontail.system.paths import find_sessions_dir, path_paths, split_name


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a working directory that hold nothing."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("OPENRATH_HOME", raising=False)
    return tmp_path


def test_sessions_lie_in_the_home_directory_by_default(nowhere: Path) -> None:
    assert sessions_dir() == nowhere / "home" / ".openrath" / "sessions"


def test_a_project_directory_comes_before_home(nowhere: Path) -> None:
    (nowhere / "work" / ".openrath").mkdir()

    assert sessions_dir() == nowhere / "work" / ".openrath" / "sessions"


def test_a_file_named_like_the_project_directory_does_not_count(nowhere: Path) -> None:
    (nowhere / "work" / ".openrath").touch()

    assert sessions_dir() == nowhere / "home" / ".openrath" / "sessions"


def test_the_environment_comes_before_both(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / "work" / ".openrath").mkdir()
    monkeypatch.setenv("OPENRATH_HOME", "~/data")

    assert sessions_dir() == nowhere / "home" / "data" / "sessions"


def test_an_empty_environment_does_not_count(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", "  ")

    assert sessions_dir() == nowhere / "home" / ".openrath" / "sessions"


def test_an_environment_that_names_a_file_is_refused(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "file").touch()
    monkeypatch.setenv("OPENRATH_HOME", str(nowhere / "file"))

    with pytest.raises(PersistenceError, match="is not a directory; set it to one, or unset it"):
        sessions_dir()


def test_an_environment_that_names_nobodys_home_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", "~nobody-of-this-name/data")

    with pytest.raises(PersistenceError) as caught:
        sessions_dir()

    assert str(caught.value) == (
        "OPENRATH_HOME='~nobody-of-this-name/data': Could not determine home directory; "
        "set it to a directory, or unset it"
    )


def test_where_nobody_has_a_home_it_is_said_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 2)  # in no table of users

    with pytest.raises(PersistenceError, match="; set OPENRATH_HOME to the directory that holds"):
        sessions_dir()


def test_a_directory_that_is_given_comes_before_all(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(nowhere / "data"))

    assert sessions_dir("here") == nowhere / "work" / "here"


def test_asking_creates_nothing_and_ensuring_does(nowhere: Path) -> None:
    sessions_dir()
    assert list((nowhere / "home").iterdir()) == []

    assert ensure_sessions_dir() == nowhere / "home" / ".openrath" / "sessions"
    assert ensure_sessions_dir().is_dir()


@pytest.mark.parametrize(
    ("there", "typed", "meant"),
    [
        (["a/x.jsonl"], "a", "a"),
        (["a/x.jsonl.__partial__"], "a", "a"),
        (["a/x.jsonl", "a/sessions/y.jsonl"], "a", "a"),
        (["a/sessions/x.jsonl"], "a", "a/sessions"),
        (["a/sessions/notes.txt"], "a", "a/sessions"),
        (["a/config.toml", "a/sessions/x.jsonl"], "a", "a/sessions"),
        (["a/sessions/x.jsonl"], "a/sessions", "a/sessions"),
        (["a/notes.txt"], "a", "a"),
        (["a/sessions"], "a", "a"),
        ([], "a", "a"),
        ([], ".openrath", ".openrath/sessions"),
        ([".openrath/config.toml"], ".openrath", ".openrath/sessions"),
        ([".openrath/x.jsonl"], ".openrath", ".openrath"),
        ([".openrath/sessions"], ".openrath", ".openrath"),
    ],
)
def test_the_root_is_taken_for_the_sessions_directory_in_it(
    there: list[str], typed: str, meant: str
) -> None:
    for name in there:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()

    assert find_sessions_dir(typed) == Path(meant)


def test_a_session_has_two_names(nowhere: Path) -> None:
    directory = nowhere / "d"

    assert session_file(ID, directory=directory) == directory / f"{ID}.jsonl"
    assert session_partial_file(str(ID), directory=directory) == (
        directory / f"{ID}.jsonl.__partial__"
    )
    assert (SESSION_FILE_SUFFIX, SESSION_PARTIAL_SUFFIX) == (".jsonl", ".jsonl.__partial__")


@pytest.mark.parametrize("text", [f"{{{ID}}}", f"urn:uuid:{ID}", ID.hex, str(ID).upper()])
def test_an_id_in_another_form_is_the_same_id(text: str, nowhere: Path) -> None:
    assert session_file(text, directory=nowhere).name == f"{ID}.jsonl"


BAD_IDS = ["../x", "..", "", "/etc/passwd", f"../{ID}", f"{ID}/..", "x" * 500, "\x00", "foo"]


@pytest.mark.parametrize("text", BAD_IDS)
def test_an_id_that_is_none_never_reaches_the_file_system(text: str) -> None:
    for function in (session_file, session_partial_file):
        with pytest.raises(InvalidSessionId, match=r"not a session id: .*; an id is a UUID, and"):
            function(text)


@pytest.mark.anyio
@pytest.mark.parametrize("text", BAD_IDS)
async def test_no_door_takes_an_id_that_is_none(text: str, nowhere: Path) -> None:
    (nowhere / "x.jsonl").touch()
    store = SessionStore(nowhere / "d")

    for call in (load_session, delete_session, store.meta):
        with pytest.raises(InvalidSessionId):
            await call(text)
    for prepare in (store.read, store.tail):
        with pytest.raises(InvalidSessionId):
            prepare(text)
    assert (nowhere / "x.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", ("a", False)),
        ("a.jsonl.__partial__", ("a", True)),
        ("a.b.jsonl", ("a.b", False)),
        (".jsonl", ("", False)),
        ("a.jsonl.jsonl.__partial__", ("a.jsonl", True)),
        ("a.jsonl.__partial__.jsonl", ("a.jsonl.__partial__", False)),
        ("a.json", None),
        ("a.__partial__", None),
        ("a.jsonl.gz", None),
        ("a.JSONL", None),
        ("", None),
    ],
)
def test_a_name_tells_stem_and_kind(name: str, expected: tuple[str, bool] | None) -> None:
    assert split_name(name) == expected


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.__partial__"])
def test_either_name_leads_to_both(name: str, nowhere: Path) -> None:
    paths = path_paths(nowhere / name)

    assert (paths.final, paths.wal, paths.stem) == (
        nowhere / "a.jsonl",
        nowhere / "a.jsonl.__partial__",
        "a",
    )


def test_layout_is_the_one_of_openrath(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rath.session.persistence import paths as theirs

    places = [None, "~/data", str(nowhere / "data"), " "]
    for place in places:
        if place is not None:
            monkeypatch.setenv("OPENRATH_HOME", place)
        assert sessions_dir() == theirs.sessions_dir()
        assert session_file(ID) == theirs.session_file(ID)
        assert session_partial_file(UUID(int=7)) == theirs.session_partial_file(UUID(int=7))
    assert list((nowhere / "home").iterdir()) == []
