"""a name -> its status: of a file, not followed if it is a link, or of an object in a bucket. Blocks.

An object's inode is made of its name and its ETag: what has other bytes is another file.
"""

from __future__ import annotations

import os
import stat
from hashlib import blake2b

from sessiontail.system.buckets import Listed, bucket_of, split_url
from sessiontail.urls import is_url

__all__ = ["directory_changed_ns", "is_there", "object_status", "status_of"]


def status_of(name: str) -> os.stat_result:
    """Return the status of a name.

    Raises:
        OSError: there is none, or it cannot be asked for.
    """
    if is_url(name):
        directory, name = split_url(name)
        return object_status(directory, name, bucket_of(directory).find(name))
    return os.lstat(name)


def is_there(name: str) -> bool:
    """Say whether there is something of this name, be it a link that leads nowhere."""
    try:
        status_of(name)
    except OSError:
        return False
    except ValueError:  # no file can have it
        return False
    return True


def directory_changed_ns(directory: str) -> int:
    """Return when the names in a directory last changed, as far as that shows.

    Raises:
        OSError: it is not there, or cannot be asked for.
    """
    if is_url(directory):
        return bucket_of(directory).changed_ns()
    return os.stat(directory).st_mtime_ns  # noqa: PTH116 - a tenth of the time


def object_status(directory: str, name: str, listed: Listed) -> os.stat_result:
    """Return what is listed of an object as a file's status."""
    size, modified_ns, etag = listed
    known_by = f"{name} {etag or f'{size} {modified_ns}'}"
    seconds = modified_ns // 10**9
    return os.stat_result(
        (_MODE, _number(known_by), _number(directory), 1, 0, 0, size, seconds, seconds, seconds),
        {
            "st_mtime": modified_ns / 1e9,
            "st_ctime": modified_ns / 1e9,
            "st_mtime_ns": modified_ns,
            "st_ctime_ns": modified_ns,
        },
    )


_MODE = stat.S_IFREG | 0o444


def _number(text: str) -> int:
    # 62 bits: whoever stores it with a sign can.
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 2
