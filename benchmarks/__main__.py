"""What do the jobs cost beside their rivals, and are the targets met? Prints the README's table."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from benchmarks.corpus import clean, corpus
from benchmarks.timing import Row, table, versions

NAMES = ("load", "list", "audit", "grep", "wakeup", "catchup", "stall", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; or all")
    parser.add_argument("--quick", action="store_true", help="a tenth of the input, 3 rounds")
    parser.add_argument("--rounds", type=int, help="how often each job runs (7)")
    parser.add_argument("--json", metavar="FILE", help="write the figures too; - for stdout only")
    parser.add_argument(
        "--clean", action="store_true", help="remove the inputs and do nothing else"
    )
    options = parser.parse_args()
    for name in options.names:
        if name not in NAMES:
            parser.error(f"no benchmark is named {name!r}; they are {', '.join(NAMES)}")
    if options.clean:
        for path in clean():
            print(f"removed {path}")
        return
    notes = sys.stderr if options.json == "-" else sys.stdout
    made = corpus(quick=options.quick)
    print(f"input: {made.home}, made in {made.make_s:.1f} s", file=notes)
    print(", ".join(f"{name} {version}" for name, version in versions().items()), file=notes)
    rows: list[Row] = []
    for name in options.names or NAMES:
        start = time.perf_counter()
        module = importlib.import_module(f"benchmarks.bench_{name}")
        rows += module.run(made, options.rounds or (3 if options.quick else 7))
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    if options.json != "-":
        print(table(rows))
    if options.json:
        result = json.dumps(
            {"versions": versions(), "rows": [row.as_json() for row in rows]}, indent=2
        )
        if options.json == "-":
            print(result)
        else:
            Path(options.json).write_text(result + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
