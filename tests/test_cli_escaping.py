"""Nothing that an agent wrote commands a terminal or hides in it, in whatever form, wherever to."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import click
import pytest

from commands import ONE, TWO, run
from samples import chunk_line, header_line, trailer_line
from sessiontail.cli.escaping import clean, clean_json, encoded, one_line
from sessiontail.cli.options import complete_ids

#: Format characters that stay: they have a sign, or scripts and emoji need them.
SEEN_OR_NEEDED = {
    *map(chr, range(0x600, 0x606)),  # signs before Arabic numbers
    "\u06dd",  # end of ayah
    "\u070f",  # Syriac abbreviation
    "\u0890",
    "\u0891",  # pounds and piasters above
    "\u08e2",  # disputed end of ayah
    "\u180e",  # Mongolian vowel separator
    "\u200c",  # zero width non-joiner: Persian
    "\u200d",  # zero width joiner: emoji
    "\U000110bd",
    "\U000110cd",  # Kaithi number signs
    *map(chr, range(0x13430, 0x13440)),  # joiners of hieroglyphs
}
OF_LINES = {"\t", "\n"}
ALL = [chr(point) for point in range(sys.maxunicode + 1)]
UNSAFE = [
    sign
    for sign in ALL
    if (unicodedata.category(sign) in {"Cc", "Cf"} and sign not in OF_LINES | SEEN_OR_NEEDED)
    or unicodedata.category(sign) in {"Zl", "Zp"}
]
#: Few enough for an excerpt of a damaged line, and for a file name.
HANDFULS = ["".join(UNSAFE[i : i + 40]) for i in range(0, len(UNSAFE), 40)]


def live(text: str) -> set[str]:
    """What is in a text that none may have."""
    return set(text) & set(UNSAFE)


def test_the_unsafe_are_what_is_feared() -> None:
    feared = "\x00\x07\x1b\r\x7f\x85\x9b\x9d\xad\u061c\u200b\u200e\u200f\u2028\u2029\u2060\u2064"
    feared += "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a\u206f\ufeff\ufff9\ufffb"
    feared += "\U000e0001\U000e0041\U000e007f"

    assert set(feared) <= set(UNSAFE)


def test_every_unsafe_character_is_shown_as_its_number() -> None:
    for sign in UNSAFE:
        point = ord(sign)
        number = f"x{point:02x}" if point < 256 else f"u{point:04x}"
        number = number if point < 65536 else f"U{point:08x}"

        assert clean(f"a{sign}b") == f"a\\{number}b"


def test_what_is_safe_stays_as_it_is() -> None:
    words = (
        "tab\tand\nline, 你好, é\xa0è, a flag 🇪🇺, 👩\u200d👧, \u0645\u06cc\u200c\u062e\u0648, \\x1b"
    )

    assert clean(words) == words
    for sign in SEEN_OR_NEEDED | OF_LINES:
        assert clean(sign) == sign
    assert one_line("tab\tand\nline\r") == "tab\\tand\\nline\\x0d"


def test_half_a_character_is_shown_and_is_utf8_everywhere() -> None:
    assert clean("é\ud800\udfff") == "é\\ud800\\udfff"
    assert encoded("é\ud800") == b"\xc3\xa9\\ud800"


def test_json_is_escaped_as_json_and_stays_equal() -> None:
    value = {"".join(UNSAFE): [*UNSAFE, "\ud800", "é\u200d"]}

    text = clean_json(json.dumps(value, ensure_ascii=False))

    assert live(text) == set()
    assert json.loads(text) == value
    assert clean_json('"\x9b\u202e\U000e0041\ud800"') == '"\\u009b\\u202e\\udb40\\udc41\\ud800"'


def hostile(text: str) -> bytes:
    """A session that has ``text`` wherever an agent can put one."""

    def call(name: str, arguments: Any) -> dict[str, Any]:
        return {"id": text, "type": text, "function": {"name": name, "arguments": arguments}}

    calls = [
        call(text, json.dumps({text: text, "lines": f"a\n{text}", "nested": {text: [text] * 40}})),
        call("f", text),
        call("f", {text: [text]}),
    ]
    parts = [
        {"type": "text", "text": text},
        {"type": "image_url", "image_url": {"url": f"https://{text}"}},
        {"type": "image_url", "image_url": {"url": f"data:image/{text};base64,aa"}},
        {"type": "file", "file": {"filename": text}},
        {"type": text, text: text},
    ]
    return (
        header_line(
            ONE,
            lineage_operator=text,
            lineage_kind=text,
            lineage_extras=[[text, text]],
            sandbox_backend=text,
            sandbox_handle_id=text,
        )
        + chunk_line(0, text, "user")
        + chunk_line(1, parts, "user")
        + chunk_line(2, {text: text}, "system")
        + chunk_line(3, text, "assistant", tool_calls=calls, reasoning_content=text)
        + chunk_line(4, text, "tool_result", name=text, tool_call_id=text)
        + (text.replace("\n", "") + "\n").encode()
        + trailer_line(5)
        + ('{"record_type": "chunk", ' + text).encode()
    )


@pytest.mark.parametrize("text", HANDFULS, ids=lambda text: f"U+{ord(text[0]):04X}")
def test_what_an_agent_wrote_is_shown_and_not_obeyed(tmp_path: Path, text: str) -> None:
    (tmp_path / f"{ONE}.jsonl").write_bytes(hostile(text))
    (tmp_path / f"{TWO}.jsonl").write_bytes(header_line(TWO) + chunk_line(0, text))
    at = ("--dir", tmp_path)

    for arguments in (
        ("cat", "4f2c"),
        ("cat", "4f2c", "--color", "always", "-g", "."),
        ("cat", "4f2c", "-o", "jsonl"),
        ("cat", "4f2c", "-o", "messages"),
        ("tail", "4f2c", "4f2d"),
        ("tail", "4f2c", "-o", "jsonl", "-n", "all"),
        ("ls",),
        ("ls", "-o", "json"),
        ("ls", "-o", "jsonl", "--verify"),
        ("rm", "4f2c"),
        ("prune", "--keep-last", "0", "-o", "json"),
    ):
        done = run(*arguments, *at)
        # What the command itself paints.
        out = done.stdout.replace("\x1b[", "") if "--color" in arguments else done.stdout

        assert done.stdout
        assert live(out + done.stderr) == set(), arguments


NAMES = [text.replace("\x00", "") for text in HANDFULS]


@pytest.mark.parametrize("name", NAMES, ids=lambda text: f"U+{ord(text[0]):04X}")
def test_a_name_is_shown_and_not_obeyed(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.jsonl"
    path.write_bytes(header_line(ONE) + chunk_line())
    (tmp_path / f"{name}2.jsonl").write_bytes(b"")
    other = tmp_path / "other.jsonl"
    other.write_bytes(header_line(TWO) + b"{\n")

    for arguments in (
        (name,),
        (f"--{name}",),
        ("ls", f"--{name}"),
        ("ls", "--dir", name),
        ("ls", "--dir", path),
        ("ls", "--dir", tmp_path),
        ("ls", "--since", name),
        ("ls", "--sort", name),
        ("ls", "-n", name),
        ("cat", name, "--dir", tmp_path),
        ("cat", name * 2, "--dir", tmp_path),
        ("cat", path, "-k", "system"),
        ("cat", f"{path}2"),
        ("cat", path, name),
        ("cat", path, "-g", f"({name}"),
        ("tail", path, other),
        ("tail", path, "-n", name),
        ("tail", path, "--cursor", name),
        ("tail", path, "--cursor-file", tmp_path / name / name),
        ("rm", path),
        ("rm", tmp_path / f"{name}2.jsonl"),
        ("prune", "--dir", tmp_path / name, "--keep-last", "1"),
        ("prune", "--max-size", name),
    ):
        done = run(*arguments)

        assert done.stdout + done.stderr
        assert live(done.stdout + done.stderr) == set(), arguments


def test_a_name_of_several_lines_is_one_line_of_a_message(tmp_path: Path) -> None:
    path = tmp_path / "a\nsessiontail: b"
    path.mkdir()

    file = path / "a\ngoes: b.jsonl"
    file.write_bytes(b"{}")

    listed = run("ls", "--dir", path / "absent")
    doomed = run("rm", file)

    assert listed.stderr.count("\n") == 1
    assert [line.split()[0] for line in doomed.stdout.splitlines()][1:] == ["goes:"]


def test_a_name_that_no_line_can_show_is_not_offered(tmp_path: Path) -> None:
    for name in ("fine", "a\x1bb", "a\nb", "a\u202eb"):
        (tmp_path / f"{name}.jsonl").touch()
    context = click.Context(click.Command("cat"))
    context.params["directory"] = str(tmp_path)

    offered = complete_ids(context, click.Argument(["session_id"]), "")

    assert [item.value for item in offered] == ["fine"]
