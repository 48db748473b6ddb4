"""What the tests of the image page share: where it is, and what it tells."""

from __future__ import annotations

from dashboard.registry.references import parse_repository

from .page import Page, words

APP = "/registries/default/team/app/"
TAG = f"{APP}-/tags/1.0/"
NAME = parse_repository("team/app")


def manifest_url(digest: str) -> str:
    """The page of a manifest of team/app, by its digest."""
    return f"{APP}-/manifests/{digest}/"


def facts(page: Page) -> dict[str, str]:
    """The configuration and labels, as they are read."""
    return {words(div.css_first("dt")): words(div.css_first("dd")) for div in page.tree.css("dl.facts > div")}


def lading(page: Page) -> dict[str, str]:
    """The summary at the top, as it is read."""
    return {words(div.css_first("dt")): words(div.css_first("dd")) for div in page.tree.css("dl.lading > div")}
