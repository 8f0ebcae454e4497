"""An S3 server on loopback, over HTTP, and its buckets, filled with the files of a directory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import from_url

__all__ = ["Served", "serving"]


class Served:
    """A server, which this process and its children find in their environment."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"

    def bucket(self) -> str:
        """Make a bucket; return its URL."""
        name = f"b{uuid.uuid4().hex}"
        with urlopen(Request(f"{self.endpoint}/{name}", method="PUT")):
            return f"s3://{name}"

    def put(self, url: str, name: str, data: bytes) -> None:
        """Write an object under a prefix."""
        store = from_url(url.replace(" ", "%20"), client_options={"allow_http": True})
        obstore.put(store, name, data)

    def holding(self, directory: Path, prefix: str = "agents/my sessions") -> str:
        """Make a bucket that has a directory's files under a prefix; return the prefix' URL."""
        url = f"{self.bucket()}/{prefix}"
        for path in directory.iterdir():
            self.put(url, path.name, path.read_bytes())
        return url


@contextmanager
def serving() -> Iterator[Served]:
    """Start a server, and name it in the environment; end it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        served = Served(server.get_host_and_port()[1])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", served.endpoint)
            patch.setenv("AWS_ALLOW_HTTP", "true")
            patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
            yield served
    finally:
        server.stop()
