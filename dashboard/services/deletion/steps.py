"""The machine that carries out one item of a deletion, step by step.

Each step is written to the row before its request is sent, and can be done again: it first reads how things stand. So
after a crash, or an answer that never came, the same machine goes on from the step that was written down.

    check ─ untag ── by tag ────── delete-tag ─────────────────────────────────────────┐
       │      └───── by digest ─── put-throwaway ─ delete-throwaway ───────────────────┤
       │                                 └(refused)─ put-back                          ├─ read-back
       └─── remove ─ by tag ────── delete-tag ─ delete-manifest ─ delete-children ─────┤      │
              └───── by digest ─── delete-manifest ─ delete-children ──────────────────┘     heal

An item that removes takes all its tags along; one that untags has exactly one. *heal* follows where the registry broke
off half-way and lists a tag that points at nothing (2.8, where another tag's link cannot be read).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from dashboard.models import Deletion, DeletionItem, TrashedManifest
from dashboard.registry.client import Deletion as Ability
from dashboard.registry.client import RawManifest, RegistrySession
from dashboard.registry.errors import (
    Forbidden,
    ManifestUnknown,
    NotFound,
    RateLimited,
    RegistryError,
    Rejected,
    ServerFault,
    Unauthorized,
    Unsupported,
)
from dashboard.registry.references import Digest, RepositoryName, is_tag
from dashboard.services import contents

from . import mending, throwaway
from .lease import Lease
from .survey import Ground, Survey, listed_tags

CHECK, DELETE_TAG, DELETE_MANIFEST, DELETE_CHILDREN = "check", "delete-tag", "delete-manifest", "delete-children"
PUT_THROWAWAY, DELETE_THROWAWAY, PUT_BACK = "put-throwaway", "delete-throwaway", "put-back"
READ_BACK, HEAL = "read-back", "heal"

MAX_ANSWERS = 50

_NOT_DONE = (Unauthorized, Forbidden, Unsupported, Rejected, RateLimited)
"""Answers that say that the request was not carried out."""

R = TypeVar("R")


class Ended(Exception):
    """The item is over. `state`, a code for the sentence, and its parameters."""

    def __init__(self, state: str, code: str, **outcome: Any) -> None:
        super().__init__(state, code)
        self.state = state
        self.code = code
        self.outcome = outcome


class Machine:
    """Carries one item out with one session. `ability`: how the registry deletes. `lease`: the caller holds it."""

    def __init__(
        self, item: DeletionItem, session: RegistrySession, ground: Ground, lease: Lease, ability: str
    ) -> None:
        self.row = item
        self.session = session
        self.ground = ground
        self.lease = lease
        self.by_tag = ability == Ability.BY_TAG
        self.deletion: Deletion = item.deletion
        self.repository = RepositoryName(item.deletion.repository)
        self.digest = Digest(item.digest)
        self._steps: dict[str, Callable[[], str]] = {
            CHECK: self._check,
            DELETE_TAG: self._delete_tag,
            DELETE_MANIFEST: self._delete_manifest,
            DELETE_CHILDREN: self._delete_children,
            PUT_THROWAWAY: self._put_throwaway,
            DELETE_THROWAWAY: self._delete_throwaway,
            PUT_BACK: self._put_back,
            READ_BACK: self._read_back,
            HEAL: self._heal,
        }

    def run(self) -> None:
        """Goes on from the row's step to the end, and writes the end down.

        Raises LeaseLost, or RegistryError where the answer left open what happened: then the row stays as it is.
        """
        step = self.row.step or CHECK
        try:
            while True:
                self._update(step=step)
                step = self._steps[step]()
        except Ended as end:
            self._finish(end)

    @property
    def tags(self) -> list[str]:
        """The tags that go: those of the item that had not moved when it began."""
        moved = self.row.outcome.get("moved", {})
        return [name for name in self.row.tags if name not in moved]

    # The steps: each returns the next one, or ends.

    def _check(self) -> str:
        """Everything once more, at the last moment; then the old bytes into the trash. Nothing was sent so far."""
        try:
            self._leave_what_moved()
            if self.row.method == DeletionItem.Method.REMOVE:
                self._refuse_what_is_needed(self.ground.look_just_before())
            elif not self.by_tag:
                self._refuse_what_would_break_off(self.ground.look())
            self._fill_trash()
        except RegistryError as error:
            raise self._refused(error) from error
        if self.row.method == DeletionItem.Method.UNTAG:
            return DELETE_TAG if self.by_tag else PUT_THROWAWAY
        return DELETE_TAG if self.by_tag else DELETE_MANIFEST

    def _delete_tag(self) -> str:
        for tag in self.tags:
            now = self._points_at(tag)
            if now is not None and now != self.digest:
                self._note_moved(tag, now)
                continue
            if now is None:
                continue
            try:
                self._send(f"DELETE {tag}", partial(self.session.delete_tag, self.repository, tag))
            except NotFound:
                continue
            except _NOT_DONE as error:
                raise self._refused(error) from error
        if self.row.tags and not self.tags:
            raise self._nothing_left()
        return READ_BACK if self.row.method == DeletionItem.Method.UNTAG else DELETE_MANIFEST

    def _delete_manifest(self) -> str:
        """DELETE by digest takes every tag of it: a reading just before, a look at what vanished just after."""
        if not self.session.has_manifest(self.repository, self.digest):
            return DELETE_CHILDREN
        before = self.ground.look_just_before()
        if not before.is_whole or before.needed_elsewhere(self.digest, tags=self.tags):
            raise self._kept_after_all(before)
        try:
            self._send(f"DELETE {self.digest}", partial(self.session.delete_manifest, self.repository, self.digest))
        except NotFound:
            pass
        except _NOT_DONE as error:
            if any(self._points_at(tag) == self.digest for tag in self.tags) or not self.row.tags:
                raise self._refused(error) from error
            raise Ended(DeletionItem.State.DONE, "only-untagged", error=error.code) from error
        except ServerFault:
            if self.session.has_manifest(self.repository, self.digest):
                raise
            return DELETE_CHILDREN  # half of it was done: what is left lying is seen when all is read back
        self._put_back_unplanned(before)
        return DELETE_CHILDREN

    def _delete_children(self) -> str:
        """The index first, then its children: each only if nothing has come to need it."""
        kept = []
        for child in (Digest(text) for text in self.row.children):
            if not self.session.has_manifest(self.repository, child):
                continue
            seen = self.ground.look_just_before()
            if not seen.is_whole or seen.needed_elsewhere(child, going=[self.digest]):
                kept.append(child)
                continue
            self.lease.renew()
            try:
                self._send(f"DELETE {child}", partial(self.session.delete_manifest, self.repository, child))
            except NotFound:
                continue
            except _NOT_DONE:
                kept.append(child)
        if kept:
            self._note(kept_children=kept)
        return READ_BACK

    def _put_throwaway(self) -> str:
        """The throw-away over the tag. Its digest is in the row before it is sent."""
        (tag,) = self.row.tags
        now = self._points_at(tag)
        if self.row.throwaway_digest:
            if now == self.row.throwaway_digest:
                return DELETE_THROWAWAY
            if now is None:
                return READ_BACK
            if now != self.digest:
                raise Ended(DeletionItem.State.REFUSED, "moved", now=now)
        built = throwaway.build(self.row.media_type)
        try:
            self.session.upload_blob(self.repository, built.config)
            self._update(throwaway_digest=built.digest)
            if (now := self._points_at(tag)) != self.digest:
                raise Ended(DeletionItem.State.REFUSED, "moved" if now else "vanished", now=now or "")
            self._send(
                f"PUT {tag} (throw-away)",
                partial(self.session.put_manifest, self.repository, tag, built.media_type, built.manifest),
            )
        except _NOT_DONE as error:
            raise self._refused(error) from error
        return DELETE_THROWAWAY

    def _delete_throwaway(self) -> str:
        (tag,) = self.row.tags
        if self._points_at(tag) not in (self.row.throwaway_digest, None):
            return READ_BACK
        digest = Digest(self.row.throwaway_digest)
        try:
            self._send(f"DELETE {digest}", partial(self.session.delete_manifest, self.repository, digest))
        except NotFound:
            pass
        except _NOT_DONE as error:
            self._note(error=error.code)
            return PUT_BACK
        except ServerFault:
            if self.session.has_manifest(self.repository, digest):
                raise
        return READ_BACK

    def _put_back(self) -> str:
        """The second half was refused: the old manifest goes back under its tag, else the throw-away must still go."""
        (tag,) = self.row.tags
        if self._points_at(tag) != self.row.throwaway_digest:
            return READ_BACK
        kept = self._trashed()
        try:
            self._send(
                f"PUT {tag}",
                partial(self.session.put_manifest, self.repository, tag, kept.media_type, bytes(kept.raw)),
            )
        except Rejected as error:
            # The registry cannot take it back (something it refers to is gone): the tag is to go, so it goes.
            self.session.delete_manifest(self.repository, Digest(self.row.throwaway_digest))
            raise Ended(DeletionItem.State.DONE, "deleted-late", error=error.code) from error
        self._drop_throwaway()
        raise Ended(DeletionItem.State.ROLLED_BACK, "put-back", error=self.row.outcome.get("error", ""))

    def _read_back(self) -> str:
        """What the registry says now: the tags gone, from its list too."""
        again: dict[str, str] = {}
        for tag in self.tags:
            now = self._points_at(tag)
            if now == self.digest:
                raise Ended(DeletionItem.State.FAILED, "still-there", tags=[tag])
            if now is not None and now == self.row.throwaway_digest:
                return DELETE_THROWAWAY
            if now is not None:
                again[tag] = now
        if self.row.tags:
            left = set(listed_tags(self.session, self.repository))
            if any(tag in left for tag in self.tags if tag not in again):
                if self.row.outcome.get("healed"):
                    raise Ended(DeletionItem.State.FAILED, "dangling", tags=[t for t in self.tags if t in left])
                return HEAL
        self.ground.went(tags=[tag for tag in self.tags if tag not in again], digests=self._gone_digests())
        if again:
            raise Ended(DeletionItem.State.DONE, "pushed-meanwhile", again=again)
        code = "removed" if self.row.method == DeletionItem.Method.REMOVE else "untagged"
        raise Ended(DeletionItem.State.DONE, code)

    def _heal(self) -> str:
        """The registry broke off at a link that it cannot read, and lists tags of ours that point at nothing.

        First the unreadable links are written again with what our history says they held, as far as the repository
        still holds it; then the dangling names go with a throw-away.
        """
        self._note(healed=True)
        if broken := self._mend(mending.unreadable(self.session, self.repository, besides=self.row.tags)):
            raise Ended(DeletionItem.State.FAILED, "dangling", tags=self.tags, broken=broken)
        dangling = [tag for tag in self.tags if self._points_at(tag) is None]
        left = set(listed_tags(self.session, self.repository))
        names = [tag for tag in dangling if tag in left]
        if names:
            built = throwaway.build(self.row.media_type)
            self.session.upload_blob(self.repository, built.config)
            for tag in names:
                self.lease.renew()
                self._send(
                    f"PUT {tag} (throw-away)",
                    partial(self.session.put_manifest, self.repository, tag, built.media_type, built.manifest),
                )
            self._send(f"DELETE {built.digest}", partial(self.session.delete_manifest, self.repository, built.digest))
        return READ_BACK

    # How things stand

    def _points_at(self, tag: str) -> Digest | None:
        try:
            return self.session.head_manifest(self.repository, tag).digest
        except ManifestUnknown:
            return None

    def _leave_what_moved(self) -> None:
        """Tags that point elsewhere by now are left alone; ends where none remains."""
        for tag in self.tags:
            now = self._points_at(tag)
            if now != self.digest:
                self._note_moved(tag, now or "")
        if self.row.tags and not self.tags:
            raise self._nothing_left()
        if not self.row.tags and not self.session.has_manifest(self.repository, self.digest):
            raise Ended(DeletionItem.State.REFUSED, "vanished")

    def _nothing_left(self) -> Ended:
        moved = self.row.outcome["moved"]
        now = next((digest for digest in moved.values() if digest), "")
        return Ended(DeletionItem.State.REFUSED, "moved" if now else "vanished", now=now)

    def _refuse_what_is_needed(self, seen: Survey) -> None:
        if not seen.is_whole:
            raise Ended(DeletionItem.State.REFUSED, "unread", tags=[*seen.unread, *seen.unread_indexes][:20])
        if aliases := seen.aliases(self.row.tags, self.digest):
            raise Ended(DeletionItem.State.REFUSED, "alias-since", tags=aliases[:20])
        if parents := seen.parents(self.digest):
            tags = [t for p in parents for t in seen.tags_reaching(p)]
            raise Ended(DeletionItem.State.REFUSED, "parent-since", tags=tags[:20])

    def _kept_after_all(self, seen: Survey) -> Ended:
        """Something came to need the digest: it stays. Where the tags are gone already, it was only untagged."""
        tags = seen.aliases(self.tags, self.digest) or [
            t for p in seen.parents(self.digest) for t in seen.tags_reaching(p)
        ]
        if self.row.tags and not any(seen.tags.get(tag) == self.digest for tag in self.tags):
            return Ended(DeletionItem.State.DONE, "only-untagged", tags=tags[:20])
        code = "alias-since" if seen.is_whole else "unread"
        return Ended(DeletionItem.State.REFUSED, code, tags=tags[:20] or [*seen.unread][:20])

    def _put_back_unplanned(self, before: Survey) -> None:
        """A tag that was moved onto the digest in the last moment went with it: it is put back, and reported.

        What it pointed at before is then still held; where that is gone too, somebody else deleted the tag.
        """
        left = set(listed_tags(self.session, self.repository))
        ours = set(self.row.tags)
        gone = [name for name in before.tags if name not in ours and name not in left]
        lost = [name for name in gone if self.session.has_manifest(self.repository, before.tags[name])]
        if not lost:
            return
        kept = self._trashed()
        for name in lost:
            self.lease.renew()
            self._send(
                f"PUT {name} (put back)",
                partial(self.session.put_manifest, self.repository, name, kept.media_type, bytes(kept.raw)),
            )
        raise Ended(DeletionItem.State.DONE, "siblings-put-back", tags=lost)

    def _refuse_what_would_break_off(self, seen: Survey) -> None:
        """DELETE by digest reads the link of every tag: one that is unreadable is mended first, or nothing is begun."""
        if broken := self._mend([name for name in seen.unread if is_tag(name) and name not in self.row.tags]):
            raise Ended(DeletionItem.State.REFUSED, "would-break-off", tags=broken[:20])

    def _mend(self, names: Iterable[str]) -> list[str]:
        """Writes the links of these tags again; those that cannot be read even so."""

        def put(name: str, raw: RawManifest) -> None:
            self.lease.renew()
            put_manifest = partial(self.session.put_manifest, self.repository, name, raw.media_type, raw.raw)
            self._send(f"PUT {name} (link written again)", put_manifest)
            self._note(mended=[*self.row.outcome.get("mended", []), name])

        return mending.mend(self.session, self.deletion.registry, self.repository, names, put)

    def _gone_digests(self) -> list[Digest]:
        if self.row.method != DeletionItem.Method.REMOVE:
            return []
        kept = self.row.outcome.get("kept_children", [])
        return [self.digest, *(Digest(text) for text in self.row.children if text not in kept)]

    def _drop_throwaway(self) -> None:
        """The throw-away's revision is of no use any more; leaving it would do no harm."""
        try:
            self.session.delete_manifest(self.repository, Digest(self.row.throwaway_digest))
        except RegistryError:
            return

    # The row

    def _trashed(self) -> TrashedManifest:
        return TrashedManifest.objects.get(deletion=self.deletion, digest=self.digest)

    def _fill_trash(self) -> None:
        wanted = [self.digest, *(Digest(text) for text in self.row.children)]
        proven = frozenset([self.digest])  # its tags were just seen to point at it, or it was just asked for
        rows = []
        for digest, raw in contents.manifests(self.session, self.repository, wanted, proven=proven).items():
            if isinstance(raw, RegistryError):
                raise raw
            rows.append(TrashedManifest(deletion=self.deletion, digest=digest, media_type=raw.media_type, raw=raw.raw))
        with transaction.atomic():
            TrashedManifest.objects.bulk_create(rows, ignore_conflicts=True)

    def _send(self, what: str, request: Callable[[], R]) -> R:
        """Sends one change and notes what the registry answered, for the audit."""
        try:
            answer = request()
        except RegistryError as error:
            self._heard(f"{what}: {error.status or error.code}")
            raise
        self._heard(f"{what}: accepted")
        return answer

    def _heard(self, line: str) -> None:
        answers = self.row.outcome.get("answers", [])
        if len(answers) < MAX_ANSWERS:
            self._note(answers=[*answers, line[:200]])

    def _note_moved(self, tag: str, now: str) -> None:
        self._note(moved=self.row.outcome.get("moved", {}) | {tag: now})

    def _refused(self, error: RegistryError) -> Ended:
        parameters = {key: value for key, value in error.parameters.items() if isinstance(value, str | int)}
        said = [{"code": d.code, "message": d.message, "detail": d.detail} for d in error.diagnostics]
        return Ended(DeletionItem.State.REFUSED, error.code, error=parameters, said=said)

    def _note(self, **outcome: Any) -> None:
        self._update(outcome=self.row.outcome | outcome)

    def _update(self, **values: Any) -> None:
        """Writes to the item while the lease is ours. Raises LeaseLost."""
        self.lease.renew()
        DeletionItem.objects.filter(pk=self.row.pk).update(**values)
        for name, value in values.items():
            setattr(self.row, name, value)

    def _finish(self, end: Ended) -> None:
        self._update(
            outcome=self.row.outcome | end.outcome,
            outcome_code=end.code,
            state=end.state,
            finished_at=timezone.now(),
        )
