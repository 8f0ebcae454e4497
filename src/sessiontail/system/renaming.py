"""two names -> the file renamed, never over another one."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

__all__ = ["rename_new"]


def rename_new(source: Path, target: Path) -> None:
    """Rename, never over another file.

    Raises:
        FileExistsError: there is one at ``target``.
    """
    if _renameat2(source, target):
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: looked at first, for want of better
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)
    else:
        source.unlink()


if sys.platform == "linux":
    import ctypes

    _AT_FDCWD = -100
    _RENAME_NOREPLACE = 1
    # glibc since 2.28; musl and older ones leave it out.
    _libc_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)

    def _renameat2(source: Path, target: Path) -> bool:
        """Rename where there is nothing; return False where the system cannot say that."""
        if _libc_renameat2 is None:
            return False
        old, new = os.fsencode(source), os.fsencode(target)
        if _libc_renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE) == 0:
            return True
        code = ctypes.get_errno()
        if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return False  # an old kernel or file system (NFS, FUSE), or a sandbox
        raise OSError(code, os.strerror(code), str(source), None, str(target))

else:

    def _renameat2(source: Path, target: Path) -> bool:  # noqa: ARG001 - as on Linux
        """Only Linux has this call."""
        return False
