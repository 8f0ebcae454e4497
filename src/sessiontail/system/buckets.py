"""the URL of a directory in a bucket -> what lies there, by ``obstore`` (extra ``cloud``). Blocks.

Where it is, and who may read it, is in the environment: ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``, ``AWS_ALLOW_HTTP``,
``AWS_SKIP_SIGNATURE``; ``GOOGLE_APPLICATION_CREDENTIALS``; ``AZURE_STORAGE_ACCOUNT_NAME``,
``AZURE_STORAGE_ACCOUNT_KEY``; and what else obstore reads there. So a worker on another machine
reads by its own.

A listing is believed for a while, and longer the longer it took: an object is read as what was listed
(by its ETag), or not at all.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from sessiontail.errors import MissingExtra, PersistenceError
from sessiontail.system.kept import Kept
from sessiontail.urls import UrlPath, as_path

__all__ = ["Bucket", "Listed", "bucket_of", "refuse_bucket", "split_url"]

# A server that does not answer is given up after some ten seconds.
_CONNECT_S = 4
_RETRY_S = 8
_RETRIES = 2
# One read, of 4 MiB at most: by a line of 2 Mbit/s too.
_READ_S = 30

# How long a listing is believed, in seconds, and in times of what it took.
_FRESH_S = 5.0
_FRESH_TIMES = 20

_T = TypeVar("_T")


class Listed(NamedTuple):
    """An object, as a listing has it."""

    size: int
    modified_ns: int
    #: Another one for other bytes.
    etag: str | None


class _Listing(NamedTuple):
    objects: dict[str, Listed]
    #: Until when it is believed, by the monotonic clock.
    until_s: float
    #: When it was first so, by the wall clock.
    since_ns: int


class Bucket:
    """The objects that lie directly under a prefix, as a directory's files. For many threads.

    Args:
        url: of the prefix.

    Raises:
        MissingExtra: obstore is not installed.
        OSError: there is no such place; ``strerror`` says what to look at.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._listing: _Listing | None = None
        self._store = self._asked(lambda: _store_at(url))

    def names(self) -> list[str]:
        """Return the names of the objects, looked up now.

        Raises:
            OSError: they cannot be listed.
        """
        return [*self._list(anew=True).objects]

    def changed_ns(self) -> int:
        """Return since when the listing is as it is."""
        return self._list(anew=False).since_ns

    def find(self, name: str) -> Listed:
        """Return an object by its name: as it was listed lately; asked for, if nothing was.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be asked for.
        """
        if self._listing is None:
            return self._asked(lambda: _listed(_obstore().head(self._store, name)))
        found = self._list(anew=False).objects.get(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.url}/{name}")
        return found

    def read(self, name: str, listed: Listed, start: int, end: int) -> bytes:
        """Return some bytes of an object, as it was listed; not none, and not behind its end.

        Raises:
            FileNotFoundError: it is gone.
            OSError: it is another one by now (``ESTALE``), or cannot be read.
        """
        options = {"range": (start, end), "if_match": listed.etag}
        if listed.etag is None:
            del options["if_match"]
        return self._asked(
            lambda: bytes(_obstore().get(self._store, name, options=options).bytes())
        )

    def _list(self, *, anew: bool) -> _Listing:
        """Return what is there: looked up anew, or what is believed still."""
        with self._lock:
            now_s = time.monotonic()
            known = self._listing
            if known is not None and not anew and now_s < known.until_s:
                return known
            found = self._asked(lambda: _obstore().list_with_delimiter(self._store))
            objects = {one["path"].rpartition("/")[2]: _listed(one) for one in found["objects"]}
            took_s = time.monotonic() - now_s
            since_ns = time.time_ns()
            if known is not None and known.objects == objects:
                since_ns = known.since_ns
            until_s = now_s + took_s + max(_FRESH_S, _FRESH_TIMES * took_s)
            self._listing = _Listing(objects, until_s, since_ns)
            return self._listing

    def _asked(self, function: Callable[[], _T]) -> _T:
        """Call what asks the server; what it raises is made an ``OSError`` with one line."""
        try:
            return function()
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.url) from error
        except _obstore().exceptions.PreconditionError as error:
            with self._lock:
                if self._listing is not None:
                    self._listing = self._listing._replace(until_s=0.0)
            why = "it was exchanged while it was read; read it again"
            raise OSError(errno.ESTALE, why, self.url) from error
        except _obstore().exceptions.BaseError as error:
            if "canonicalize filesystem root" in str(error):  # of file://
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.url) from None
            raise OSError(errno.EIO, _reason(str(error), self.url), self.url) from error


