"""The URL of a directory in a bucket -> what lies there; or one line that says what to look at."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from buckets import Served, serving
from sessiontail.errors import MissingExtra, PersistenceError
from sessiontail.system import buckets
from sessiontail.system.buckets import Bucket, Listed, bucket_of, refuse_bucket, split_url
from sessiontail.urls import as_path


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as made:
        yield made


def test_objects_under_a_prefix_are_found_by_name_and_read_in_ranges(served: Served) -> None:
    url = f"{served.bucket()}/a b/c"
    before = datetime.now(UTC).timestamp()
    for name in ("x.jsonl", "ü %20.jsonl", "below/y.jsonl"):
        served.put(url, name, b"0123456789")
    bucket = Bucket(url)

    asked = bucket.find("x.jsonl")
    assert sorted(bucket.names()) == ["x.jsonl", "ü %20.jsonl"]
    listed = bucket.find("x.jsonl")

    assert listed == asked
    assert (listed.size, listed.etag) == (10, '"781e5e245d69b566979b86e28d23f2c7"')
    assert abs(listed.modified_ns / 1e9 - before) < 60
    assert bucket.read("ü %20.jsonl", bucket.find("ü %20.jsonl"), 3, 7) == b"3456"


@pytest.mark.parametrize("before", ["listed", "unlisted"])
def test_what_is_not_there_is_told_as_of_a_file(served: Served, before: str) -> None:
    bucket = Bucket(f"{served.bucket()}/nothing")
    if before == "listed":
        assert bucket.names() == []

    with pytest.raises(FileNotFoundError):
        bucket.find("x.jsonl")
    with pytest.raises(FileNotFoundError):
        bucket.read("x.jsonl", Listed(1, 0, None), 0, 1)


def test_an_object_is_read_as_it_was_listed_or_not_at_all(served: Served) -> None:
    url = served.bucket()
    served.put(url, "x", b"first")
    bucket = Bucket(url)
    bucket.names()
    listed = bucket.find("x")
    served.put(url, "x", b"second")

    with pytest.raises(
        OSError, match="it was exchanged while it was read; read it again"
    ) as caught:
        bucket.read("x", listed, 0, 3)

    assert caught.value.errno == errno.ESTALE
    assert bucket.read("x", bucket.find("x"), 0, 3) == b"sec"


def test_a_listing_is_believed_for_a_while_and_looked_up_when_names_are_asked_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = served.bucket()
    bucket = Bucket(url)
    assert bucket.names() == []
    since_ns = bucket.changed_ns()
    served.put(url, "x", b"1")

    with pytest.raises(FileNotFoundError):
        bucket.find("x")
    assert bucket.changed_ns() == since_ns
    assert bucket.names() == ["x"]
    assert bucket.changed_ns() > since_ns
    since_ns = bucket.changed_ns()
    assert bucket.names() == ["x"]
    assert bucket.changed_ns() == since_ns
    monkeypatch.setattr(buckets, "_FRESH_S", 0.0)
    monkeypatch.setattr(buckets, "_FRESH_TIMES", 0)
    bucket.names()
    served.put(url, "y", b"1")
    assert bucket.find("y").size == 1


def test_a_directory_is_read_as_a_bucket(tmp_path: Path) -> None:
    (tmp_path / "ä %41").mkdir()
    (tmp_path / "ä %41" / "x.jsonl").write_bytes(b"0123")
    bucket = bucket_of(f"file://{tmp_path}/ä %41/")

    assert bucket is bucket_of(f"file://{tmp_path}/ä %41")
    assert bucket.names() == ["x.jsonl"]
    assert bucket.read("x.jsonl", bucket.find("x.jsonl"), 1, 3) == b"12"
    with pytest.raises(FileNotFoundError):
        Bucket(f"file://{tmp_path}/nothing")


def reason(url: str) -> str:
    with pytest.raises(OSError, match=r".") as caught:
        Bucket(url).names()
    assert caught.value.errno == errno.EIO
    assert caught.value.filename == url
    return caught.value.strerror or ""


KEYS = "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or for a public bucket AWS_SKIP_SIGNATURE=true"


def test_a_wrong_place_is_told_in_one_line(served: Served) -> None:
    assert reason("s3://nothing-of-that-name/x") == (
        "no such bucket: look at its name and AWS_ENDPOINT_URL"
    )
    assert reason("s3://") == "no place in a bucket: write it like s3://bucket/prefix"


UNREACHED = "cannot be reached: look at the network and AWS_ENDPOINT_URL"
BY_HTTP = "the endpoint begins with http://, which must be allowed: set AWS_ALLOW_HTTP=true"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_ALLOW_HTTP", "", BY_HTTP),
        ("AWS_ACCESS_KEY_ID", None, f"no credentials are set: {KEYS}"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", UNREACHED),
    ],
)
def test_a_wrong_environment_is_told_in_one_line(
    served: Served, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, told: str
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)

    assert reason("s3://bucket/x") == told


def test_an_azure_account_that_nobody_names_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)

    assert reason("az://box/x") == (
        "nothing says whose it is: give AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
    )


def test_who_does_not_answer_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of which nothing comes back: RFC 5737 keeps it for documents."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:9")
    monkeypatch.setattr(buckets, "_CONNECT_S", 0.1)
    monkeypatch.setattr(buckets, "_RETRIES", 1)

    assert reason("s3://bucket/x") == UNREACHED


def test_what_cannot_be_done_there_is_refused(tmp_path: Path) -> None:
    refuse_bucket(tmp_path, "deleted")

    with pytest.raises(PersistenceError) as caught:
        refuse_bucket(as_path("s3://bucket/x"), "deleted")

    assert str(caught.value) == (
        "s3://bucket/x: in a bucket, sessions are not deleted: they are listed, read, searched and "
        "audited there"
    )


def test_a_url_is_split_also_where_pathlib_had_it() -> None:
    assert split_url("s3://bucket/a/x.jsonl") == ("s3://bucket/a", "x.jsonl")
    assert split_url("s3:/bucket/a/x.jsonl") == ("s3://bucket/a", "x.jsonl")
    assert split_url("file:/tmp/x.jsonl") == ("file:///tmp", "x.jsonl")


def test_without_obstore_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)

    with pytest.raises(MissingExtra, match="install it with: pip install obstore"):
        Bucket("s3://bucket/x")
