"""Who knows the token is let in, by itself or by the cookie that stands for it."""

from __future__ import annotations

import pytest

from sessiontail.service.guard.tokens import COOKIE, Token

TOKEN = Token("s3cret-ü")
VALUE = TOKEN.cookie("", secure=False).partition(";")[0].partition("=")[2]


def test_the_token_is_a_word() -> None:
    for text in ("", " ", "a b", "a\n", "a\x7f"):
        with pytest.raises(ValueError, match="a token is a word"):
            Token(text)


def test_the_token_itself_is_nowhere_to_be_read() -> None:
    assert repr(TOKEN) == "<Token>"
    assert "s3cret" not in TOKEN.cookie("", secure=False)


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("authorization", "Bearer s3cret-ü", True),
        ("authorization", "bearer  s3cret-ü ", True),
        ("authorization", "Bearer s3cret", False),
        ("authorization", "Bearer", False),
        ("authorization", "Basic s3cret-ü", False),
        ("authorization", "s3cret-ü", False),
        ("x-authorization", "Bearer s3cret-ü", False),
        ("cookie", f"{COOKIE}={VALUE}", True),
        ("cookie", f"a=b; {COOKIE}=old; {COOKIE}={VALUE}", True),
        ("cookie", f"a{COOKIE}={VALUE}", False),
        ("cookie", f"{COOKIE}={VALUE[:-1]}", False),
        ("cookie", f"{COOKIE}=s3cret-ü", False),
        ("cookie", f'{COOKIE}="{VALUE}"', False),
        ("cookie", f"{COOKIE}=", False),
    ],
)
def test_a_request_knows_it_or_does_not(name: str, value: str, *, known: bool) -> None:
    assert TOKEN.known_by([(name.encode(), value.encode())]) is known


def test_a_text_is_it_or_is_not() -> None:
    assert TOKEN.matches("s3cret-ü")
    assert not TOKEN.matches("s3cret-u")
    assert not TOKEN.matches("\udcff")
    assert not TOKEN.matches("")


def test_another_token_has_another_cookie() -> None:
    assert Token("other").cookie("", secure=False) != TOKEN.cookie("", secure=False)
    assert Token("s3cret-ü").cookie("", secure=False) == TOKEN.cookie("", secure=False)


def test_a_cookie_goes_where_the_application_is_and_nowhere_else() -> None:
    assert TOKEN.cookie("", secure=False) == (
        f"{COOKIE}={VALUE}; HttpOnly; SameSite=Strict; Path=/"
    )
    assert TOKEN.cookie("/agents", secure=True) == (
        f"{COOKIE}={VALUE}; HttpOnly; SameSite=Strict; Path=/agents/; Secure"
    )
    assert TOKEN.cookie("/a; Domain=evil", secure=False).endswith("; Path=/")
