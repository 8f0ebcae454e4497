"""a directory, or single open files in it -> inotify watches, and what their events are of."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from sessiontail.system import inotify
from sessiontail.system.notifying import Notifier, Sink
from sessiontail.system.stamps import FileId
from sessiontail.system.subscriptions import Followers

__all__ = ["GONE", "IGNORED", "Mode", "Watches", "may_end"]

_DIRECTORY_EVENTS = (
    inotify.MODIFY | inotify.CLOSE_WRITE | inotify.MOVED_FROM | inotify.MOVED_TO | inotify.CREATE
    | inotify.DELETE | inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.ONLYDIR
)  # fmt: skip
_FILE_EVENTS = (
    inotify.MODIFY | inotify.CLOSE_WRITE | inotify.ATTRIB | inotify.MOVE_SELF | inotify.DELETE_SELF
)
GONE = inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT | inotify.IGNORED
IGNORED = inotify.IGNORED
# After these a file may have ended, not only grown.
_MAY_END = (
    inotify.CLOSE_WRITE | inotify.MOVED_FROM | inotify.MOVED_TO | inotify.DELETE | inotify.ATTRIB
    | inotify.DELETE_SELF | inotify.MOVE_SELF
)  # fmt: skip


class Mode(Enum):
    """How changes of a directory are known."""

    #: Events tell them; it is watched.
    WATCHED = "watched"
    #: Events tell them: all who follow are served by the watches of their open files.
    NARROWED = "narrowed"
    #: It is not there; it is looked for.
    ABSENT = "absent"
    #: Events cannot be had, or trusted: it is looked at ten times a second.
    POLLED = "polled"


def may_end(mask: int) -> bool:
    """Say whether a file may have ended after these events."""
    return bool(mask & _MAY_END)


class Watches:
    """The watches of one directory, and whether they tell all that is to be known.

    Args:
        directory: which.
        followers: who wants to know.
        sink: is told.
        polled_because: why events are not used; None: they may be.
    """

    __slots__ = (
        "_directory",
        "_followers",
        "_narrowed",
        "_sink",
        "_split",
        "_stems",
        "directory_id",
        "notifier",
        "polled_because",
        "watch",
    )

    def __init__(
        self, directory: Path, followers: Followers, sink: Sink, polled_because: str | None
    ) -> None:
        #: Gives the watches, held; None: there is none.
        self.notifier: Notifier | None = None
        #: Why events are not used, in a few words; None where they are.
        self.polled_because = polled_because
        #: The directory's; None: it has none.
        self.watch: int | None = None
        #: Which directory that is.
        self.directory_id: FileId | None = None
        self._directory = directory
        self._followers = followers
        self._sink = sink
        # Sessions that are watched by their open file instead of by the directory.
        self._narrowed: dict[str, int] = {}
        self._stems: dict[int, str] = {}
        # Those of which two files are open.
        self._split: set[str] = set()

    @property
    def mode(self) -> Mode:
        """How changes are known."""
        if self.polled_because is not None:
            return Mode.POLLED
        if self.watch is not None:
            return Mode.WATCHED
        return Mode.ABSENT if self._needs_directory else Mode.NARROWED

    @property
    def trusted(self) -> bool:
        """Whether events tell what changes; not while there is no directory."""
        return self.mode in (Mode.WATCHED, Mode.NARROWED)

    @property
    def _needs_directory(self) -> bool:
        """Whether somebody is not served by the watch of an open file."""
        followers = self._followers
        return followers.want_all or len(self._narrowed) < len(followers.stems)

    def stem_of(self, watch: int) -> str | None:
        """Return whose file a watch is of; None where it is none of these."""
        return self._stems.get(watch)

    def drain(self) -> None:
        """Pass the events on that are there."""
        if self.notifier is not None:
            self.notifier.drain()

    def fit(self) -> bool:
        """Watch the directory if somebody needs that, and else not; say whether it began now."""
        if not self._needs_directory:
            self.forget_directory()
            return False
        if self.notifier is None or self.watch is not None:
            return False
        try:
            self.watch = self.notifier.watch(str(self._directory), _DIRECTORY_EVENTS, self._sink)
            self.directory_id = FileId.of(self._directory.stat())
        except (FileNotFoundError, NotADirectoryError):
            self.forget_directory()
        except OSError as error:  # ENOSPC: no watch left; EACCES: not ours to read
            self.forget_directory()
            self.polled_because = f"the directory cannot be watched: {error.strerror}"
        return self.watch is not None

    def forget_directory(self) -> None:
        """Watch the directory no longer."""
        watch, self.watch, self.directory_id = self.watch, None, None
        if watch is not None and self.notifier is not None:
            self.notifier.unwatch(watch, self._sink)

    def narrow(self, fd: int, stem: str) -> None:
        """Watch one open file, so that it needs the directory no longer: ``fit`` sees to that.

        Its events follow it through renames.
        """
        followers = self._followers
        if self.notifier is None or self.polled_because is not None:
            return
        if followers.want_all or not followers.follow(stem):
            return
        try:
            watch = self.notifier.watch(f"/proc/self/fd/{fd}", _FILE_EVENTS, self._sink)
        except OSError:
            return
        if self._stems.get(watch) not in (None, stem):  # one file under two names
            return
        if self._narrowed.get(stem) not in (None, watch):
            self.widen(stem)
            if followers.follow(stem) > 1:
                # They may have different files open: the directory's events are of both.
                self._split.add(stem)
        if stem in self._split:
            if watch not in self._stems:
                self.notifier.unwatch(watch, self._sink)
            return
        self._narrowed[stem], self._stems[watch] = watch, stem

    def leave(self, stem: str) -> None:
        """Forget a session that nobody follows by name."""
        self.widen(stem)
        self._split.discard(stem)

    def widen(self, stem: str) -> None:
        """Watch a session's open file no longer."""
        watch = self._narrowed.pop(stem, None)
        if watch is not None:
            del self._stems[watch]
            if self.notifier is not None:
                self.notifier.unwatch(watch, self._sink)

    def close(self) -> None:
        """Give all of them back, and the notifier."""
        self.forget_directory()
        for stem in list(self._narrowed):
            self.widen(stem)
        notifier, self.notifier = self.notifier, None
        if notifier is not None:
            notifier.release()
