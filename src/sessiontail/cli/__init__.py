"""The command ``sessiontail``: a thin edge on ``SessionStore``.

``main`` needs nothing but the standard library, so that a missing extra is told in one line.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

# What the extra `cli` brings.
_EXTRA = ("click", "rich")


def main() -> int:
    """Run the command with the process's arguments; return its exit code.

    0 fine · 1 nothing found, or findings · 2 usage · 3 damaged input with ``--strict`` ·
    130 interrupted.
    """
    try:
        from sessiontail.cli.app import run  # noqa: PLC0415 - needs the extra

        return run()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        # From the checkout: under this name no index has it.
        sys.stderr.write(
            "sessiontail: the command needs the extra `cli`: in its checkout, pip install -e '.[cli]'\n"
        )
        return 2
    except KeyboardInterrupt:
        return 130
