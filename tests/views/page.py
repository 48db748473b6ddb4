"""A page as a test reads it: fetched, parsed, and held against what is true of every page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

from django.test import Client
from selectolax.lexbor import LexborHTMLParser, LexborNode


class Response(Protocol):
    """What a test client's response has."""

    status_code: int
    content: bytes
    headers: Any


@dataclass(frozen=True)
class Page:
    """An answer with its parsed HTML. All texts have their white space collapsed."""

    status: int
    html: str
    headers: Any
    tree: LexborHTMLParser

    def text(self, selector: str = "body") -> str:
        """The text of the first element that the selector finds; fails if there is none."""
        return words(self.node(selector))

    def texts(self, selector: str) -> list[str]:
        """The text of each element that the selector finds."""
        return [words(node) for node in self.tree.css(selector)]

    def node(self, selector: str) -> LexborNode:
        """The first element that the selector finds; fails if there is none."""
        found = self.tree.css_first(selector)
        assert found is not None, f"nothing matches {selector!r} in:\n{self.html[:4000]}"
        return found

    def has(self, selector: str) -> bool:
        """Whether the selector finds anything."""
        return self.tree.css_first(selector) is not None

    def attributes(self, selector: str, name: str) -> list[str]:
        """An attribute of each element that the selector finds, empty where it is absent."""
        return [str(node.attributes.get(name) or "") for node in self.tree.css(selector)]

    def links(self, selector: str = "a") -> dict[str, str]:
        """Text → address of each link found."""
        return {words(node): str(node.attributes.get("href") or "") for node in self.tree.css(selector)}

    def row(self, head: str) -> LexborNode:
        """The table row whose head (its `th`) begins with this text; fails if there is none."""
        for row in self.tree.css("tr"):
            cell = row.css_first("th[scope=row]")
            if cell is not None and words(cell).startswith(head):
                return row
        raise AssertionError(f"no row {head!r} among {self.texts('th[scope=row]')}")

    @property
    def title(self) -> str:
        """The document's title."""
        return self.text("title")


def part(node: LexborNode, selector: str) -> LexborNode:
    """The first element in `node` that the selector finds; fails if there is none."""
    found = node.css_first(selector)
    assert found is not None, f"nothing matches {selector!r} in:\n{node.html}"
    return found


def words(node: LexborNode | None) -> str:
    """An element's text, white space collapsed."""
    assert node is not None
    return " ".join(node.text(separator=" ").replace("\N{NO-BREAK SPACE}", " ").split())


def look(client: Client, address: str, status: int = 200, **headers: str) -> Page:
    """GET `address`; the answer must have this status and hold what every page must. `headers`: HX_Request="true"."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return page_of(client.get(address, headers=named), status)


def send(client: Client, address: str, status: int = 302, **fields: str) -> Page:
    """POST a form; what look() says of the answer holds here too."""
    return page_of(client.post(address, fields), status)


def page_of(response: Response, status: int) -> Page:
    """The page in an answer, held against what is true of every page."""
    html = response.content.decode()
    assert response.status_code == status, (
        f"{response.status_code} {response.headers.get('Location', '')}: {html[:3000]}"
    )
    page = Page(response.status_code, html, response.headers, LexborHTMLParser(html))
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert not page.tree.css("style, [style]"), "an inline style"
    assert all(
        script.attributes.get("src") or script.attributes.get("type") == "application/json"
        for script in page.tree.css("script")
    ), "an inline script"
    handlers = [name for node in page.tree.css("*") for name in node.attributes if re.match(r"on|hx-on", name)]
    assert not handlers, f"inline event handlers: {handlers}"
    addresses = [
        node.attributes.get(name) or ""
        for name in ("href", "src", "action", "formaction")
        for node in page.tree.css(f"[{name}]")
    ]
    assert not [a for a in addresses if re.match(r"\s*(javascript|data|vbscript):|//|https?:", a, re.IGNORECASE)], (
        addresses
    )
    return page
