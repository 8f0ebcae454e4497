from __future__ import annotations

from sessiontail.format.findings import FINDINGS, Finding, Severity, damage_finding, finding
from sessiontail.format.records import Damage, DamageReason


def test_each_reason_of_damage_is_an_error() -> None:
    assert {FINDINGS[str(reason)] for reason in DamageReason} == {Severity.ERROR}


def test_a_finding_is_as_bad_as_the_table_says() -> None:
    found = finding("index-gap", "index 7, expected 3", line=9, offset=120)

    assert found == Finding(Severity.WARNING, "index-gap", 9, 120, "index 7, expected 3")
    assert found.to_dict() == {
        "severity": "warning",
        "reason": "index-gap",
        "line": 9,
        "offset": 120,
        "message": "index 7, expected 3",
    }
    assert repr(found) == "Finding(warning, index-gap, line 9)"


def test_damage_is_found_where_it_lies() -> None:
    damage = Damage(
        line=3, offset=40, length=5, reason=DamageReason.INVALID_JSON, message="no", raw=b"{{{{"
    )

    assert damage_finding(damage) == Finding(Severity.ERROR, "invalid-json", 3, 40, "no")
