from __future__ import annotations

import ast
import importlib
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from types import FunctionType

import pytest

import sessiontail

PACKAGE = Path(sessiontail.__file__).parent

# From the ground up: a floor imports from those before it, and format and system not from each
# other.
FLOORS = [
    "_lazy", "urls", "errors", "checks", "format", "system", "session", "directory", "reports", "by_id", "store",
    "persistence", "openrath", "relay",
]  # fmt: skip
EDGES = ["cli", "mcp", "service"]

FILES = sorted(PACKAGE.rglob("*.py"))
#: By its name below the package: ``format.records``.
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in FILES
    if path.stem not in {"__init__", "__main__"}
}
BELOW_THE_EDGES = [name for name in MODULES if name.split(".")[0] not in EDGES]
SANS_IO = [name for name in MODULES if name.startswith("format.")]


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def parsed(module: str) -> ast.Module:
    return parse(MODULES[module])


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that an import statement under ``tree`` names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            assert node.module is not None
            yield node.module
            if node.module == "sessiontail":
                yield from (f"sessiontail.{alias.name}" for alias in node.names)


def own(names: Iterator[str]) -> set[str]:
    """The modules of this package among ``names``."""
    found = set()
    for name in names:
        inner = name.removeprefix("sessiontail.")
        if inner != name:
            # A module, or what is in one.
            found.add(inner if inner in MODULES else inner.rpartition(".")[0])
    return {name for name in found if name in MODULES}


def floor(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def inside_functions(tree: ast.AST) -> set[str]:
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for name in own(imported(node))
    }


def under_type_checking(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imported(node)


def test_every_module_has_its_floor() -> None:
    assert {floor(module) for module in MODULES} <= {*FLOORS, *EDGES}


def test_imports_go_down() -> None:
    for module in BELOW_THE_EDGES:
        tree = parsed(module)
        late = inside_functions(tree)
        here = floor(module)

        below = {*FLOORS[: FLOORS.index(here)], here}
        if here == "system":
            below.remove("format")
        assert {floor(name) for name in own(imported(tree)) - late} <= below, module
        assert {floor(name) for name in late} <= below | {"openrath"}, module


def test_no_import_goes_round() -> None:
    imports = {
        module: own(imported(parsed(module))) - inside_functions(parsed(module))
        for module in MODULES
    }
    while leaves := [module for module, others in imports.items() if not others & {*imports}]:
        for module in leaves:
            del imports[module]

    assert imports == {}


def test_an_edge_is_imported_inside_functions_only() -> None:
    for module in BELOW_THE_EDGES:
        tree = parsed(module)
        at_import = own(imported(tree)) - inside_functions(tree)

        assert {floor(name) for name in at_import}.isdisjoint({"openrath", *EDGES}), module


def test_only_files_imports_aiofiles() -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if any(name.split(".")[0] == "aiofiles" for name in imported(parse(path)))
    }

    assert users == {"system/files.py"}


#: What is imported where: a floor, or a single module.
EXTRAS = {
    "click": "cli", "distributed": "directory/cluster", "duckdb": "reports/duck", "mcp": "mcp",
    "obstore": "system/buckets", "prometheus_client": "service", "rath": "openrath", "redis": "relay",
    "regex": "format/patterns", "rich": "cli", "starlette": "service", "stringzilla": "system/haystack",
    "uvicorn": "service",
}  # fmt: skip


def test_an_extra_is_imported_by_its_edge_only() -> None:
    for path in FILES:
        tree = parse(path)
        names = set(imported(tree)) - set(under_type_checking(tree))
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        for extra in {name.split(".")[0] for name in names} & {*EXTRAS}:
            assert f"{name}/".startswith(f"{EXTRAS[extra]}/"), f"{name}: {extra}"


def test_sans_io_does_not_open_wait_or_look_at_the_clock() -> None:
    for module in SANS_IO:
        tree = parsed(module)
        tops = {name.split(".")[0] for name in imported(tree)}

        assert tops.isdisjoint({"aiofiles", "anyio", "asyncio", "io", "socket", "time", "trio"}), (
            module
        )
        from_os = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "os"
            for alias in node.names
        }
        assert from_os <= {"PathLike", "fsdecode"}, module
        assert ("os" in tops) == bool(from_os), module
        called = {
            node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute))
        }
        assert called.isdisjoint({"open", "read_bytes", "read_text", "now", "sleep"}), module


def test_every_module_begins_with_its_arrow_or_its_job() -> None:
    for path in FILES:
        docstring = ast.get_docstring(parse(path))

        assert docstring, path
        first = docstring.splitlines()[0]
        assert len(first) <= 100, path
        assert "->" in first or first.endswith((".", ":")), path


# What users meet, and find under the same name in each version.
PROMISED = {
    "Chunk",
    "ChunkKind",
    "CursorInvalid",
    "Damage",
    "Header",
    "PersistedSession",
    "PersistedSessionHeader",
    "PersistedSessionMeta",
    "PersistenceError",
    "SessionStore",
    "Trailer",
    "delete_session",
    "list_persisted_sessions",
    "load_session",
    "prune_sessions",
    "read_session",
    "register_chunk_migration",
    "register_header_migration",
    "session_file",
    "session_partial_file",
    "sessions_dir",
    "tail_session",
}


def test_the_promised_names_are_exported() -> None:
    assert set(sessiontail.__all__) >= PROMISED
    assert len(set(sessiontail.__all__)) == len(sessiontail.__all__)


