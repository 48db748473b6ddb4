"""Bringing back what was deleted: children, then parents, then tags, each by a PUT of the very bytes that were kept.

Nothing is sent before every blob was read. A tag that exists by now is left alone unless the person says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from django.utils import timezone
from django_q.tasks import async_task

from dashboard.models import AuditEntry, Deletion, DeletionItem, Job, TagPeriod
from dashboard.registry.client import RegistrySession
from dashboard.registry.errors import ManifestUnknown, RegistryError
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services import audit, connections, jobs, protection
from dashboard.services.access import Access
from dashboard.services.audit import Actor
from dashboard.services.collection.live import COLLECTING, is_collecting
from dashboard.services.index.update import read_again

from .kept import in_trash
from .outlook import blobs_of, manifests_of, missing_at

FEW = 3
BUDGET = 3600.0
GONE, NOT_KEPT, TAKEN, PROTECTED = "gone", "not-kept", "taken", "protected"
FOLLOW = "dashboard.tasks.read_repository"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How bringing one item back ended: `code` is "" where all of it is back, else why not.

    `missing` digests are gone; `taken` tags exist by now and point elsewhere (digest by tag).
    """

    item: DeletionItem
    code: str = ""
    missing: Sequence[str] = ()
    taken: dict[str, str] = field(default_factory=dict)
    error: RegistryError | None = None

    @property
    def is_back(self) -> bool:
        """Whether it was brought back whole."""
        return not self.code and self.error is None


def restore(access: Access, items: Iterable[DeletionItem], *, actor: Actor, overwrite: bool = False) -> list[Outcome]:
    """Brings these items back with the person's own credential; what was removed last comes first."""
    ordered = sorted(items, key=lambda item: (item.deletion_id, -item.position))
    found = [_one(access.session, item, actor, overwrite=overwrite) for item in ordered]
    for name in {item.deletion.repository for item in ordered}:
        async_task(FOLLOW, access.registry.pk, name)
    return found


def ask_for(access: Access, deletion: Deletion) -> Job:
    """Has the worker bring a whole deletion back, with the credential of the person who asks."""
    return jobs.ask_for(kind=Job.Kind.RESTORE, registry=access.registry, user=access.user, key=str(deletion.pk))


def of_deletion(deletion: Deletion) -> list[DeletionItem]:
    """What of a deletion is still in the trash."""
    return list(in_trash(deletion.registry).filter(deletion=deletion).select_related("deletion__registry"))


def run(job: Job) -> None:
    """Brings back what is left of a deletion, and ends the job."""
    deletion = Deletion.objects.select_related("registry").filter(pk=job.key).first()
    if deletion is None or job.requested_by is None:
        jobs.finish(job, Job.State.FAILED, NOT_KEPT)
        return
    if is_collecting(deletion.registry):
        jobs.finish(job, Job.State.FAILED, COLLECTING)
        return
    heart = jobs.Heart(job)
    acting = connections.acting(user=job.requested_by, registry=deletion.registry, budget=BUDGET)
    actor = Actor(job.requested_by.get_username(), "", acting.name)
    items = sorted(of_deletion(deletion), key=lambda item: -item.position)
    back = 0
    for done, item in enumerate(items):
        heart.beat(done, len(items))
        if heart.cancelled:
            jobs.finish(job, Job.State.CANCELLED, back=back, of=len(items))
            return
        outcome = _one(acting.session, item, actor, overwrite=False)
        back += outcome.is_back
        if not outcome.is_back:
            heart.note(outcome.code or "registry-error", tags=list(item.tags[:5]), digest=item.digest)
    read_again(registry=deletion.registry, names=[deletion.repository], learnt=TagPeriod.Learnt.REFRESH)
    jobs.finish(job, Job.State.DONE, back=back, of=len(items))


