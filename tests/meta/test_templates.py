"""Templates: nothing inline that the policy forbids, and no word for people that cannot be translated."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Engine
from django.template.base import Lexer, TokenType

ROOT = settings.BASE_DIR / "templates"
TEMPLATES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.html"))

SPOKEN = {"title", "alt", "aria-label", "placeholder", "data-say", "label", "aria-description"}
"""Attributes that people read or hear."""
UNTRANSLATED = {"Strata", "team/app"}
"""A name, and an example of one."""
CLASS_BLOCK = "block main_class"
"""A block of base.html that holds a class."""
NOT_WORDS = {"code", "pre", "script"}
"""Elements that hold what a machine reads, the same in every language."""
WITHOUT_DJANGO = {"500.html"}
"""Rendered when nothing else works: plain English, no tags of ours."""


def source(name: str) -> str:
    return Path(ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_compiles(name: str) -> None:
    assert Engine.get_default().get_template(name).nodelist


FORBIDDEN = {
    "an inline style": r"<style|\sstyle\s*=",
    "an inline script": r"<script(?![^>]*\ssrc=)",
    "an event attribute": r"[\s\"']on[a-z]+\s*=",
    "script in htmx": r"hx-on|js:|javascript:|hx-vals=[\"']?js|hx-trigger=\"[^\"]*\[",
    "something from another host": r"(?:src|href|action)=[\"']?(?:https?:)?//",
    "text taken for markup": r"\|\s*safe\b|autoescape off",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_inline(name: str) -> None:
    found = [what for what, pattern in FORBIDDEN.items() if re.search(pattern, source(name), re.IGNORECASE)]
    assert not found


@pytest.mark.parametrize(
    ("what", "html"),
    [
        ("an inline style", '<p style="color:red">'), ("an inline script", "<script>1</script>"),
        ("an event attribute", '<p onclick="x()">'), ("script in htmx", '<p hx-on:click="x()">'),
        ("script in htmx", '<p hx-trigger="keyup[key==1]">'),
        ("something from another host", '<img src="//cdn.test/x">'),
        ("text taken for markup", "{{ name|safe }}"),
    ],
)  # fmt: skip
def test_the_patterns_find_what_they_forbid(what: str, html: str) -> None:
    assert re.search(FORBIDDEN[what], html)
    assert not re.search(
        FORBIDDEN[what], '<a href="/x" class="onion stylish" hx-trigger="load delay:1s">{{ name }}</a>'
    )


class _Words(HTMLParser):
    """Collects the words that people would read or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps spoken attributes, and whether what follows is for machines."""
        self.found += [value for name, value in attrs if name in SPOKEN and value]
        if tag in NOT_WORDS:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Ends what is for machines."""
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        """Keeps text."""
        if not self._inside:
            self.found.append(data)


def bare_words(text: str) -> list[str]:
    """Words in a template's text that no translation reaches."""
    left, skipping = [], False
    for token in Lexer(text).tokenize():
        command = token.contents if token.token_type is TokenType.BLOCK else ""
        if command.startswith(("blocktranslate", CLASS_BLOCK)):
            skipping = True
        elif command.startswith(("endblocktranslate", "endblock")):
            skipping = False
        elif token.token_type is TokenType.TEXT and not skipping:
            left.append(token.contents)
    parser = _Words()
    parser.feed("".join(left))
    parser.close()
    texts = [text for piece in parser.found for text in re.split(r"\s*·\s*", piece.strip())]
    return [text for text in texts if re.search(r"[^\W\d_]{2,}", text) and text not in UNTRANSLATED]


@pytest.mark.parametrize("name", sorted(set(TEMPLATES) - WITHOUT_DJANGO))
def test_every_word_for_people_goes_through_translation(name: str) -> None:
    assert bare_words(source(name)) == []


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>Delete</p>", ["Delete"]),
        ('<p title="Delete">{{ tag }}</p>', ["Delete"]),
        ('{% if a %}<p>{% translate "Delete" %}</p>{% else %}gone{% endif %}', ["gone"]),
        ("{% blocktranslate %}Delete {{ tag }}{% endblocktranslate %} now", ["now"]),
        ('<title>{% translate "Status" %} · Strata</title><code>docker pull</code>', []),
        ('<input placeholder="{% translate "Filter" %}" value="x">', []),
    ],
)
def test_bare_words_are_found(html: str, found: list[str]) -> None:
    assert bare_words(html) == found
