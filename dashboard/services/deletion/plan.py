"""The plan: what deleting one tag would do, found by the server before any button, kept as a row for an hour."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from django.utils import timezone

from dashboard.models import Deletion, DeletionPlan
from dashboard.registry.client import Capabilities
from dashboard.registry.errors import ManifestUnknown, RegistryError
from dashboard.registry.manifests import Kind, Manifest, parse_manifest
from dashboard.registry.media_types import INDEX_TYPES, MANIFEST_TYPES
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services import contents, parallel
from dashboard.services.access import Access
from dashboard.services.quick_writes import write_within

from .survey import Survey, survey

LIFETIME = dt.timedelta(hours=1)
WRITE_WAIT_MS = 2000
COUNTED_WHOLE = 50
"""In repositories of at most so many tags every manifest is read, so that shared layers are not promised as freed."""


class DatabaseBusy(Exception):
    """The plan could not be written in time; nothing was done."""


@dataclass(frozen=True, slots=True)
class Item:
    """A manifest that goes along with the index that lists it. `label`: its platform, or "attestation"."""

    digest: str
    media_type: str
    label: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What was seen, and what would go. Kept as JSON in the plan; sizes in bytes.

    `aliases` and `parents` keep the digest: then only the name can go. `unread` are tags and indexes that could not be
    read, so that nobody can say what they need. `missing` is what the registry would want before it took the manifest
    back. `frees` is what a collection after *remove* frees at most; `total` all that the tag reaches.
    """

    digest: str
    media_type: str
    kind: str
    ability: str
    aliases: list[str]
    parents: list[dict[str, Any]]
    unread: list[str]
    children: list[dict[str, str]]
    kept_children: list[dict[str, str]]
    attached: list[str]
    missing: list[str]
    total: int
    frees: int

    @property
    def can_remove(self) -> bool:
        """Whether the digest may go with its tag: nothing else needs it, and everything was read."""
        return not self.aliases and not self.parents and not self.unread

    @property
    def methods(self) -> list[str]:
        """What is offered, the default first."""
        if self.can_remove:
            return [Deletion.Method.REMOVE, Deletion.Method.UNTAG]
        return [Deletion.Method.UNTAG]

    @property
    def is_restorable(self) -> bool:
        """Whether the registry would take the manifest back now."""
        return not self.missing


def effect_of(access: Access, repository: RepositoryName, tag: str, capabilities: Capabilities) -> Effect:
    """What deleting `tag` would do. Raises ManifestUnknown if it does not exist, RegistryError if it cannot be read."""
    session = access.session
    head = session.head_manifest(repository, tag)
    seen = survey(session, access.registry, repository)
    raw = contents.manifests(session, repository, [head.digest], proven=frozenset([head.digest]))[head.digest]
    if isinstance(raw, RegistryError):
        raise raw
    root = parse_manifest(raw.raw, raw.media_type, head.digest)
    going, kept, missing = _children(access, repository, root, seen, tag)
    missing += _missing_content(access, repository, [root, *going.values()])
    if root.media_type not in INDEX_TYPES | MANIFEST_TYPES:
        missing.append(root.media_type or "?")
    blobs = {d.digest: d.size for m in (root, *going.values()) for d in m.content() if not d.is_foreign}
    documents = root.size + sum(m.size for m in going.values())
    stays = _needed_blobs(access, repository, seen, leaving={head.digest, *going}) & set(blobs)
    labels = {c.digest: _label(c.platform, c.is_attestation) for c in root.children}
    return Effect(
        digest=head.digest,
        media_type=root.media_type,
        kind=root.kind,
        ability=capabilities.deletion,
        aliases=seen.aliases(tag, head.digest),
        parents=[{"digest": d, "tags": seen.tags_reaching(d)} for d in seen.parents(head.digest)],
        unread=[*seen.unread, *seen.unread_indexes],
        children=[asdict(Item(d, m.media_type, labels.get(d, ""))) for d, m in going.items()],
        kept_children=[asdict(Item(d, "", labels.get(d, ""))) for d in kept],
        attached=[name for name in seen.tags if name.startswith(head.digest.replace(":", "-")) and name != tag],
        missing=sorted(set(missing)),
        total=sum(blobs.values()) + documents,
        frees=sum(size for digest, size in blobs.items() if digest not in stays) + documents,
    )


def make(access: Access, repository: RepositoryName, tag: str, capabilities: Capabilities) -> DeletionPlan:
    """Makes and keeps the plan. Raises RegistryError, or DatabaseBusy if it cannot be written within 2 s."""
    effect = effect_of(access, repository, tag, capabilities)
    now = timezone.now()
    plan = DeletionPlan(
        registry=access.registry,
        repository=repository,
        tag=tag,
        digest=effect.digest,
        user=access.user,
        created_at=now,
        expires_at=now + LIFETIME,
        effect=asdict(effect),
    )
    plan.fingerprint = fingerprint(plan)
    if not write_within(WRITE_WAIT_MS, lambda: plan.save(force_insert=True)):
        raise DatabaseBusy
    return plan


def fingerprint(plan: DeletionPlan) -> str:
    """The hash over everything that was shown; the form carries it back."""
    shown = [str(plan.pk), plan.registry_id, plan.repository, plan.tag, plan.digest, plan.user_id, plan.effect]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def effect_in(plan: DeletionPlan) -> Effect:
    """The effect that the plan's row keeps."""
    return Effect(**plan.effect)


def _children(
    access: Access, repository: RepositoryName, root: Manifest, seen: Survey, tag: str
) -> tuple[dict[Digest, Manifest], list[Digest], list[str]]:
    """The index's children that nothing else needs, those that something does, and labels of those that are missing."""
    if root.kind is not Kind.INDEX:
        return {}, [], []
    answers = contents.manifests(access.session, repository, [c.digest for c in root.children])
    going: dict[Digest, Manifest] = {}
    kept: list[Digest] = []
    missing: list[str] = []
    for child in root.children:
        answer = answers[child.digest]
        if isinstance(answer, ManifestUnknown):
            missing.append(_label(child.platform, child.is_attestation))
        elif isinstance(answer, RegistryError):
            raise answer
        elif seen.needed_elsewhere(child.digest, tag="", going=[root.digest]):
            kept.append(child.digest)
        else:
            going[child.digest] = parse_manifest(answer.raw, answer.media_type, child.digest)
    return going, kept, missing


def _missing_content(access: Access, repository: RepositoryName, manifests: list[Manifest]) -> list[str]:
    """Configs and layers that the repository does not hold (short digests): the manifest could not be put back."""
    digests = [d.digest for m in manifests for d in m.content() if not d.is_foreign]
    held = parallel.each(digests, lambda digest: access.session.has_blob(repository, digest))
    return [digest for digest, count in held.items() if count is None or isinstance(count, RegistryError)]


def _needed_blobs(access: Access, repository: RepositoryName, seen: Survey, leaving: set[Digest]) -> set[Digest]:
    """Configs and layers that the repository's other tags reach; empty for large repositories ("at most")."""
    if len(seen.tags) > COUNTED_WHOLE:
        return set()
    roots = {d for d in seen.tags.values() if d not in leaving}
    children = {c.digest for d in roots if d in seen.indexes for c in seen.indexes[d].children}
    answers = contents.manifests(access.session, repository, [*roots, *(children - leaving)], proven=frozenset(roots))
    return {
        d.digest
        for digest, answer in answers.items()
        if not isinstance(answer, RegistryError)
        for d in parse_manifest(answer.raw, answer.media_type, digest).content()
    }


def _label(platform: object, attestation: bool) -> str:
    return "attestation" if attestation else str(platform or "?")
