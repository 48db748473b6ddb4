"""Pointing a tag at a digest: a new name for an image, or a tag back to what it was. One PUT of the very bytes.

Everything is looked at before the first request that writes: whether the tag still points where the person saw it
point, whether a rule protects it, whether every layer is there. What an index lists and the repository no longer holds
is put first, by digest; that changes no tag. Distribution has no conditional PUT: between the last look and the
registry's own work lies one round trip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone
from django_q.tasks import async_task

from dashboard.models import AuditEntry, Deletion, Registry, TagPeriod
from dashboard.registry.errors import (
    Forbidden,
    NotFound,
    RateLimited,
    RegistryError,
    Rejected,
    Unauthorized,
    Unsupported,
)
from dashboard.registry.references import Digest, RepositoryName, Tag, is_digest, short

from . import audit, kept_images, protected_moves
from .access import Access
from .audit import Actor
from .index import own_writes
from .index.update import read_again
from .protection import rule_for, rules_of

MOVED, EXISTS, SAME, PROTECTED, GONE, BUSY, LOST = "moved", "exists", "same", "protected", "gone", "busy", "lost"
OVERTAKEN, NOT_READ_BACK = "overtaken", "not-read-back"
"""In the audit: it was done, and somebody pushed the tag right after; and the registry fell silent right after."""
FOLLOW = "dashboard.tasks.follow_pointing"

_NOT_DONE = (Unauthorized, Forbidden, Unsupported, Rejected, RateLimited)
"""Answers that say that the request was not carried out."""
_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN"
_DIGEST = re.compile(r"sha(?:256|384|512):[0-9a-f]{64,128}")


class PointRefused(Exception):
    """The tag is where it was. `code`: one of the above; `now`: what it points at ("": nothing).

    `rule` is the text of the rule that protects it, `gone` the digests that are no longer there.
    """

    def __init__(self, code: str, *, now: str = "", rule: str = "", gone: tuple[Digest, ...] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.now = now
        self.rule = rule
        self.gone = gone


@dataclass(frozen=True, slots=True)
class Pointed:
    """A tag points to another digest. `before`: "" for a tag that is new; `put`: manifests that were put back first.

    `now` is what it pointed to when it was read back: another digest if somebody pushed it right after, "" if the
    registry did not answer any more.
    """

    tag: str
    before: str
    digest: Digest
    put: int
    now: str


@dataclass(slots=True)
class _Attempt:
    """What is being done, and what the registry said so far."""

    access: Access
    repository: RepositoryName
    tag: Tag
    digest: Digest
    expected: str
    actor: Actor
    answers: list[str] = field(default_factory=list)

    def points_at(self) -> str:
        """What the tag names now; "" for nothing."""
        try:
            return self.access.session.head_manifest(self.repository, self.tag).digest
        except NotFound:
            return ""

    def record(self, outcome: AuditEntry.Outcome, code: str = "") -> None:
        """Says it in the audit."""
        audit.record(
            actor=self.actor,
            action=AuditEntry.Action.MOVE if self.expected else AuditEntry.Action.RETAG,
            outcome=outcome,
            registry=self.access.registry.slug,
            repository=self.repository,
            tags=[self.tag],
            before=self.expected,
            after=self.digest,
            method="put",
            code=code,
            answers=self.answers,
        )


def point(
    access: Access, *, repository: RepositoryName, tag: Tag, digest: Digest, expected: str, actor: Actor
) -> Pointed:
    """Points `tag` at `digest`. `expected`: the digest that the person saw it point to; "" if there was no such tag.

    Raises PointRefused, or RegistryError where the registry refused or did not answer. Whatever happens stands in the
    audit. The caller has seen that this person may; the worker reads the repository again afterwards.
    """
    attempt = _Attempt(access, repository, tag, digest, expected, actor)
    try:
        done = _carry_out(attempt)
    except PointRefused as refused:
        attempt.record(AuditEntry.Outcome.FAILED if refused.code == LOST else AuditEntry.Outcome.REFUSED, refused.code)
        raise
    except RegistryError as error:
        refused_by_registry = isinstance(error, _NOT_DONE)
        attempt.record(AuditEntry.Outcome.REFUSED if refused_by_registry else AuditEntry.Outcome.FAILED, error.code)
        if attempt.answers:
            _ask_to_follow(attempt)
        raise
    with transaction.atomic():
        code = {digest: "", "": NOT_READ_BACK}.get(done.now, OVERTAKEN)
        attempt.record(AuditEntry.Outcome.DONE, code)
        if code != OVERTAKEN:
            protected_moves.end(registry=access.registry, repository=repository, tag=tag, by=actor.user)
    _ask_to_follow(attempt)
    return done


def protecting_rule(registry: Registry, repository: str, tag: str, digest: str) -> str:
    """The text of the rule that keeps this tag, which is there, from being pointed at `digest`; "" for none.

    Where somebody moved it, it may go back to what it was.
    """
    rule = rule_for(rules_of(registry), repository, tag)
    if rule is None or protected_moves.leads_back(registry, repository, tag, digest):
        return ""
    return str(rule)


def follow(registry_id: int, repository: str, tag: str, before: str) -> None:
    """In the worker: the disk must show what was done, and the index reads the repository again."""
    registry = Registry.objects.filter(pk=registry_id).first()
    if registry is None:
        return
    own_writes.look_for(registry=registry, repository=repository, tag=tag, before=before)
    read_again(registry=registry, names=[repository], learnt=TagPeriod.Learnt.REFRESH)


def _carry_out(attempt: _Attempt) -> Pointed:
    registry, session = attempt.access.registry, attempt.access.session
    _refuse_what_moved(attempt)
    if attempt.expected and (rule := protecting_rule(registry, attempt.repository, attempt.tag, attempt.digest)):
        raise PointRefused(PROTECTED, now=attempt.expected, rule=rule)
    image = kept_images.read(session, registry, attempt.repository, attempt.digest)
    if image.gone:
        raise PointRefused(GONE, now=attempt.expected, gone=tuple(image.gone))
    if _is_being_deleted(attempt):
        raise PointRefused(BUSY, now=attempt.expected)
    for part in image.lacking:
        _put(attempt, part.manifest.digest, part)
    _refuse_what_moved(attempt)
    _put(attempt, attempt.tag, image.root)
    try:
        now = attempt.points_at()
    except RegistryError:
        now = ""
    else:
        if now == attempt.expected or not now:
            raise PointRefused(LOST, now=now)
    return Pointed(attempt.tag, attempt.expected, attempt.digest, len(image.lacking), now)


def _refuse_what_moved(attempt: _Attempt) -> None:
    now = attempt.points_at()
    if now != attempt.expected:
        raise PointRefused(MOVED if attempt.expected else EXISTS, now=now)
    if now == attempt.digest:
        raise PointRefused(SAME, now=now)


def _put(attempt: _Attempt, reference: str, part: kept_images.Part) -> None:
    """Puts a manifest under a tag or its digest. Where no answer came, what happened is asked. Raises as `point`."""
    name = short(reference) if is_digest(reference) else reference
    try:
        attempt.access.session.put_manifest(attempt.repository, reference, part.manifest.media_type, part.raw)
    except _NOT_DONE as error:
        attempt.answers.append(f"PUT {name}: {error.status or error.code}")
        missing = _missing_in(error)
        if missing:
            raise PointRefused(GONE, now=attempt.expected, gone=missing) from error
        raise
    except RegistryError as error:
        attempt.answers.append(f"PUT {name}: {error.status or error.code}")
        if is_digest(reference) or not _has_arrived(attempt):
            raise
    else:
        attempt.answers.append(f"PUT {name}: accepted")


def _has_arrived(attempt: _Attempt) -> bool:
    try:
        return attempt.points_at() == attempt.digest
    except RegistryError:
        return False


def _missing_in(error: RegistryError) -> tuple[Digest, ...]:
    """The digests that a registry says it lacks."""
    told = [d.detail for d in error.diagnostics if d.code == _BLOB_UNKNOWN]
    return tuple(dict.fromkeys(Digest(found) for text in told for found in _DIGEST.findall(text) if is_digest(found)))


def _is_being_deleted(attempt: _Attempt) -> bool:
    """Whether a deletion is at work in this repository at this very moment. One that waits for somebody is not."""
    return Deletion.objects.filter(
        registry=attempt.access.registry,
        repository=attempt.repository,
        state=Deletion.State.IN_PROGRESS,
        lease_until__gt=timezone.now(),
    ).exists()


def _ask_to_follow(attempt: _Attempt) -> None:
    """Losing the message is harmless: the next refresh does the rest."""
    async_task(FOLLOW, attempt.access.registry.pk, str(attempt.repository), str(attempt.tag), attempt.expected)
