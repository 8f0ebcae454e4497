"""A package loads each of its names when it is asked for, and no sooner."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import sessiontail
from sessiontail._lazy import lazy

PACKAGE = """
from sessiontail._lazy import lazy
_HOMES = {"Wine": "cellar", "Flour": "pantry.shelf", "Nothing": "cellar", "Lost": "nowhere"}
__getattr__, __dir__ = lazy(globals(), _HOMES)
"""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``lazyhouse`` of two modules, on the path and not loaded."""
    package = tmp_path / "lazyhouse"
    (package / "pantry").mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    (package / "cellar.py").write_text("class Wine: ...\n")
    (package / "pantry" / "__init__.py").write_text("")
    (package / "pantry" / "shelf.py").write_text("Flour = object()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazyhouse"]:
        del sys.modules[name]


def loaded() -> set[str]:
    return {name for name in sys.modules if name.startswith("lazyhouse.")}


def test_a_module_is_loaded_when_its_name_is_asked_for_and_no_other_is(house: Path) -> None:
    import lazyhouse  # type: ignore[import-not-found] # made by this test

    assert loaded() == set()
    wine = lazyhouse.Wine
    assert loaded() == {"lazyhouse.cellar"}
    assert wine is sys.modules["lazyhouse.cellar"].Wine
    from lazyhouse import Flour

    assert Flour is sys.modules["lazyhouse.pantry.shelf"].Flour


def test_what_was_asked_for_once_is_the_packages_own(house: Path) -> None:
    import lazyhouse

    first = lazyhouse.Wine
    del sys.modules["lazyhouse.cellar"]

    assert lazyhouse.Wine is first
    assert vars(lazyhouse)["Wine"] is first
    assert loaded() == set()


def test_every_name_is_listed_before_it_is_loaded(house: Path) -> None:
    import lazyhouse

    names = dir(lazyhouse)

    assert {"Wine", "Flour", "Nothing", "Lost", "__name__"} <= {*names}
    assert names == sorted(names)
    assert loaded() == set()


def test_a_name_that_is_none_is_refused_in_pythons_words(house: Path) -> None:
    import lazyhouse

    with pytest.raises(AttributeError) as caught:
        _ = lazyhouse.Water
    assert str(caught.value) == "module 'lazyhouse' has no attribute 'Water'"
    with pytest.raises(ImportError, match="Water"):
        from lazyhouse import Water  # noqa: F401 - that it is imported is the test
    assert not hasattr(lazyhouse, "__path_of_nothing__")


def test_a_home_that_lacks_its_name_or_is_absent_says_so(house: Path) -> None:
    import lazyhouse

    with pytest.raises(AttributeError, match=r"lazyhouse\.cellar.*Nothing"):
        _ = lazyhouse.Nothing
    with pytest.raises(ModuleNotFoundError, match=r"lazyhouse\.nowhere"):
        _ = lazyhouse.Lost
    assert "Lost" not in vars(lazyhouse)


def test_homes_are_looked_up_below_the_package() -> None:
    package = {"__name__": "sessiontail"}
    get, names = lazy(package, {"timedelta": "checks"})

    assert get("timedelta") is sessiontail.checks.timedelta  # type: ignore[attr-defined] # not listed
    assert names() == ["__name__", "timedelta"]


def test_the_package_itself_loads_no_reader_and_no_loop_before_it_is_asked() -> None:
    code = dedent("""
        import sys, sessiontail
        dir(sessiontail)
        print(sorted({name.partition(".")[0] for name in sys.modules} & {"anyio", "msgspec", "asyncio"}))
        sessiontail.Header
        print("msgspec" in sys.modules, "sessiontail.store" in sys.modules)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.splitlines() == ["[]", "True False"]