def _one(session: RegistrySession, item: DeletionItem, actor: Actor, *, overwrite: bool) -> Outcome:
    repository = RepositoryName(item.deletion.repository)
    answers: list[str] = []
    try:
        outcome = _put(session, repository, item, answers, overwrite=overwrite)
    except RegistryError as error:
        answers.append(f"{error.operation}: {error.status or error.code}")
        outcome = Outcome(item, error.code, error=error)
    if outcome.is_back:
        DeletionItem.objects.filter(pk=item.pk).update(restored_at=timezone.now(), restored_by=actor.user)
    elif outcome.code == GONE:
        DeletionItem.objects.filter(pk=item.pk).update(
            restorable=False, missing=list(outcome.missing), looked_at=timezone.now()
        )
    audit.record(
        actor=actor,
        action=AuditEntry.Action.RESTORE,
        outcome=_ended(outcome),
        registry=item.deletion.registry.slug,
        repository=repository,
        tags=item.tags,
        after=item.digest if outcome.is_back else "",
        before="" if outcome.is_back else item.digest,
        code=outcome.code,
        answers=answers,
        batch=item.deletion_id,
    )
    return outcome


def _ended(outcome: Outcome) -> AuditEntry.Outcome:
    if outcome.is_back:
        return AuditEntry.Outcome.DONE
    return AuditEntry.Outcome.FAILED if outcome.error else AuditEntry.Outcome.REFUSED


def _put(
    session: RegistrySession, repository: RepositoryName, item: DeletionItem, answers: list[str], *, overwrite: bool
) -> Outcome:
    kept = manifests_of(item)
    now = {tag: _points_at(session, repository, tag) for tag in item.tags}
    taken = {tag: digest for tag, digest in now.items() if digest not in (None, item.digest)}
    if taken:
        rules = protection.rules_of(item.deletion.registry)
        if any(protection.rule_for(rules, repository, tag) for tag in taken):
            return Outcome(item, PROTECTED, taken={tag: digest or "" for tag, digest in taken.items()})
        if not overwrite:
            return Outcome(item, TAKEN, taken={tag: digest or "" for tag, digest in taken.items()})
    absent = [
        digest for digest in [*item.children, item.digest] if not session.has_manifest(repository, Digest(digest))
    ]
    if any(digest not in kept for digest in absent):
        return Outcome(item, NOT_KEPT, missing=[digest for digest in absent if digest not in kept])
    missing = missing_at(session, repository, blobs_of(kept[Digest(digest)][0] for digest in absent))
    root = kept.get(Digest(item.digest))
    if root is not None and item.digest in absent:
        listed = [child.digest for child in root[0].children if child.digest not in absent]
        missing += [digest for digest in listed if not session.has_manifest(repository, digest)]
    if missing:
        return Outcome(item, GONE, missing=missing)
    send = _sender(session, repository, answers)
    for digest in absent:
        if digest != item.digest or not item.tags:
            send(digest, kept[Digest(digest)][1].media_type, bytes(kept[Digest(digest)][1].raw))
    for tag in item.tags:
        if now[tag] != item.digest:
            raw = kept.get(Digest(item.digest))
            if raw is None:
                got = session.get_manifest(repository, item.digest)
                send(tag, got.media_type, got.raw)
            else:
                send(tag, raw[1].media_type, bytes(raw[1].raw))
    read_back = {tag: _points_at(session, repository, tag) for tag in item.tags}
    wrong = {tag: digest or "" for tag, digest in read_back.items() if digest != item.digest}
    return Outcome(item, TAKEN, taken=wrong) if wrong else Outcome(item)


def _sender(
    session: RegistrySession, repository: RepositoryName, answers: list[str]
) -> Callable[[str, str, bytes], None]:
    def send(reference: str, media_type: str, raw: bytes) -> None:
        session.put_manifest(repository, reference, media_type, raw)
        answers.append(f"PUT {reference}: accepted")

    return send


def _points_at(session: RegistrySession, repository: RepositoryName, tag: str) -> Digest | None:
    try:
        return session.head_manifest(repository, tag).digest
    except ManifestUnknown:
        return None
