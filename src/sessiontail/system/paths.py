"""Session ids <-> paths: where sessions live and what their files are called.

The sessions directory is ``sessions`` under the first of: ``$OPENRATH_HOME`` (tilde expanded) ·
``./.openrath/`` if that is a directory · ``~/.openrath/``.
Source: openrath 2.0.0, ``rath.config.paths`` and ``rath.session.persistence.paths``.
"""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from sessiontail.errors import InvalidSessionId, PersistenceError
from sessiontail.system.buckets import refuse_bucket
from sessiontail.urls import UrlPath, as_path

__all__ = [
    "SESSIONS_DIR_NAME",
    "SESSION_FILE_SUFFIX",
    "SESSION_PARTIAL_SUFFIX",
    "WAL_ENDING",
    "SessionPaths",
    "ensure_sessions_dir",
    "find_sessions_dir",
    "id_in_name",
    "parse_session_id",
    "path_paths",
    "resolve_path",
    "session_file",
    "session_partial_file",
    "session_paths",
    "sessions_dir",
    "split_name",
    "stem_paths",
]

ROOT_NAME = ".openrath"
SESSIONS_DIR_NAME = "sessions"
SESSION_FILE_SUFFIX = ".jsonl"
SESSION_PARTIAL_SUFFIX = ".jsonl.__partial__"
WAL_ENDING = ".__partial__"


class SessionPaths(Struct, frozen=True, gc=False):
    """The two names that one session's file can have."""

    directory: Path
    #: The final name.
    name: str

    @property
    def final(self) -> Path:
        """``<stem>.jsonl``: closed cleanly."""
        return self.directory / self.name

    @property
    def wal(self) -> Path:
        """``<stem>.jsonl.__partial__``: running, or its writer died."""
        return self.directory / (self.name + WAL_ENDING)

    @property
    def spelled(self) -> tuple[str, str]:
        """WAL and final name as text: pathlib keeps every name that it meets for ever."""
        final = os.path.join(self.directory, self.name)  # noqa: PTH118 - see above
        return final + WAL_ENDING, final

    @property
    def newest_first(self) -> tuple[str, str, str]:
        """The names in the order in which who wants what is written now looks: WAL, final, WAL.

        A WAL beside a closed file is the later generation: its session was opened again. And the
        WAL again at the end: between the looks a closed session may have been.
        """
        wal, final = self.spelled
        return wal, final, wal

    @property
    def oldest_first(self) -> tuple[str, str, str]:
        """The names in the order in which who wants all that was written looks: final, WAL, final.

        The final name again at the end: between the looks the WAL may have been renamed.
        """
        wal, final = self.spelled
        return final, wal, final

    @property
    def stem(self) -> str:
        """The name without its ending: usually, not always, the session's id."""
        return self.name.removesuffix(SESSION_FILE_SUFFIX)


def sessions_dir(directory: str | PathLike[str] | None = None) -> Path:
    """Return the sessions directory, without creating it.

    Args:
        directory: this one, instead of the one that openrath would use.

    Raises:
        PersistenceError: ``OPENRATH_HOME`` names something that is no directory, or the home of
            nobody; or no file can have this name.
    """
    if directory is not None:
        return _named(directory).absolute()
    configured = os.environ.get("OPENRATH_HOME", "").strip()
    if configured:
        try:
            root = Path(configured).expanduser().resolve()
        except RuntimeError as error:
            raise PersistenceError(
                f"OPENRATH_HOME={configured!r}: {_sentence(error)}; set it to a directory, or unset it"
            ) from error
        # Not Path.exists(), which raises where a name is too long.
        if os.path.exists(root) and not os.path.isdir(root):  # noqa: PTH110, PTH112 - Path raises
            raise PersistenceError(
                f"OPENRATH_HOME={configured!r} is not a directory; set it to one, or unset it"
            )
    elif Path(ROOT_NAME).is_dir():
        root = Path(ROOT_NAME).resolve()
    else:
        try:
            root = Path.home() / ROOT_NAME
        except RuntimeError as error:
            raise PersistenceError(
                f"{_sentence(error)}; set OPENRATH_HOME to the directory that holds "
                f"{SESSIONS_DIR_NAME!r}, or give the directory itself"
            ) from error
    return root / SESSIONS_DIR_NAME


