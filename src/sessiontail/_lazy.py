"""names, and the modules that they come from -> a package that loads each when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy"]


def lazy(
    package: dict[str, Any], homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its globals.
        homes: name -> module below the package.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        home = import_module(f"{package['__name__']}.{homes[name]}")
        value = package[name] = getattr(home, name)
        return value

    def names() -> list[str]:
        return sorted({*package, *homes})

    return get, names