@pytest.mark.parametrize("name", sessiontail.__all__)
def test_an_exported_name_is_there_and_documented(name: str) -> None:
    value = getattr(sessiontail, name)

    if isinstance(value, (str, int)) or name in {"Migration", "OnAbandoned", "Record"}:
        return  # documented where it is assigned
    assert value.__doc__
    for attribute, member in vars(value).items() if isinstance(value, type) else ():
        if not attribute.startswith("_") and (callable(member) or isinstance(member, property)):
            documented = member.__doc__ or any(
                getattr(getattr(base, attribute, None), "__doc__", None) for base in value.__mro__
            )
            assert documented, f"{name}.{attribute}"


def test_what_type_checkers_see_is_what_is_there() -> None:
    seen = {
        alias.name
        for node in ast.walk(parse(PACKAGE / "__init__.py"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sessiontail.")
        for alias in node.names
        if alias.asname is not None
    }

    assert seen == set(sessiontail.__all__)
    assert all(getattr(sessiontail, name) is not None for name in seen)


def test_what_a_module_lists_is_its_own() -> None:
    for module in {*BELOW_THE_EDGES} - {"openrath", "persistence"}:
        loaded = importlib.import_module(f"sessiontail.{module}")

        for name in loaded.__all__:
            value = getattr(loaded, name)
            if (
                isinstance(value, (type, FunctionType)) and name != "PersistedSessionHeader"
            ):  # openrath's name for Header
                assert value.__module__ == loaded.__name__, module


def test_what_is_taken_from_a_module_is_what_it_lists() -> None:
    for path in FILES:
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            module = node.module.removeprefix("sessiontail.")
            if module in MODULES:
                listed = importlib.import_module(node.module).__all__
                taken = {
                    alias.name for alias in node.names if f"{module}.{alias.name}" not in MODULES
                }
                assert taken <= {*listed}, path


# These are tables: they need no file, no clock and no loop, and nothing that has them.
PURE = ["directory.schedule", "session.ending"]


@pytest.mark.parametrize("module", PURE)
def test_what_is_pure_imports_nothing_that_is_not(module: str) -> None:
    imports = f"import sys, sessiontail.{module}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", imports], capture_output=True, check=True, text=True
    )
    ours = {name for name in run.stdout.split() if own(iter([name])) and not name.endswith(module)}

    assert ours <= {"sessiontail._lazy", "sessiontail.format.lifecycle"}
    assert {"anyio", "asyncio", "aiofiles"}.isdisjoint(run.stdout.split())


def test_the_package_says_that_it_is_typed() -> None:
    assert resources.files("sessiontail").joinpath("py.typed").is_file()


def test_every_test_that_is_said_to_force_a_fault_is_there() -> None:
    directory = Path(__file__).parent
    said = set(re.findall(r"`(test_\w+)`", (directory / "README.md").read_text("utf-8")))
    there = {path.stem for path in directory.glob("test_*.py")}
    for path in directory.glob("test_*.py"):
        there.update(re.findall(r"def (test_\w+)", path.read_text("utf-8")))

    assert said <= there


def test_the_floor_plan_names_what_is_there() -> None:
    plan = (PACKAGE / "README.md").read_text("utf-8")
    floors = "format|system|session|directory|reports|relay|mcp|service"
    named = re.findall(rf"`((?:{floors})(?:/\w+)+)`", plan)

    assert named
    there = [(PACKAGE / name).is_dir() or name.replace("/", ".") in MODULES for name in named]
    assert [name for name, is_there in zip(named, there, strict=True) if not is_there] == []


#: Tests of a whole way, through many modules.
WAYS = {
    "browser", "browser_modules", "buckets", "bursts", "cancelling", "consumers", "corpus", "examples", "idle", "kills", "model", "model_directory", "overflow",
    "pythons", "readme", "reference", "restarts", "soak", "structure", "tailing_races",
    "twenty_turns",
}  # fmt: skip


def test_every_module_has_tests_of_its_own_under_its_name() -> None:
    mirrored = {module.lstrip("_").replace(".", "_") for module in MODULES}
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}

    assert tested == mirrored | WAYS


#: Lines of a module, and of a class.
MOST_LINES = 320
MOST_CLASS_LINES = 250


def test_a_module_can_be_read_in_one_sitting() -> None:
    for module, path in MODULES.items():
        lines = len(path.read_text("utf-8").splitlines())

        assert lines <= MOST_LINES, module


def test_no_class_is_longer_than_one_keeps_in_mind() -> None:
    for module in MODULES:
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.ClassDef):
                assert node.end_lineno is not None, module
                lines = node.end_lineno - node.lineno + 1
                assert lines <= MOST_CLASS_LINES, f"{module}: {node.name}"


def test_half_of_the_modules_are_short() -> None:
    lines = [len(path.read_text("utf-8").splitlines()) for path in MODULES.values()]

    assert statistics.median(lines) <= 150


#: What silences a rule, and what must stand behind it.
SILENCED = re.compile(
    r"# (?:noqa: [A-Z]+\d++(?:, [A-Z]+\d++)*+|type: ignore\[[^]]+\])(?! - \S| +# \S)"
)


def test_what_is_silenced_has_its_reason_on_the_line() -> None:
    top = Path(__file__).parents[1]
    others = (
        path
        for folder in ("tests", "benchmarks", "examples")
        for path in (top / folder).glob("*.py")
    )
    bare = [
        f"{path.name}:{number}"
        for path in (*FILES, *others)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if SILENCED.search(line)
    ]

    assert bare == []
