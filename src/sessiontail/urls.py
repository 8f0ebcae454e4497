"""the text of a place -> a path: of a file, or of what lies in a bucket (``s3://bucket/prefix``).

A URL keeps its two slashes, is absolute, and is taken apart and joined like any other path. Nothing
here opens anything: ``system.buckets`` does.
"""

from __future__ import annotations

import os
import re
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Self

__all__ = ["SCHEMES", "UrlPath", "as_path", "is_url"]

#: What is read: Amazon's S3 and all that speak like it, Google's, Azure's, and a directory as a bucket.
SCHEMES = ("s3", "gs", "az", "file")

# One slash is enough: so many has what pathlib made of a URL.
_URL = re.compile(rf"({'|'.join(SCHEMES)}):/+(.*)", re.DOTALL)
# And none, where nothing follows.
_SHORT = re.compile(_URL.pattern.replace("/+", "/*"), re.DOTALL)


def is_url(name: str) -> bool:
    """Say whether a name is that of a bucket, or of what lies in one."""
    # The first look is for the names of files: 0.1 us.
    return ":/" in name and _URL.match(name) is not None


if TYPE_CHECKING:
    _Base = Path
else:
    _Base = type(Path())  # of this system: it may be derived from


class UrlPath(_Base):
    """A path in a bucket. What asks a file system of it finds nothing there."""

    def __str__(self) -> str:
        text = super().__str__()
        match = _SHORT.match(text)
        assert match is not None
        return f"{match[1]}://{'/' if match[1] == 'file' else ''}{match[2]}"

    def __fspath__(self) -> str:
        return str(self)

    def absolute(self) -> Self:
        """Return itself: a URL is."""
        return self

    def is_dir(self) -> bool:
        """Return True: what has nothing below it is empty, not absent."""
        return True


def as_path(name: str | PathLike[str]) -> Path:
    """Return a name as a path, whether it is one of a file system or a URL."""
    if isinstance(name, UrlPath):
        return name
    return UrlPath(name) if is_url(os.fspath(name)) else Path(name)
