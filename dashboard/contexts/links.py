"""Addresses of our pages. A repository's own address is the base of all that belongs to it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from django.urls import reverse

from dashboard.models import Registry


def uploads(registry: Registry) -> str:
    """Unfinished uploads."""
    return reverse("uploads", args=[registry.slug])


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
    return with_query(delete_path(registry, name), tag=tag)


def delete_path(registry: Registry, name: str) -> str:
    """Where plans of deletions in a repository are made; what is chosen stands in the query."""
    return reverse("delete", args=[registry.slug, name])


def deletion(registry: Registry, name: str, pk: object) -> str:
    """How a deletion stands."""
    return reverse("deletion", args=[registry.slug, name, pk])


def checking(registry: Registry, checked: int) -> str:
    """Asks about more repositories than the `checked` ones."""
    return f"{reverse('repositories-checking', args=[registry.slug])}?after={checked}"


def protection(registry: Registry, repository: str) -> str:
    """Rules that protect tags of a repository."""
    return reverse("repository-protection", args=[registry.slug, repository])


def trash(registry: Registry) -> str:
    """What was deleted here and can be brought back."""
    return reverse("trash", args=[registry.slug])


def point(registry: Registry, name: str, tag: str, digest: str) -> str:
    """Pointing a tag ("": one that is named there) at a digest."""
    return with_query(reverse("point", args=[registry.slug, name]), tag=tag, digest=digest)


def storage(registry: Registry) -> str:
    """The storage page."""
    return reverse("storage", args=[registry.slug])


def storage_of(registry: Registry, namespace: str) -> str:
    """The storage page, its map gone into a namespace."""
    return with_query(storage(registry), **{"in": namespace}) + ("#map" if namespace else "")


def storage_repositories(registry: Registry, *, sort: str = "", namespace: str = "") -> str:
    """Every repository on the disk."""
    return with_query(reverse("storage-repositories", args=[registry.slug]), sort=sort, namespace=namespace)


def storage_layers(registry: Registry) -> str:
    """The largest blobs on the disk."""
    return reverse("storage-layers", args=[registry.slug])


def storage_problems(registry: Registry) -> str:
    """What the last scan found malformed."""
    return reverse("storage-problems", args=[registry.slug])


def cancel_job(registry: Registry, job: object) -> str:
    """Where the end of a job is asked for."""
    return reverse("cancel-job", args=[registry.slug, job])


def repository_storage(registry: Registry, name: str) -> str:
    """What one repository takes on the disk."""
    return reverse("repository-storage", args=[registry.slug, name])


def untagged(registry: Registry, name: str, older: int = 0) -> str:
    """The untagged images of a repository; of them those at rest for so many days."""
    return with_query(reverse("untagged", args=[registry.slug, name]), older=older or "")


def registry_untagged(registry: Registry, older: int = 0) -> str:
    """The untagged images of a registry; of them those at rest for so many days."""
    return with_query(reverse("registry-untagged", args=[registry.slug]), older=older or "")


def collection(registry: Registry) -> str:
    """What a garbage collection would do, and running one."""
    return reverse("collection", args=[registry.slug])


def activity(registry: Registry, name: str = "") -> str:
    """What happened on the registry, or in one repository."""
    if name:
        return reverse("repository-activity", args=[registry.slug, name])
    return reverse("activity", args=[registry.slug])


def status(registry: Registry) -> str:
    """The status page."""
    return reverse("status", args=[registry.slug])


def with_query(path: str, **parameters: object) -> str:
    """`path` with those parameters that are not empty, besides those that it has."""
    query = urlencode({key: value for key, value in parameters.items() if value not in (None, "", False)})
    return f"{path}{'&' if '?' in path else '?'}{query}" if query else path


def with_list(path: str, **parameters: Iterable[str]) -> str:
    """`path` with parameters that are given several times."""
    return f"{path}?{urlencode(parameters, doseq=True)}"
