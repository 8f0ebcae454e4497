"""the files that were closed before a relay's first look, from one of its lives to the next.

Redis knows them too. Where it has lost all while the relay was down, this is what tells a file that
was published once from one that is not wanted. It lies in the user's cache: without it such a file
is taken for one that is not wanted. Blocks: for threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sessiontail.system.cache import Cache
from sessiontail.system.stamps import id_of_name

__all__ = ["FirstLook"]

# What is kept, and in which form.
_KIND = "relay-1"
# Under it stands that there was a look, and in which directory: no file has this name.
_BEGUN = "/"


class FirstLook:
    """What was closed when a relay published a directory for the first time.

    Args:
        directory: of the sessions.
        where: it is published, as text without a password.
    """

    def __init__(self, directory: Path, where: str) -> None:
        self._directory = directory
        self._key = f"{where} {directory}"
        self._cache = Cache()

    def read(self) -> dict[str, bytes] | None:
        """Return the key of each file (``format/ended``), by stem; None: that is not known."""
        found = self._cache.read(_KIND, self._key)
        begun = found.pop(_BEGUN, None)
        if begun is None or begun[0] != self._which():
            return None  # it was another directory that had this name
        return {stem: key for stem, (_, key) in found.items()}

    def write(self, closed: Mapping[str, bytes]) -> None:
        """Keep them in the place of those that were; not where there is no directory yet."""
        which = self._which()
        if self._cache.is_off or not which:
            return
        gone = [stem for stem in self._cache.read(_KIND, self._key) if stem not in closed]
        entries = {stem: (b"", key) for stem, key in closed.items()}
        self._cache.write(_KIND, self._key, {**entries, _BEGUN: (which, b"")}, gone)

    def _which(self) -> bytes:
        """Return which directory this is, wherever it lies; nothing where there is none."""
        found = id_of_name(str(self._directory))
        # Not its device: some have another number after each start of the machine.
        return b"" if found is None else b"%d" % found.inode
