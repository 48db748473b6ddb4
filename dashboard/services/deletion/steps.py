"""The machine that carries a deletion out, step by step.

Each step is written to the row before its request is sent, and can be done again: it first reads how things stand. So
after a crash, or an answer that never came, the same machine goes on from the step that was written down.

    check ─ untag ── by tag ────── delete-tag ─────────────────────────────────────────┐
       │      └───── by digest ─── put-throwaway ─ delete-throwaway ───────────────────┤
       │                                 └(refused)─ put-back                          ├─ read-back
       └─── remove ─ by tag ────── delete-tag ─ delete-manifest ─ delete-children ─────┤
              └───── by digest ─── delete-manifest ─ delete-children ──────────────────┘
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from dashboard.models import Deletion, TrashedManifest
from dashboard.registry.client import RegistrySession
from dashboard.registry.errors import (
    Forbidden,
    ManifestUnknown,
    NotFound,
    RateLimited,
    RegistryError,
    Rejected,
    Unauthorized,
    Unsupported,
)
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services import contents

from . import throwaway
from .plan import Effect
from .survey import Survey, survey

LEASE = dt.timedelta(seconds=180)
"""Longer than the slowest request; renewed before each."""

BY_TAG = "by-tag"
CHECK, DELETE_TAG, DELETE_MANIFEST, DELETE_CHILDREN = "check", "delete-tag", "delete-manifest", "delete-children"
PUT_THROWAWAY, DELETE_THROWAWAY, PUT_BACK, READ_BACK = "put-throwaway", "delete-throwaway", "put-back", "read-back"

_NOT_DONE = (Unauthorized, Forbidden, Unsupported, Rejected, RateLimited)
"""Answers that say that the request was not carried out."""


class LeaseLost(Exception):
    """Somebody else has taken the deletion up; whoever meets this stops at once."""


class Ended(Exception):
    """The deletion is over. `state`, a code for the sentence, and its parameters."""

    def __init__(self, state: str, code: str, **outcome: Any) -> None:
        super().__init__(state, code)
        self.state = state
        self.code = code
        self.outcome = outcome


class Machine:
    """Carries one deletion out with one session. The caller holds the lease when it begins."""

    def __init__(self, deletion: Deletion, session: RegistrySession, effect: Effect) -> None:
        self.row = deletion
        self.session = session
        self.effect = effect
        self.repository = RepositoryName(deletion.repository)
        self.tag = deletion.tag
        self.digest = Digest(deletion.digest)
        self._steps: dict[str, Callable[[], str]] = {
            CHECK: self._check,
            DELETE_TAG: self._delete_tag,
            DELETE_MANIFEST: self._delete_manifest,
            DELETE_CHILDREN: self._delete_children,
            PUT_THROWAWAY: self._put_throwaway,
            DELETE_THROWAWAY: self._delete_throwaway,
            PUT_BACK: self._put_back,
            READ_BACK: self._read_back,
        }

    def run(self) -> None:
        """Goes on from the row's step to the end, and writes the end down.

        Raises LeaseLost, or RegistryError where the answer left open what happened: then the row stays in progress.
        """
        step = self.row.step or CHECK
        try:
            while True:
                self._enter(step)
                step = self._steps[step]()
        except Ended as end:
            self._finish(end)

    # The steps: each returns the next one, or ends.

    def _check(self) -> str:
        """Everything once more, at the last moment; then the old bytes into the trash. Nothing was sent so far."""
        try:
            self._refuse_what_moved(self._survey())
            self._fill_trash()
        except RegistryError as error:
            raise self._refused(error) from error
        by_tag = self.effect.ability == BY_TAG
        if self.row.method == Deletion.Method.UNTAG:
            return DELETE_TAG if by_tag else PUT_THROWAWAY
        return DELETE_TAG if by_tag else DELETE_MANIFEST

    def _delete_tag(self) -> str:
        if (now := self._points_at()) == self.digest:
            try:
                self.session.delete_tag(self.repository, self.tag)
            except NotFound:
                pass
            except _NOT_DONE as error:
                raise self._refused(error) from error
        elif now is not None:
            raise Ended(Deletion.State.REFUSED, "moved", now=now)
        return READ_BACK if self.row.method == Deletion.Method.UNTAG else DELETE_MANIFEST

    def _delete_manifest(self) -> str:
        """DELETE by digest takes every tag of it: a fresh reading just before, a look at what vanished just after."""
        if not self.session.has_manifest(self.repository, self.digest):
            return DELETE_CHILDREN
        before = self._survey()
        if not before.is_whole or before.needed_elsewhere(self.digest, tag=self.tag):
            raise self._kept_after_all(before)
        now = before.tags.get(self.tag)
        if self.effect.ability != BY_TAG and now not in (None, self.digest):
            raise Ended(Deletion.State.REFUSED, "moved", now=now)
        try:
            self.session.delete_manifest(self.repository, self.digest)
        except NotFound:
            pass
        except _NOT_DONE as error:
            if self._points_at() == self.digest:
                raise self._refused(error) from error
            raise Ended(Deletion.State.DONE, "only-untagged", error=error.code) from error
        self._put_back_unplanned(before)
        return DELETE_CHILDREN

    def _delete_children(self) -> str:
        """The index first, then its children: each only if nothing has come to need it."""
        kept = []
        for child in (Digest(text) for text in self.row.children):
            if not self.session.has_manifest(self.repository, child):
                continue
            seen = self._survey()
            if not seen.is_whole or seen.needed_elsewhere(child, tag="", going=[self.digest]):
                kept.append(child)
                continue
            self._renew()
            try:
                self.session.delete_manifest(self.repository, child)
            except NotFound:
                continue
            except _NOT_DONE:
                kept.append(child)
        if kept:
            self._note(kept_children=kept)
        return READ_BACK

    def _put_throwaway(self) -> str:
        """The throw-away over the tag. Its digest is in the row before it is sent."""
        now = self._points_at()
        if self.row.throwaway_digest:
            if now == self.row.throwaway_digest:
                return DELETE_THROWAWAY
            if now is None:
                return READ_BACK
            if now != self.digest:
                raise Ended(Deletion.State.REFUSED, "moved", now=now)
        built = throwaway.build(self.row_media_type)
        try:
            self.session.upload_blob(self.repository, built.config)
            self._update(throwaway_digest=built.digest)
            if (now := self._points_at()) != self.digest:
                raise Ended(Deletion.State.REFUSED, "moved", now=now or "")
            self.session.put_manifest(self.repository, self.tag, built.media_type, built.manifest)
        except _NOT_DONE as error:
            raise self._refused(error) from error
        return DELETE_THROWAWAY

    def _delete_throwaway(self) -> str:
        if self._points_at() not in (self.row.throwaway_digest, None):
            return READ_BACK
        try:
            self.session.delete_manifest(self.repository, Digest(self.row.throwaway_digest))
        except NotFound:
            pass
        except _NOT_DONE as error:
            self._note(error=error.code)
            return PUT_BACK
        return READ_BACK

    def _put_back(self) -> str:
        """The second half was refused: the old manifest goes back under its tag, else the throw-away must still go."""
        if self._points_at() != self.row.throwaway_digest:
            return READ_BACK
        kept = TrashedManifest.objects.get(deletion=self.row, digest=self.digest)
        try:
            self.session.put_manifest(self.repository, self.tag, kept.media_type, bytes(kept.raw))
        except Rejected as error:
            # The registry cannot take it back (something it refers to is gone): the tag is to go, so it goes.
            self.session.delete_manifest(self.repository, Digest(self.row.throwaway_digest))
            raise Ended(Deletion.State.DONE, "deleted-late", error=error.code) from error
        self._drop_throwaway()
        raise Ended(Deletion.State.ROLLED_BACK, "put-back", error=self.row.outcome.get("error", ""))

    def _read_back(self) -> str:
        """What the registry says now: the tag gone, its siblings where they were."""
        now = self._points_at()
        if now == self.digest:
            raise Ended(Deletion.State.FAILED, "still-there")
        if now is not None and now == self.row.throwaway_digest:
            return DELETE_THROWAWAY
        if now is not None:
            raise Ended(Deletion.State.DONE, "pushed-meanwhile", now=now)
        lost = [name for name in self.effect.aliases if self._points_at(name) is None]
        if lost:
            raise Ended(Deletion.State.DONE, "siblings-changed", tags=lost)
        code = "removed" if self.row.method == Deletion.Method.REMOVE else "untagged"
        raise Ended(Deletion.State.DONE, code)

    # How things stand

    @property
    def row_media_type(self) -> str:
        """The media type of what the tag named."""
        return self.effect.media_type

    def _points_at(self, tag: str = "") -> Digest | None:
        try:
            return self.session.head_manifest(self.repository, tag or self.tag).digest
        except ManifestUnknown:
            return None

    def _survey(self) -> Survey:
        return survey(self.session, self.row.registry, self.repository)

    def _refuse_what_moved(self, seen: Survey) -> None:
        now = seen.tags.get(self.tag)
        if now != self.digest:
            raise Ended(Deletion.State.REFUSED, "moved" if now else "vanished", now=now or "")
        if self.row.method != Deletion.Method.REMOVE:
            return
        if not seen.is_whole:
            raise Ended(Deletion.State.REFUSED, "unread", tags=[*seen.unread, *seen.unread_indexes])
        if aliases := seen.aliases(self.tag, self.digest):
            raise Ended(Deletion.State.REFUSED, "alias-since", tags=aliases)
        if parents := seen.parents(self.digest):
            raise Ended(
                Deletion.State.REFUSED, "parent-since", tags=[t for p in parents for t in seen.tags_reaching(p)]
            )

    def _kept_after_all(self, seen: Survey) -> Ended:
        """Something came to need the digest: it stays. Where the tag is gone already, it was only untagged."""
        tags = seen.aliases(self.tag, self.digest) or [
            t for p in seen.parents(self.digest) for t in seen.tags_reaching(p)
        ]
        if seen.tags.get(self.tag) is None:
            return Ended(Deletion.State.DONE, "only-untagged", tags=tags)
        return Ended(Deletion.State.REFUSED, "alias-since" if seen.is_whole else "unread", tags=tags or [*seen.unread])

    def _put_back_unplanned(self, before: Survey) -> None:
        """A tag that was moved onto the digest in the last moment went with it: it is put back, and reported.

        What it pointed at before is then still held; where that is gone too, somebody else deleted the tag.
        """
        left = set(self.session.tags(self.repository))
        gone = [name for name in before.tags if name != self.tag and name not in left]
        lost = [name for name in gone if self.session.has_manifest(self.repository, before.tags[name])]
        if not lost:
            return
        kept = TrashedManifest.objects.get(deletion=self.row, digest=self.digest)
        for name in lost:
            self._renew()
            self.session.put_manifest(self.repository, name, kept.media_type, bytes(kept.raw))
        raise Ended(Deletion.State.DONE, "siblings-put-back", tags=lost)

    def _drop_throwaway(self) -> None:
        """The throw-away's revision is of no use any more; leaving it would do no harm."""
        try:
            self.session.delete_manifest(self.repository, Digest(self.row.throwaway_digest))
        except RegistryError:
            return

    # The row

    def _fill_trash(self) -> None:
        wanted = [self.digest, *(Digest(text) for text in self.row.children)]
        found = contents.manifests(self.session, self.repository, wanted)
        rows = []
        for digest, raw in found.items():
            if isinstance(raw, RegistryError):
                raise raw
            tag = self.tag if digest == self.digest else ""
            rows.append(
                TrashedManifest(
                    deletion=self.row,
                    digest=digest,
                    media_type=raw.media_type,
                    raw=raw.raw,
                    tag=tag,
                    kept_until=self.row.kept_until,
                )
            )
        with transaction.atomic():
            TrashedManifest.objects.bulk_create(rows, ignore_conflicts=True)

    def _refused(self, error: RegistryError) -> Ended:
        parameters = {key: value for key, value in error.parameters.items() if isinstance(value, str | int)}
        said = [{"code": d.code, "message": d.message, "detail": d.detail} for d in error.diagnostics]
        return Ended(Deletion.State.REFUSED, error.code, error=parameters, said=said)

    def _note(self, **outcome: Any) -> None:
        self.row.outcome = self.row.outcome | outcome
        self._update(outcome=self.row.outcome)

    def _enter(self, step: str) -> None:
        self._update(step=step)

    def _renew(self) -> None:
        self._update()

    def _update(self, **values: Any) -> None:
        """Writes to the row and renews the lease. Raises LeaseLost if it is not ours any more."""
        lease = timezone.now() + LEASE
        held = Deletion.objects.filter(
            pk=self.row.pk, state=Deletion.State.IN_PROGRESS, lease_until=self.row.lease_until
        )
        if not held.update(lease_until=lease, **values):
            raise LeaseLost
        self.row.lease_until = lease
        for name, value in values.items():
            setattr(self.row, name, value)

    def _finish(self, end: Ended) -> None:
        self._update(
            outcome=self.row.outcome | end.outcome,
            outcome_code=end.code,
        )
        Deletion.objects.filter(pk=self.row.pk, lease_until=self.row.lease_until).update(
            state=end.state, finished_at=timezone.now(), lease_until=None
        )
        self.row.refresh_from_db()
