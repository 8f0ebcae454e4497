"""``sessiontail rm``: asks first, keeps what is written and what is not meant."""

from __future__ import annotations

import json
from pathlib import Path

from commands import ONE, TWO, at_terminal, closed, crashed, run
from writers import real_writer


def test_a_question_that_gets_no_answer_deletes_nothing(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "one")

    end_of_file = at_terminal("rm", ONE, "--dir", tmp_path, keys=b"\x04")
    interrupted = at_terminal("rm", ONE, "--dir", tmp_path, keys=b"\x03")
    no = at_terminal("rm", ONE, "--dir", tmp_path, keys=b"n\n")
    there = path.exists()
    yes = at_terminal("rm", ONE, "--dir", tmp_path, keys=b"y\n")

    assert (end_of_file[0], interrupted[0], no[0], yes[0]) == (1, 130, 1, 0)
    assert end_of_file[1].endswith(b"sessiontail: nothing was deleted\r\n")
    assert no[1].endswith(b"sessiontail: nothing was deleted\r\n")
    assert (there, path.exists()) == (True, False)


def test_rm_refuses_a_live_session_and_deletes_the_rest_only_with_yes(live: Path) -> None:
    other = closed(live.parent, TWO, "other")

    asked = run("rm", TWO, "--dir", live.parent)
    there = other.exists()
    done = run("rm", "4f2c", "4f2d", "zz", "--dir", live.parent, "--yes", "-o", "json")

    assert (asked.returncode, there) == (1, True)
    assert asked.stderr == "sessiontail: nothing was deleted: add --yes to do it\n"
    assert (done.returncode, live.exists(), other.exists()) == (1, True, False)
    assert json.loads(done.stdout) == {
        "schema": 1,
        "found": [TWO],
        "files": [str(other)],
        "deleted": [TWO],
    }
    assert done.stderr == (
        f"sessiontail: {live}: process {real_writer().pid} is writing it; it is kept\n"
        f"sessiontail: {live.parent}: no session is called 'zz'; `sessiontail ls` lists them\n"
        "sessiontail: 1 session deleted\n"
    )


def test_rm_takes_ids_from_standard_input_and_asks_for_yes(tmp_path: Path) -> None:
    files = [closed(tmp_path, ONE, "one"), closed(tmp_path, TWO, "two")]
    given = f"{ONE}\n\n4f2d\n".encode()

    asked = run("rm", "-", "--dir", tmp_path, given=given)
    there = [path.exists() for path in files]
    done = run("rm", "-", "--yes", "--json", "--dir", tmp_path, given=given)

    assert (asked.returncode, there) == (1, [True, True])
    assert asked.stderr == "sessiontail: nothing was deleted: add --yes to do it\n"
    assert (done.returncode, [*tmp_path.iterdir()]) == (0, [])
    assert json.loads(done.stdout)["deleted"] == [ONE, TWO]


def test_a_second_rm_of_an_id_keeps_the_copy_that_was_exported_beside_it(tmp_path: Path) -> None:
    original = closed(tmp_path, ONE, "one")
    export = tmp_path / "export.jsonl"
    export.write_bytes(original.read_bytes())

    first, second = (run("rm", ONE, "--dir", tmp_path, "--yes") for _ in range(2))
    there = (original.exists(), export.exists())
    by_name = run("rm", "export", "--dir", tmp_path, "--yes")

    assert first.stdout.splitlines()[-1] == f"goes: {original}"
    assert (first.returncode, second.returncode, there) == (0, 1, (False, True))
    assert second.stderr == (
        f"sessiontail: {export}: has that id and another name; it is kept: "
        "give its path to delete it\n"
    )
    assert by_name.stdout.splitlines()[-1] == f"goes: {export}"
    assert (by_name.returncode, export.exists()) == (0, False)


def test_rm_shows_both_files_of_a_reopened_session_and_deletes_both(tmp_path: Path) -> None:
    final, wal = closed(tmp_path, ONE, "one"), crashed(tmp_path, ONE)

    done = run("rm", ONE, "--dir", tmp_path, "--yes")

    assert done.stdout.splitlines()[-2:] == [f"goes: {wal}", f"goes: {final}"]
    assert (done.returncode, final.exists(), wal.exists()) == (0, False, False)


def test_rm_deletes_no_file_that_is_no_session(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("dear\n")
    damaged = tmp_path / "old.jsonl"
    damaged.write_text("garbage\n")

    refused = run("rm", letter, "--yes")
    done = run("rm", damaged, "--yes")

    assert (refused.returncode, letter.exists()) == (1, True)
    assert (done.returncode, damaged.exists()) == (0, False)
