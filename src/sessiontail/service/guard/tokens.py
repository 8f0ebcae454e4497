"""a token -> whether a request knows it, and the cookie that stands for it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from sessiontail.service.guard.attempts import Attempts

__all__ = ["COOKIE", "Token"]

#: The cookie's name.
COOKIE = "sessiontail"


class Token:
    """What every client must know.

    Args:
        text: the token.

    Raises:
        ValueError: it is empty, or has spaces or signs that no header carries.
    """

    def __init__(self, text: str) -> None:
        if not text or not text.isprintable() or " " in text:
            raise ValueError("a token is a word without spaces, and not empty")
        #: Those who were wrong.
        self.attempts = Attempts()
        self._token = text.encode()
        # From the token, so that it outlives a restart; not the token, so that who finds it in a
        # browser's files does not know what else that opens.
        derived = hmac.new(self._token, b"sessiontail: cookie", hashlib.sha256).hexdigest()
        self._cookie = derived.encode()

    def __repr__(self) -> str:
        return "<Token>"

    def matches(self, text: str) -> bool:
        """Say whether a text is the token, in constant time."""
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self._token)

    def known_by(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Say whether a request's headers have the token, or its cookie."""
        for name, value in headers:
            if name == b"authorization":
                scheme, _, given = value.partition(b" ")
                if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token):
                    return True
            elif name == b"cookie":
                for pair in value.split(b";"):
                    key, _, given = pair.strip().partition(b"=")
                    if key == COOKIE.encode() and hmac.compare_digest(given, self._cookie):
                        return True
        return False

    def cookie(self, root: str, *, secure: bool) -> str:
        """Return a Set-Cookie header.

        Args:
            root: the path under which the application is mounted, without a slash at its end.
            secure: it came by https, so the cookie goes that way only.
        """
        # A path has no semicolon and no sign that would end the header.
        path = root if root.isascii() and root.isprintable() and ";" not in root else ""
        said = f"{COOKIE}={self._cookie.decode()}; HttpOnly; SameSite=Strict; Path={path or ''}/"
        return f"{said}; Secure" if secure else said
