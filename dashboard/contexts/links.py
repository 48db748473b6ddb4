"""Addresses of our pages. A repository's own address is the base of all that belongs to it."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse

from dashboard.models import Registry


def repositories(registry: Registry) -> str:
    """The list of repositories."""
    return reverse("repositories", args=[registry.slug])


def repository(registry: Registry, name: str) -> str:
    """The tags of a repository."""
    return reverse("tags", args=[registry.slug, name])


def tag(registry: Registry, name: str, tag: str) -> str:
    """The image that a tag names."""
    return reverse("tag", args=[registry.slug, name, tag])


def manifest(registry: Registry, name: str, digest: str) -> str:
    """A manifest by digest."""
    return reverse("manifest", args=[registry.slug, name, digest])


def blob(registry: Registry, name: str, digest: str) -> str:
    """A layer or config."""
    return reverse("blob", args=[registry.slug, name, digest])


def delete(registry: Registry, name: str, tag: str) -> str:
    """The plan of deleting a tag."""
    return with_query(reverse("delete", args=[registry.slug, name]), tag=tag)


def storage(registry: Registry) -> str:
    """The storage page."""
    return reverse("storage", args=[registry.slug])


def activity(registry: Registry, name: str = "") -> str:
    """What happened on the registry, or in one repository."""
    if name:
        return reverse("repository-activity", args=[registry.slug, name])
    return reverse("activity", args=[registry.slug])


def status(registry: Registry) -> str:
    """The status page."""
    return reverse("status", args=[registry.slug])


def with_query(path: str, **parameters: object) -> str:
    """`path` with those parameters that are not empty."""
    query = urlencode({key: value for key, value in parameters.items() if value not in (None, "", False)})
    return f"{path}?{query}" if query else path
