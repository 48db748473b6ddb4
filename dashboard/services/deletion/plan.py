"""The plan: what a deletion would do, found by the server before any button, kept as a row for an hour.

One function for every kind: some tags, what a rule means, untagged revisions, a whole repository.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.http import QueryDict
from django.utils import timezone

from dashboard.models import DeletionPlan, IndexedRevision, IndexedTag, Registry
from dashboard.registry.client import Capabilities, RawManifest
from dashboard.registry.client import Deletion as Ability
from dashboard.registry.errors import ManifestUnknown, RegistryError
from dashboard.registry.manifests import Kind, Manifest, parse_manifest
from dashboard.registry.media_types import INDEX_TYPES, MANIFEST_TYPES
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services import contents, parallel, protection
from dashboard.services.access import Access
from dashboard.services.index.documents import chunks
from dashboard.services.index.update import reads_storage, state_of
from dashboard.services.quick_writes import write_within
from dashboard.storage.errors import StorageError

from . import referrers, throwaway, unreached
from .choice import Choice, chosen_tags, seen_digest, untagged_digests
from .effect import Child, Effect, Item, from_json
from .survey import Disk, Survey, disk_of, listed_tags, survey
from .weigh import Weight, attributed, reach, weigh

LIFETIME = dt.timedelta(hours=1)
WRITE_WAIT_MS = 2000
MOVED, VANISHED, UNREADABLE, TAGGED, LISTED = "moved", "vanished", "unreadable", "tagged", "listed"
PROTECTED = "protected"


class DatabaseBusy(Exception):
    """The plan could not be written in time; nothing was done."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """Items whose manifests could be read, what of them goes with its children, and items that are refused."""

    items: Sequence[Item]
    removed: Mapping[Digest, Manifest]
    manifests: Mapping[Digest, Manifest]
    refused: Sequence[Item]


def effect_of(access: Access, repository: RepositoryName, choice: Choice, capabilities: Capabilities) -> Effect:
    """What the deletion would do. Raises RegistryError if the repository cannot be read, TooMany."""
    registry = access.registry
    disk = disk_of(registry, repository) if reads_storage(registry, state_of(registry)) else None
    seen = _look(access, repository, disk)
    chosen, refused = _chosen(access, repository, choice, seen, disk)
    proven = _proven(seen, disk)
    draft = _draft(access, repository, seen, chosen, proven)
    if choice.untagged:  # what the history remembers and is gone by now, nobody chose
        draft = replace(draft, refused=[item for item in draft.refused if item.refused != VANISHED])
    found = referrers.of(registry, repository, seen, draft.removed)
    if choice.takes_referrers and found:
        along = {Digest(each.digest): list(each.tags) for each in found}
        draft = _draft(access, repository, seen, {**along, **chosen}, proven)
    items = _with_missing(access, repository, draft, disk)
    state = state_of(registry)
    leaving = [tag for item in items for tag in item.tags]
    going = draft.removed
    weight = weigh(registry=registry, state=state, repository=repository, seen=seen, going=going, leaving=leaving)
    items = _weighed(registry, repository, items, going, weight)
    if leaving and (alone := _untagged_alone(items, going)):
        weight_alone = weigh(registry=registry, state=state, repository=repository, seen=seen, going=alone, leaving=())
        items = _weighed_alone(items, alone, weight_alone)
    else:
        items = [replace(item, frees_alone=item.frees) for item in items]
    by_throwaway = capabilities.deletion == Ability.BY_DIGEST
    names_alone = [item for item in items if not item.refused and item.digest not in draft.removed]
    return Effect(
        ability=capabilities.deletion,
        items=[*items, *draft.refused, *refused],
        unread=[*seen.unread, *seen.unread_indexes],
        referrers=found,
        takes_referrers=choice.takes_referrers,
        total=sum(weight.reached.values()),
        frees=sum(item.frees for item in items),
        leaves=sum(throwaway.left_behind(i.media_type) * len(i.tags) for i in names_alone) if by_throwaway else 0,
        needed_by=weight.needed_by,
        exact=weight.exact,
        whole=choice.whole,
    )


def make(
    access: Access, repository: RepositoryName, choice: Choice, query: str, capabilities: Capabilities
) -> DeletionPlan:
    """Makes and keeps the plan. `query` is the choice as the address has it.

    Raises RegistryError, TooMany, or DatabaseBusy if it cannot be written within 2 s.
    """
    effect = effect_of(access, repository, choice, capabilities)
    now = timezone.now()
    plan = DeletionPlan(
        registry=access.registry,
        repository=repository,
        user=access.user,
        created_at=now,
        expires_at=now + LIFETIME,
        choice=query,
        effect=effect.as_json(),
    )
    plan.fingerprint = fingerprint(plan)
    if not write_within(WRITE_WAIT_MS, lambda: plan.save(force_insert=True)):
        raise DatabaseBusy
    return plan


def fingerprint(plan: DeletionPlan) -> str:
    """The hash over everything that was shown; the form carries it back."""
    shown = [str(plan.pk), plan.registry_id, plan.repository, plan.user_id, plan.effect]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def effect_in(plan: DeletionPlan) -> Effect:
    """The effect that the plan's row keeps."""
    return from_json(plan.effect)