def _obstore() -> Any:
    try:
        import obstore  # noqa: PLC0415 - an extra
        import obstore.exceptions  # noqa: PLC0415 - an extra
        import obstore.store  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra(
            "a bucket is read through the obstore package; install it with: pip install obstore"
        ) from error
    return obstore


def _store_at(url: str) -> Any:
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        return _obstore().store.from_url(f"file://{quote(rest)}")
    allowed = {
        os.environ.get(f"{name}_ALLOW_HTTP", "").lower() for name in ("AWS", "AZURE", "GOOGLE")
    }
    return _obstore().store.from_url(
        f"{scheme}://{quote(rest)}",
        client_options={
            "connect_timeout": timedelta(seconds=_CONNECT_S),
            "timeout": timedelta(seconds=_READ_S),
            "allow_http": not allowed.isdisjoint({"true", "1", "yes", "on"}),
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)},
    )


def _listed(meta: Any) -> Listed:
    modified_us = round(meta["last_modified"].timestamp() * 1e6)
    return Listed(meta["size"], modified_us * 1000, meta["e_tag"])


#: What is in an error's text, and what that means; the first that is there counts.
_REASONS = (
    ("Unable to recognise URL", "no place in a bucket: write it like s3://bucket/prefix"),
    ("NoSuchBucket", "no such bucket: look at its name{endpoint}"),
    ("incorrectly configured region", "the bucket is in another region: set AWS_REGION"),
    (
        "BadScheme",
        "the endpoint begins with http://, which must be allowed: set AWS_ALLOW_HTTP=true",
    ),
    ("169.254.169.254", "no credentials are set: {credentials}"),
    ("metadata.google.internal", "no credentials are set: {credentials}"),
    ("Missing AccessKeyId", "no credentials are set: {credentials}"),
    ("Missing SecretAccessKey", "no credentials are set: {credentials}"),
    ("403 Forbidden", "access denied: {credentials}"),
    ("401 Unauthorized", "access denied: {credentials}"),
    ("must be specified", "nothing says whose it is: {credentials}"),
    ("error sending request", "cannot be reached: look at the network{endpoint}"),
)
_CREDENTIALS = {
    "s3": "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or for a public bucket "
    "AWS_SKIP_SIGNATURE=true",
    "gs": "give GOOGLE_APPLICATION_CREDENTIALS, or for a public bucket GOOGLE_SKIP_SIGNATURE=true",
    "az": "give AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


def _reason(text: str, url: str) -> str:
    """Return in one line what an error of obstore means."""
    scheme = url.partition(":")[0]
    endpoint = " and AWS_ENDPOINT_URL" if scheme == "s3" else ""
    for sign, meaning in _REASONS:
        if sign in text:
            return meaning.format(endpoint=endpoint, credentials=_CREDENTIALS.get(scheme, ""))
    return text.partition("\n")[0]


def split_url(url: str) -> tuple[str, str]:
    """Return the URL of the directory that an object is in, and its name there."""
    if "://" not in url:  # pathlib had it
        url = str(as_path(url))
    directory, _, name = url.rpartition("/")
    return directory, name


_buckets: Kept[str, Bucket] = Kept(32)
_making = threading.Lock()


def bucket_of(url: str) -> Bucket:
    """Return what is known of a directory in a bucket, in this process."""
    url = str(as_path(url))
    with _making:
        found = _buckets.get(url)
        if found is None:
            found = Bucket(url)
            _buckets.put(url, found)
        return found


def refuse_bucket(place: object, done: str) -> None:
    """Refuse what only a file system can do, which sessions are not there: "deleted".

    Raises:
        PersistenceError: the place is in a bucket.
    """
    if isinstance(place, UrlPath):
        raise PersistenceError(
            f"in a bucket, sessions are not {done}: they are listed, read, searched and audited there",
            path=place,
        )
