"""The page's files: served as they are in the package, and nothing in them that a strict browser refuses."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import httpx
import pytest

from sessiontail import SessionStore
from sessiontail.service import create_app
from sessiontail.service.guard.security import HEADERS
from sessiontail.service.static_files import STATIC

pytestmark = pytest.mark.anyio

HERE = resources.files("sessiontail.service").joinpath("static")
NAMES = sorted(one.name for one in HERE.iterdir())
TEXTS = {name: HERE.joinpath(name).read_text("utf-8") for name in NAMES}
PAGES = [name for name in NAMES if name.endswith(".html")]
MODULES = [name for name in NAMES if name.endswith(".js")]
#: What makes markup or a program of a text, or is no style sheet of ours.
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|setHTML|parseFromString|createContextualFragment|srcdoc"
    r"|document\.write|\beval\b|\bFunction\(|set(?:Timeout|Interval)\(\s*[\"'`]|style=\"|cssText|javascript:"
)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(SessionStore(tmp_path))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
async def stranger(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(SessionStore(tmp_path), token="a-token-of-some-length")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def test_the_page_is_the_file_with_the_strict_policy(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")

    assert answer.status_code == 200
    assert answer.text == TEXTS["index.html"]
    told = {name: answer.headers[name] for name in (*HEADERS, "content-type")}
    assert told == {
        **HEADERS,
        "cache-control": "no-cache",
        "content-type": "text/html; charset=utf-8",
    }


async def test_every_file_has_its_type_and_is_asked_for_anew_without_being_sent_again(
    client: httpx.AsyncClient,
) -> None:
    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

    for name in STATIC:
        answer = await client.get(f"/static/{name}")
        etag = answer.headers["etag"]
        again = await client.get(f"/static/{name}", headers={"If-None-Match": f'"x", W/{etag}'})

        assert (answer.status_code, answer.text) == (200, TEXTS[name])
        assert answer.headers["content-type"] == f"{types[name.rpartition('.')[2]]}; charset=utf-8"
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    "name",
    ["index.html", "login.html", "pages.py", "..%2fpages.py", "%2e%2e/pages.py", "", "STYLE.CSS", "a%00b"],
)  # fmt: skip
async def test_nothing_is_served_that_is_not_in_the_table(
    client: httpx.AsyncClient, name: str
) -> None:
    answer = await client.get(f"/static/{name}")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_who_does_not_know_the_token_is_asked_for_it(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/", headers={"Accept": "text/html"})
    wrong = await stranger.get("/?token=wrong", headers={"Accept": "text/html"})
    files = {name: (await stranger.get(f"/static/{name}")).status_code for name in STATIC}

    assert (answer.status_code, answer.text) == (401, TEXTS["login.html"])
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"
    shown = TEXTS["login.html"].replace(' role="alert" hidden', ' role="alert"')
    assert (wrong.status_code, wrong.text) == (401, shown)
    assert shown != TEXTS["login.html"]
    assert {name for name, status in files.items() if status == 200} == {
        "icon.svg",
        "login.css",
        "login.js",
    }


def test_all_files_of_the_package_are_served_and_no_others() -> None:
    assert {*STATIC, *PAGES} == {*NAMES}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_its_job_and_imports_what_is_there(name: str) -> None:
    text = TEXTS[name]
    imported = re.findall(r"^(?:import|export)\s[^;]*?\sfrom\s+\"([^\"]+)\";$", text, re.MULTILINE)
    names = re.findall(r"^import \{([^}]*)\} from \"\./([^\"]+)\";$", text, re.MULTILINE)

    assert re.match(r"// \S.{10,130}\.\n", text)
    assert len(text.splitlines()) <= 320
    assert max(map(len, text.splitlines())) <= 110
    assert [one for one in imported if one.removeprefix("./") not in MODULES] == []
    assert text.count("\nimport ") == len(names) == len(imported)
    for listed, other in names:
        for one in listed.split(","):
            exported = rf"^export (?:async )?(?:function\*?|const|class) {one.strip()}\b"
            assert re.search(exported, TEXTS[other], re.MULTILINE), (one, other)
            assert len(re.findall(rf"\b{one.strip()}\b", text)) > 1, f"{one} is not used"


@pytest.mark.parametrize("name", NAMES)
def test_no_file_makes_markup_or_a_program_of_a_text(name: str) -> None:
    assert SINKS.findall(TEXTS[name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_file_needs_another_host_or_the_root_of_this_one(name: str) -> None:
    places = re.findall(
        r"(?:https?:)?//[a-z0-9.]+\.[a-z]+/|[\"'(]/(?:api|static|login)", TEXTS[name]
    )

    assert [one for one in places if "www.w3.org" not in one] == []


class Elements(HTMLParser):
    """Collects the elements of a page, with their attributes, and what stands inside of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag in {"script", "style"} and data.strip():
            self.inside.append(data)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_script_and_no_style_inside_and_names_files_that_are_there(name: str) -> None:
    elements = Elements(TEXTS[name])
    named = [
        value
        for tag, attributes in elements.found
        for value in (attributes.get("src"), attributes.get("href") if tag == "link" else None)
        if value is not None
    ]

    assert elements.inside == []
    assert {tag for tag, _ in elements.found}.isdisjoint({"style", "iframe", "object", "base"})
    for _, attributes in elements.found:
        assert not [one for one in attributes if one.startswith("on") or one == "style"]
    assert {one.removeprefix("static/") for one in named} <= {*STATIC}
    assert all(one.startswith("static/") for one in named)


@pytest.mark.parametrize("name", PAGES)
def test_every_id_of_a_page_is_one_and_every_label_has_its_field(name: str) -> None:
    elements = Elements(TEXTS[name]).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    meant = [a[one] for _, a in elements for one in ("for", "aria-labelledby") if a.get(one)]

    assert len(ids) == len({*ids})
    assert {*meant} <= {*ids}


def test_all_modules_are_asked_for_at_once_and_not_one_after_the_other() -> None:
    elements = Elements(TEXTS["index.html"]).found
    asked = [str(a["href"]) for _, a in elements if a.get("rel") == "modulepreload"]

    # First what the first questions need, so that they are asked while the others are on their way.
    first = [f"static/{name}" for name in ("api.js", "json.js", "router.js", "paging.js")]
    others = {"early.js", "login.js", "main.js"}
    assert asked[:4] == first
    assert sorted(asked) == [f"static/{name}" for name in MODULES if name not in others]


def test_what_the_modules_look_for_is_in_the_page() -> None:
    ids = {a["id"] for _, a in Elements(TEXTS["index.html"]).found if "id" in a}
    looked_for = {one for name in MODULES for one in re.findall(r'byId\("([^"]+)"\)', TEXTS[name])}

    assert looked_for <= ids
