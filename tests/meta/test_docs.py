"""The documentation names every variable, check, command and address that there is, and no other variable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.urls import URLResolver, get_resolver

from registryui import env

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
VARIABLES = frozenset(env.VARIABLES)
OTHERS = {"PORT", "WEB_CONCURRENCY"}
"""Read by make and gunicorn, not by the settings."""


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_every_variable_is_documented(name: str) -> None:
    assert f"`{name}`" in CONFIGURATION


def test_no_other_variable_is_documented() -> None:
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|", CONFIGURATION, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert named - OTHERS == VARIABLES


def test_every_check_is_documented() -> None:
    checks = (ROOT / "dashboard" / "checks.py").read_text(encoding="utf-8")
    ids = set(re.findall(r'id="(dashboard\.[EW]\d{3})"', checks))
    assert ids == set(re.findall(r"`(dashboard\.[EW]\d{3})`", CONFIGURATION))


def test_every_command_is_documented() -> None:
    commands = {path.stem for path in (ROOT / "dashboard" / "management" / "commands").glob("[a-z]*.py")}
    documented = {re.split(r"[ `]", row)[0] for row in re.findall(r"^\| `([a-z_]+[^|]*)", CONFIGURATION, re.MULTILINE)}
    assert commands <= documented


def test_every_address_is_documented() -> None:
    table = CONFIGURATION.split("## Addresses")[1]
    ours = get_resolver().url_patterns[-1]
    assert isinstance(ours, URLResolver)
    for pattern in ours.url_patterns:
        address = "/" + re.sub(r"<\w+:(\w+)>", r"<\1>", str(pattern.pattern))
        tail = "…/" + address.split("/-/", 1)[1].join(("-/", "")) if "/-/" in address else address
        shown = {address, address + "?tag=…", tail, tail + "?tag=…"}
        assert any(f"`{text}`" in table for text in shown), address


PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", PAGES)
def test_links_between_documents_lead_somewhere(page: str) -> None:
    file = ROOT / page
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), target