def find_sessions_dir(directory: str | PathLike[str]) -> Path:
    """Return the sessions directory that is meant by one that a person typed: this, or below it.

    What holds session files is taken as it is. What holds none, but a directory ``sessions``, is
    the root above that. What is absent or empty is taken as it is too: there a program that is
    still to begin may make either; but ``.openrath`` is what openrath calls a root.

    Raises:
        PersistenceError: no file can have this name.
    """
    typed = _named(directory)
    if isinstance(typed, UrlPath):
        return typed
    below = typed / SESSIONS_DIR_NAME
    try:
        with os.scandir(typed) as entries:
            if any(split_name(entry.name) for entry in entries):
                return typed
    except OSError:  # absent, or not to be read: who uses it is told why
        pass
    # Not Path.is_dir(), which raises where a name is too long.
    if os.path.isdir(below) or (  # noqa: PTH112 - Path raises
        typed.name == ROOT_NAME and not os.path.lexists(below)
    ):
        return below
    return typed


def ensure_sessions_dir(directory: str | PathLike[str] | None = None) -> Path:
    """Create the sessions directory and its parents where they are missing; return it."""
    target = sessions_dir(directory)
    refuse_bucket(target, "written")
    target.mkdir(parents=True, exist_ok=True)
    return target


def session_file(session_id: UUID | str, *, directory: str | PathLike[str] | None = None) -> Path:
    """Return the path of a closed session's file, whether or not it exists.

    Raises:
        InvalidSessionId: ``session_id`` is no UUID, so it could lead outside the directory.
    """
    return session_paths(session_id, directory).final


def session_partial_file(
    session_id: UUID | str, *, directory: str | PathLike[str] | None = None
) -> Path:
    """Return the path of a running session's WAL, whether or not it exists.

    Raises:
        InvalidSessionId: ``session_id`` is no UUID, so it could lead outside the directory.
    """
    return session_paths(session_id, directory).wal


def session_paths(
    session_id: UUID | str, directory: str | PathLike[str] | None = None
) -> SessionPaths:
    """Return both names of a session's file.

    Raises:
        InvalidSessionId: ``session_id`` is no UUID.
    """
    return stem_paths(str(parse_session_id(session_id)), sessions_dir(directory))


def stem_paths(stem: str, directory: Path) -> SessionPaths:
    """Return both names for a stem that was found in ``directory``."""
    return SessionPaths(directory, stem + SESSION_FILE_SUFFIX)


def resolve_path(path: str | PathLike[str]) -> Path:
    """Return the file that a user's path means: absolute, a link followed.

    Raises:
        PersistenceError: no file can have this name.
    """
    named = _named(path)
    if isinstance(named, UrlPath):
        return named
    absolute = os.path.abspath(named)  # noqa: PTH100 - a tenth of the time of Path.resolve()
    if os.path.islink(absolute):  # noqa: PTH114 - as above
        absolute = os.path.realpath(absolute)
    return path if isinstance(path, Path) and str(path) == absolute else Path(absolute)


def _sentence(error: RuntimeError) -> str:
    return str(error).rstrip(".")


def _named(path: str | PathLike[str]) -> Path:
    """Return a user's path, if a file can have it."""
    named = as_path(path)
    try:
        possible = b"\0" not in os.fsencode(named)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise PersistenceError("no file can have this name", path=named)
    return named


def path_paths(path: str | PathLike[str]) -> SessionPaths:
    """Return both names for a file that is given by its path, whichever of the two it is."""
    path = as_path(path).absolute()
    return SessionPaths(path.parent, path.name.removesuffix(WAL_ENDING))


def split_name(name: str) -> tuple[str, bool] | None:
    """Return stem and whether it is a WAL; None where ``name`` is no session file's."""
    if name.endswith(SESSION_FILE_SUFFIX):
        return name.removesuffix(SESSION_FILE_SUFFIX), False
    if name.endswith(SESSION_PARTIAL_SUFFIX):
        return name.removesuffix(SESSION_PARTIAL_SUFFIX), True
    return None


def id_in_name(name: str) -> UUID | None:
    """Return the id that a session file is called after; None where it is called otherwise."""
    split = split_name(name)
    try:
        return None if split is None else UUID(split[0])
    except ValueError:
        return None


def parse_session_id(session_id: UUID | str) -> UUID:
    """Return the id as a UUID.

    Raises:
        InvalidSessionId: it is none.
    """
    if isinstance(session_id, UUID):
        return session_id
    try:
        return UUID(str(session_id))
    except ValueError as error:
        raise InvalidSessionId(
            f"not a session id: {str(session_id)[:80]!r}; an id is a UUID, "
            "and a file with another name is given by path="
        ) from error