def is_bulk(plan: DeletionPlan) -> bool:
    """Whether it takes more than one tag or digest by name: several, what a rule means, the whole repository."""
    effect = effect_in(plan)
    named = sum(max(1, len(item.tags)) for item in effect.items)
    return named > 1 or effect.whole or not set(QueryDict(plan.choice)) <= {"tag", "digest", "referrers"}


def _look(access: Access, repository: RepositoryName, disk: Disk | None) -> Survey:
    """From the storage where it is this registry's: thousands of tags in less than a second.

    What is carried out looks again at the registry itself.
    """
    if disk is not None:
        listed_tags(access.session, repository)  # the registry says who may not know of it, and that it answers
        try:
            return disk.survey()
        except StorageError:
            pass
    return survey(access.session, access.registry, repository, disk=disk)


def _chosen(
    access: Access, repository: RepositoryName, choice: Choice, seen: Survey, disk: Disk | None
) -> tuple[dict[Digest, list[str]], list[Item]]:
    """The digests that were chosen, each with its tags that were; and what must be left alone, with the reason."""
    tags: dict[Digest, list[str]] = {}
    refused: list[Item] = []
    before = seen_digest(choice)
    rules = protection.rules_of(access.registry)
    for name in chosen_tags(choice, access, repository, seen):
        now = seen.tags.get(name)
        if rule := protection.rule_for(rules, repository, name):
            refused.append(Item(now or "", [name], refused=PROTECTED, detail={"rule": str(rule)}))
        elif now is None:
            refused.append(Item("", [name], refused=UNREADABLE if name in seen.unread else VANISHED))
        elif not now.partition(":")[2].startswith(before.get(name, "")):
            refused.append(Item(before[name], [name], refused=MOVED, detail={"now": now}))
        else:
            tags.setdefault(now, []).append(name)
    known: list[Digest] = []
    if choice.whole:
        held = IndexedRevision.objects.filter(repository__registry=access.registry, repository__name=repository)
        known = [Digest(text) for text in held.values_list("manifest__digest", flat=True)]
    elif choice.untagged:
        known = unreached.meant(access, repository, choice, seen, disk)
    for digest in untagged_digests(choice, seen, known):
        names = seen.names(digest)
        if not names:
            tags.setdefault(digest, [])
        elif digest not in tags:
            refused.append(Item(digest, refused=TAGGED, detail={"tags": names[:10]}))
    return tags, refused


