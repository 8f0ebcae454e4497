"""``sessiontail prune``: the plan first, and what is put right before anything goes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from commands import ONE, TWO, closed, run


def test_prune_tells_what_it_cannot_count(tmp_path: Path) -> None:
    (tmp_path / f"{ONE}.jsonl").write_text("garbage\n")

    done = run("prune", "--dir", tmp_path, "--max-size", "0")

    assert done.stderr.startswith("sessiontail: 1 file skipped: 1 x ")


def test_prune_without_yes_shows_the_plan_and_deletes_nothing(live: Path) -> None:
    old = closed(live.parent, TWO, "old")

    shown = run("prune", "--dir", live.parent, "--older-than", "1d")
    as_json = run("prune", "--dir", live.parent, "--older-than", "1d", "-o", "json")
    there = (old.exists(), live.exists())
    done = run("prune", "--dir", live.parent, "--older-than", "1d", "--yes")
    again = run("prune", "--dir", live.parent, "--older-than", "1d")

    lines = shown.stdout.splitlines()
    assert lines[0].startswith(f"goes: 1 session, {run_size(as_json)} B, oldest ")
    assert lines[1].startswith("  older than 1 day: 1 session, ")
    assert lines[2].startswith("stays: 1 session, ")
    assert lines[3].startswith("  live: 1 session, ")
    assert shown.stderr == "sessiontail: nothing was deleted: add --yes to do it\n"
    assert (shown.returncode, as_json.returncode, there) == (1, 1, (True, True))
    assert json.loads(as_json.stdout)["applied"] is False
    assert (done.returncode, old.exists(), live.exists()) == (0, False, True)
    assert (again.returncode, again.stderr) == (0, "sessiontail: nothing to delete\n")


def test_a_plan_that_was_only_asked_for_is_no_failure(tmp_path: Path) -> None:
    old = closed(tmp_path, ONE, "old")
    rule = ("prune", "--dir", tmp_path, "--older-than", "1d")

    plain, shown, as_json = (
        run(*rule, *how) for how in ((), ("--dry-run",), ("--dry-run", "--json"))
    )
    both = run(*rule, "--dry-run", "--yes")
    there = old.exists()
    old.unlink()
    nothing = run(*rule, "--dry-run")

    assert (plain.returncode, shown.returncode, as_json.returncode, there) == (1, 0, 0, True)
    assert shown.stdout == plain.stdout
    assert shown.stderr == "sessiontail: nothing was deleted: --dry-run only shows the plan\n"
    assert json.loads(as_json.stdout)["applied"] is False
    assert both.returncode == 2
    assert both.stderr.startswith("sessiontail: give --dry-run or --yes, not both; ")
    assert (nothing.returncode, nothing.stderr) == (0, "sessiontail: nothing to delete\n")


def run_size(done: subprocess.CompletedProcess[str]) -> int:
    size: int = json.loads(done.stdout)["bytes_to_free"]
    return size


def test_what_a_killed_deletion_left_is_told_and_put_right(tmp_path: Path) -> None:
    final = closed(tmp_path, ONE, "one")
    aside = tmp_path / f".{final.name}.deleting"
    told = f"put aside by a deletion that did not end; the next prune gives it its name back ({final.name}), or deleting it does"

    final.rename(aside)
    shown = [run("ls", "--dir", tmp_path), run("prune", "--dir", tmp_path, "--older-than", "1d")]
    pruned = run("prune", "--dir", tmp_path, "--older-than", "1d", "--yes")
    back = final.exists()
    final.rename(aside)
    removed = run("rm", ONE, "--dir", tmp_path, "--yes")

    for done in shown:
        assert f"1 file skipped: 1 x {told} ({aside.name})" in done.stderr
    assert shown[1].returncode == 1
    assert f"sessiontail: {aside.name} has its name back: {final.name}\n" in pruned.stderr
    assert (pruned.returncode, back) == (0, True)
    assert removed.stdout == f"goes: {aside}\n"
    assert (removed.returncode, list(tmp_path.iterdir())) == (0, [])
