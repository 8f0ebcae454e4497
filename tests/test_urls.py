"""The text of a place -> a path that keeps what a URL is."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from sessiontail.urls import UrlPath, as_path, is_url


@pytest.mark.parametrize(
    "url", ["s3://bucket/prefix/x.jsonl", "gs://bucket/x", "az://box/a b/ü.jsonl", "file:///tmp/x"]
)
def test_a_url_is_a_path_that_is_written_as_it_was(url: str) -> None:
    path = as_path(url)

    assert isinstance(path, UrlPath)
    assert (str(path), os.fspath(path), f"{path}") == (url, url, url)
    assert path.absolute() is path
    assert as_path(path) is path
    assert as_path(Path(url)) == path
    assert pickle.loads(pickle.dumps(path)) == path
    assert path.is_dir()


def test_a_url_is_taken_apart_and_joined_like_any_path() -> None:
    path = as_path("s3://bucket/prefix/x.jsonl")

    assert (path.name, str(path.parent), str(path.parent.parent)) == (
        "x.jsonl",
        "s3://bucket/prefix",
        "s3://bucket",
    )
    assert str(path.parent / "y.jsonl") == "s3://bucket/prefix/y.jsonl"
    assert str(as_path("s3://bucket/prefix/")) == "s3://bucket/prefix"
    assert str(as_path("s3://")) == "s3://"


@pytest.mark.parametrize(
    "name", ["sessions", "/tmp/s3", "C:/x", "s3:", "https://host/x", "./s3://bucket", ""]
)
def test_what_is_no_url_is_a_path_of_this_system(name: str) -> None:
    assert not is_url(name)
    assert type(as_path(name)) is type(Path())
    assert as_path(name) == Path(name)