def _draft(
    access: Access,
    repository: RepositoryName,
    seen: Survey,
    chosen: Mapping[Digest, Sequence[str]],
    proven: frozenset[Digest],
) -> _Draft:
    read = contents.manifests(access.session, repository, chosen, proven=proven)
    refused: list[Item] = []
    manifests: dict[Digest, Manifest] = {}
    for digest, raw in read.items():
        if isinstance(raw, RawManifest):
            manifests[digest] = parse_manifest(raw.raw, raw.media_type, digest)
        else:
            code = VANISHED if isinstance(raw, ManifestUnknown) else UNREADABLE
            refused.append(Item(digest, chosen[digest], refused=code))
    items = _items(seen, chosen, manifests)
    removable = [item for item in items if not (item.refused or item.aliases or item.parents or not seen.is_whole)]
    removed = {Digest(item.digest): manifests[Digest(item.digest)] for item in removable}
    items, removed = _with_children(access, repository, seen, items, removed, proven)
    return _Draft(items, removed, {**manifests, **removed}, refused)


def _proven(seen: Survey, disk: Disk | None) -> frozenset[Digest]:
    """What the repository has just proved to hold: what its tags name, and its links on this registry's own storage."""
    links = seen.held if disk is not None else None
    return frozenset([*seen.tags.values(), *(links or ())])


def _items(seen: Survey, tags: Mapping[Digest, Sequence[str]], manifests: Mapping[Digest, Manifest]) -> list[Item]:
    """Indexes before what they list, so that nothing is removed while a live index still lists it."""
    going = _goes_whole(seen, tags)
    items = []
    for digest in _parents_first(manifests):
        manifest = manifests[digest]
        names = tags[digest]
        parents = [] if digest not in tags else seen.parents(digest, going=going)
        item = Item(
            digest=digest,
            tags=names,
            media_type=manifest.media_type,
            kind=manifest.kind,
            platforms=[_label(c.platform, c.is_attestation) for c in manifest.children if not c.is_attestation],
            aliases=seen.aliases(names, digest),
            parents=[{"digest": parent, "tags": seen.tags_reaching(parent)[:10]} for parent in parents],
        )
        if not names and parents:
            item = replace(item, refused=LISTED, detail={"tags": seen.tags_reaching(parents[0])[:10]})
        items.append(item)
    return items


def _goes_whole(seen: Survey, tags: Mapping[Digest, Sequence[str]]) -> set[Digest]:
    """Of the chosen digests those of which nothing stays: no other tag, and no index but one that goes whole too."""
    whole = {digest for digest, names in tags.items() if not seen.aliases(names, digest)}
    while True:
        held = {digest for digest in whole if seen.parents(digest, going=whole)}
        if not held:
            return whole
        whole -= held


def _parents_first(manifests: Mapping[Digest, Manifest]) -> list[Digest]:
    order: list[Digest] = []

    def visit(digest: Digest) -> None:
        if digest in placed or digest not in manifests:
            return
        placed.add(digest)
        for parent in above.get(digest, ()):
            visit(parent)
        order.append(digest)

    placed: set[Digest] = set()
    above: dict[Digest, list[Digest]] = {}
    for digest, manifest in manifests.items():
        for child in manifest.children:
            above.setdefault(child.digest, []).append(digest)
    for digest in manifests:
        visit(digest)
    return order


def _with_children(
    access: Access,
    repository: RepositoryName,
    seen: Survey,
    items: list[Item],
    removed: dict[Digest, Manifest],
    proven: frozenset[Digest],
) -> tuple[list[Item], dict[Digest, Manifest]]:
    """The indexes' children that nothing else needs go along; the others are named, and those that are missing.

    What several of these indexes list goes with the last of them: until then one of them needs it.
    """
    going = dict(removed)
    wanted = [c.digest for m in removed.values() if m.kind is Kind.INDEX for c in m.children if c.digest not in going]
    answers = contents.manifests(access.session, repository, wanted, proven=proven)
    whole = set(removed)
    found = []
    for item in reversed(items):
        manifest = removed.get(Digest(item.digest))
        if manifest is None or manifest.kind is not Kind.INDEX:
            found.append(item)
            continue
        along: list[Child] = []
        kept: list[Child] = []
        missing: list[str] = []
        for child in manifest.children:
            label = _label(child.platform, child.is_attestation)
            if child.digest in going:
                continue
            answer = answers[child.digest]
            if isinstance(answer, ManifestUnknown):
                missing.append(label)
            elif isinstance(answer, RegistryError):
                raise answer
            elif seen.needed_elsewhere(child.digest, going=whole):
                kept.append(Child(child.digest, "", label))
            else:
                going[child.digest] = parse_manifest(answer.raw, answer.media_type, child.digest)
                along.append(Child(child.digest, answer.media_type, label))
        found.append(replace(item, children=along, kept_children=kept, missing=missing))
    return found[::-1], going


