"""What the agents of ``serve --demo`` say: conversations, as data.

A ``$word`` in a text is another one in each conversation (``WORDS``), and ``$ticket`` a number that no
other one has: two that are equal would count as copies.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from string import Template
from typing import Any, TypeAlias

from sessiontail.cli.demo_agents import Turn, calls, result, says, system, user

__all__ = ["SCRIPTS", "WORDS", "Delegation", "Script", "filled"]


@dataclass(frozen=True)
class Delegation:
    """A part of the work that a child does, in a session of its own."""

    task: str
    turns: tuple[Turn, ...]
    #: What the parent gets back.
    answer: str


#: What a user asks, and all that comes of it: one session.
Exchange: TypeAlias = tuple[Turn | Delegation, ...]


@dataclass(frozen=True)
class Script:
    """A conversation: each exchange goes on in a child of the session before."""

    system: Turn
    exchanges: tuple[Exchange, ...]


WORDS: dict[str, tuple[str, ...]] = {
    "module": ("dates", "prices", "imports", "currency", "calendar", "invoices", "holidays"),
    "city": ("Lisbon", "Osaka", "Nairobi", "Bergen", "Montevideo", "Tunis", "Adelaide"),
    "service": ("checkout", "search", "mail", "billing", "login", "export"),
    "number": ("3", "7", "12", "18", "24", "41"),
}


def filled(turn: Turn, words: dict[str, str]) -> Turn:
    """Return a turn with the words of one conversation."""
    return Turn(turn.kind, _filled(turn.payload, words))


def _filled(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, str):
        return Template(value).safe_substitute(words)
    if isinstance(value, dict):
        return {key: _filled(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, words) for inner in value]
    return value


def fails(call_id: str, name: str, exit_code: int, text: str) -> Turn:
    """Return the result of a tool that has failed."""
    return result(call_id, name, json.dumps({"exit_code": exit_code, "stderr": text}))


# Some 30 KB, as a build says them.
_BUILD_LOG = "\n".join(
    f"[{i // 60:02}:{i % 60:02}] {'compile' if i % 3 else 'check  '} src/{name}/{part}.rs ... ok"
    for i, (name, part) in enumerate(
        (name, part)
        for name in ("core", "net", "store", "ui", "sync", "auth", "i18n", "queue", "jobs", "api")
        for part in range(60)
    )
)

CODER = Script(
    system("You fix failing tests. Change as little as you can, and say why."),
    (
        (
            user("tests/test_$module.py fails since this morning (#$ticket). Find out why, and fix it."),
            says("I run it first, then look at the code that it calls."),
            calls("call_1", "run_tests", path="tests/test_$module.py", verbose=True),
            fails("call_1", "run_tests", 1, "FAILED test_end_of_month\nValueError: day is out of range"),
            calls("call_2", "read_file", path="src/$module.py", first=10, last=24),
            result(
                "call_2",
                "read_file",
                "def add_month(day):\n    month = day.month % 12 + 1\n    return day.replace(month=month)",
            ),
            says(
                "31 January has no 31 February to go to. The day has to stop at the month's end:\n\n"
                "```python\ndef add_month(day):\n    year, month = divmod(day.year * 12 + day.month, 12)\n"
                "    last = calendar.monthrange(year, month + 1)[1]\n"
                "    return day.replace(year=year, month=month + 1, day=min(day.day, last))\n```"
            ),
            calls("call_3", "edit_file", path="src/$module.py", edits=[{"line": 10, "lines": 3}]),
            result("call_3", "edit_file", '{"ok": true, "changed": 4}'),
            calls("call_4", "run_tests", path="tests/test_$module.py"),
            result("call_4", "run_tests", "$number passed in 0.08s"),
            says("Fixed: `add_month` stops at the last day of the month. **$number tests pass.**"),
        ),
        (
            user("Good. Is the same mistake made elsewhere?"),
            calls("call_5", "search", pattern=r"\.replace\(month=", paths=["src", "tools"]),
            result("call_5", "search", "tools/report.py:88\ntools/report.py:131\nsrc/plan.py:17"),
            calls("call_6", "read_file", path="tools/report.py", first=80, last=140),
            fails("call_6", "read_file", 2, "tools/report.py: permission denied"),
            says("I may not read `tools/`. I look at the third place, and name the other two."),
            calls("call_7", "read_file", path="src/plan.py", first=10, last=20),
            result("call_7", "read_file", "    return start.replace(month=quarter * 3 + 1, day=1)"),
            says("| place | safe? |\n|---|---|\n| `src/plan.py:17` | yes, `day=1` |\n| `tools/report.py` | not read |"),
        ),
        (
            user("Then write the changelog line."),
            calls("call_71", "read_file", path="CHANGELOG.md", first=1, last=8),
            result(
                "call_71",
                "read_file",
                "# Changes\n\n## Unreleased\n\n- Faster: lists.\n- Fixed: time zones.",
            ),
            calls("call_72", "edit_file", path="CHANGELOG.md", edits=[{"line": 7, "lines": 1}]),
            result("call_72", "edit_file", '{"ok": true, "changed": 1}'),
            says("- Fixed: a month after 31 January is 28 February, no longer an error (`$module`)."),
        ),
        (
            user("And push it."),
            calls("call_81", "git_status"),
            result("call_81", "git_status", " M CHANGELOG.md\n M src/$module.py"),
            calls("call_82", "run_tests", path="tests"),
            result("call_82", "run_tests", "4$number passed in 11.2s"),
            calls("call_8", "git_push", branch="fix-$ticket"),
            fails("call_8", "git_push", 128, "remote: the branch is protected"),
            says("The branch is protected: I opened a pull request instead, #$ticket."),
        ),
    ),
)  # fmt: skip

RESEARCHER = Script(
    system("你是研究助理。回答要简短,并注明出处。"),
    (
        (
            user("$city 的光伏发电潜力如何? 请比较两个来源 (#$ticket)。"),
            calls("call_1", "search", query="$city 太阳能 辐照度", limit=3),
            result("call_1", "search", "1. Global Solar Atlas\n2. PVGIS 5.3\n3. 当地气象局年报"),
            says(
                "两个来源的口径不同:一个给出水平面辐照度,一个给出最佳倾角下的发电量。先统一口径。"
            ),
            calls("call_2", "open_page", result=1, section="年均值"),
            result("call_2", "open_page", "水平面总辐照度 1,7$number kWh/m²·年"),
            calls("call_3", "open_page", result=2, section="发电量"),
            result("call_3", "open_page", "1 kWp 年发电量 1,5$number kWh"),
            says("**结论**:$city 每千瓦装机年发电约 1,500 千瓦时,两个来源相差不到 4%。"),
        ),
        (
            user("那屋顶朝东呢?"),
            calls("call_4", "calculate", tilt=20, azimuth=-90, losses=0.14),
            result("call_4", "calculate", '{"ok": true, "kwh": 1290, "ratio": 0.86}'),
            says("朝东时约为最佳朝向的 86%,即每千瓦约 1,290 千瓦时。"),
        ),
    ),
)

ANALYST = Script(
    system("أنت محلل بيانات. أجب بإيجاز واذكر الأرقام."),
    (
        (
            user("كم طلبًا فشل في خدمة $service أمس؟ (#$ticket)"),
            calls("call_1", "query", sql="SELECT status, count(*) FROM $service GROUP BY status"),
            result("call_1", "query", "200\t48113\n404\t3$number\n502\t$number"),
            says("فشل $number طلبًا برمز 502 من أصل 48 ألف طلب، أي أقل من واحد في الألف."),
        ),
        (
            user("متى حدث ذلك؟"),
            calls("call_2", "query", sql="SELECT hour, count(*) FROM $service WHERE status = 502"),
            fails("call_2", "query", 1, 'ERROR: column "hour" does not exist'),
            says("لا يوجد عمود بهذا الاسم؛ أستخرج الساعة من الطابع الزمني."),
            calls("call_3", "query", sql="SELECT date_part('hour', at), count(*) FROM $service"),
            result("call_3", "query", "03\t$number"),
            says("كلها عند الساعة الثالثة صباحًا، وقت النسخ الاحتياطي."),
        ),
    ),
)  # fmt: skip

PLANNER = Script(
    system("You plan, and hand parts of the work to others."),
    (
        (
            user("Write release notes for version 2.$number (#$ticket)."),
            says("A colleague collects the changes, another one looks for what breaks."),
            Delegation(
                "collect the changes since the last tag",
                (
                    calls("call_a1", "git_log", since="v2.2", format="oneline"),
                    result("call_a1", "git_log", "a91c close files on cancel\n0d27 faster listing\n77be fix $module"),
                    says("Three changes: files are closed on cancel, listing is faster, `$module` is right."),
                ),
                "files closed on cancel; faster listing; $module fixed",
            ),
            Delegation(
                "find what breaks for users of the last version",
                (
                    calls("call_b1", "diff_api", old="v2.2", new="HEAD"),
                    result("call_b1", "diff_api", "- removed: open_all(path)\n+ added: open_all(path, *, limit)"),
                    calls("call_b2", "search", pattern="open_all\\(", paths=["examples"]),
                    result("call_b2", "search", "examples/many.py:12"),
                    says("`open_all` has a new argument with a default: nothing breaks."),
                ),
                "nothing breaks",
            ),
            says("## 2.$number\n\n- Listing is faster.\n- Fixed: `$module`; files stay open after a cancel.\n\nNothing breaks."),
        ),
        (
            user("Shorter, please."),
            calls("call_c1", "count_words", text="## 2.$number"),
            result("call_c1", "count_words", "21"),
            says("21 words; eight are enough."),
            calls("call_c2", "check_links", base="v2.2"),
            result("call_c2", "check_links", '{"ok": true, "links": 3}'),
            says("## 2.$number\nFaster listing; `$module` fixed; no file stays open."),
        ),
    ),
)  # fmt: skip

BUILDER = Script(
    system("You watch builds, and say at once when one fails."),
    (
        (
            user("Watch the build of $service until it is green (#$ticket)."),
            calls("call_0", "start_build", target="$service", jobs=8, cache={"kind": "disk", "gb": 20}),
            result("call_0", "start_build", '{"ok": true, "build": 41$number}'),
            *(
                turn
                for i in range(1, 31)
                for turn in (
                    calls(f"call_{i}", "build_status", build="41$number", since=i * 20),
                    result(f"call_{i}", "build_status", f"{min(100, i * 100 // 29)} %, {i * 21} of 600 files"),
                    *((says(f"{i * 21} files, no warning so far."),) if i % 5 == 0 else ()),
                )
            ),
            calls("call_99", "build_log", build="41$number"),
            result("call_99", "build_log", _BUILD_LOG),
            says("Green: 600 files in 12 minutes. <b>No</b> warning; the slowest was `src/store/31.rs`."),
        ),
    ),
)  # fmt: skip

#: One for each agent.
SCRIPTS = (CODER, PLANNER, RESEARCHER, BUILDER, ANALYST)