def _with_missing(access: Access, repository: RepositoryName, draft: _Draft, disk: Disk | None) -> list[Item]:
    """Configs and layers that the repository does not hold: the manifest could not be put back."""
    needed = {
        item.digest: {
            d.digest
            for digest in _with_its_children(item)
            for d in draft.manifests[digest].content()
            if not d.is_foreign
        }
        for item in draft.items
    }
    distinct = {digest for digests in needed.values() for digest in digests}
    if disk is not None:
        gone = {digest for digest in distinct if not disk.has_blob(digest)}
    else:
        held = parallel.each(distinct, lambda digest: access.session.has_blob(repository, digest))
        gone = {digest for digest, size in held.items() if size is None or isinstance(size, RegistryError)}
    found = []
    for item in draft.items:
        missing = {*item.missing, *(needed[item.digest] & gone)}
        if item.media_type not in INDEX_TYPES | MANIFEST_TYPES:
            missing.add(item.media_type or "?")
        found.append(replace(item, missing=sorted(missing)))
    return found


def _weighed(
    registry: Registry,
    repository: RepositoryName,
    items: Sequence[Item],
    removed: Mapping[Digest, Manifest],
    weight: Weight,
) -> list[Item]:
    """With the bytes of each item; of one that stays, those that the index tells."""
    rows = IndexedTag.objects.filter(repository__registry=registry, repository__name=repository)
    names = [item.tags[0] for item in items if item.tags and item.digest not in removed]
    known = {
        name: size or 0
        for part in chunks(names, 500)
        for name, size in rows.filter(name__in=part).values_list("name", "bytes")
    }
    found = []
    for item, (total, frees, blobs) in zip(items, attributed(weight, _reaches(items, removed)), strict=True):
        stays = known.get(item.tags[0], 0) if item.tags and item.digest not in removed else total
        found.append(replace(item, total=stays, frees=frees, blobs=blobs))
    return found


def _untagged_alone(items: Sequence[Item], removed: Mapping[Digest, Manifest]) -> dict[Digest, Manifest]:
    """What of `removed` goes where tags only lose their names: the untagged revisions, and their children."""
    digests = [digest for item in items if not item.tags for digest in _with_its_children(item)]
    return {digest: removed[digest] for digest in digests if digest in removed}


def _weighed_alone(items: Sequence[Item], removed: Mapping[Digest, Manifest], weight: Weight) -> list[Item]:
    """With the bytes that the untagged revisions free where tags only lose their names."""
    freed = [frees for _, frees, _ in attributed(weight, _reaches(items, removed))]
    return [replace(item, frees_alone=frees) for item, frees in zip(items, freed, strict=True)]


def _reaches(items: Sequence[Item], removed: Mapping[Digest, Manifest]) -> list[list[Digest]]:
    """What each item reaches with those manifests of it that are removed."""
    return [
        [each for digest in _with_its_children(item) if digest in removed for each in reach(removed[digest])]
        for item in items
    ]


def _with_its_children(item: Item) -> list[Digest]:
    """Its digest and those of the children that go along with it."""
    return [Digest(item.digest), *(Digest(child.digest) for child in item.children)]


def _label(platform: object, is_attestation: bool) -> str:
    return "attestation" if is_attestation else str(platform or "?")
