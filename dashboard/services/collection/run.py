"""Running a collection: stop, look, compare, collect, start, look again; `start` runs whatever happened.

Blobs are removed only if the registry refused writes before and after the dry run, if the dry run lists nothing that
any revision on the disk reaches (by our own reading, made after the stop), and if no deletion is under way. None of it
can be overridden. A worker that takes up what another one left starts the registry, and nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from dashboard.models import AuditEntry, Collection, IndexState, Job, Registry
from dashboard.registry.errors import RegistryError
from dashboard.registry.probe import PROBED_REPOSITORY
from dashboard.registry.references import RepositoryName, is_repository
from dashboard.services import audit, connections, jobs
from dashboard.services.audit import Actor
from dashboard.services.index import mount
from dashboard.services.trash import outlook
from dashboard.services.usage import scans
from dashboard.storage import layout
from dashboard.storage.collection import live_blobs, whole_images
from dashboard.storage.dry_run import DryRun, Parser, Void
from dashboard.storage.errors import Cancelled, StorageError
from dashboard.storage.usage import Reading, take

from . import ask, command, writes
from .command import CommandFailed, Log, Word
from .live import is_changing

logger = logging.getLogger(__name__)

STEPS = ("stop", "check", "read", "dry-run", "compare", "check-again", "collect", "start", "verify")
SECONDS = {Word.STOP: 300.0, Word.START: 300.0, Word.DRY_RUN: 2 * 3600.0, Word.COLLECT: 2 * 3600.0}
START_TRIES, START_PAUSE = 3, 2.0
ANSWERS_WITHIN = 30.0
JUDGE_BUDGET = 30.0
MAX_NAMED = 50
UNCERTAIN = frozenset(("unreadable", "too-many-problems", "too-many-symlinks"))
"""Problems of a reading that does not know all that is reached."""


class _Stopped(Exception):
    """It goes no further; nothing was removed. `code` says why, `named` what."""

    def __init__(self, code: str, **named: Any) -> None:
        super().__init__(code)
        self.code = code
        self.named = named


def run(job: Job) -> None:
    """Carries a collection out, or ends one that a dead worker left, and ends the job."""
    row = Collection.objects.select_related("registry").filter(job_id=job.pk).first()
    if row is None or not row.is_live:
        jobs.finish(job, Job.State.FAILED, "not-kept")
        return
    heart = jobs.Heart(job)
    lock = settings.STATE_DIR / "collections" / f"{row.registry_id}.lock"
    with command.alone(lock, wait_seconds=SECONDS[Word.COLLECT], waiting=heart.beat) as held:
        carried = _Run(job, row, heart, held)
        if row.state == Collection.State.RUNNING:
            carried.take_up()
        else:
            carried.carry_out()


class _Run:
    def __init__(self, job: Job, row: Collection, heart: jobs.Heart, lock: int) -> None:
        self._job = job
        self._row = row
        self._heart = heart
        self._lock = lock
        self._log = Log()
        self._registry: Registry = row.registry
        self._program = ask.command_of(row.registry)

    # The two ways through

    def carry_out(self) -> None:
        """All of it."""
        self._write(state=Collection.State.RUNNING, began_at=timezone.now())
        try:
            self._check_before()
        except _Stopped as stopped:
            self._end(Collection.State.STOPPED, stopped.code, **stopped.named)
            return
        before: Reading | None = None
        promised: set[str] = set()
        stopped_by: _Stopped | None = None
        failed = ""
        try:
            before, promised = self._prepare()
            failed = self._collect() if promised else ""
        except _Stopped as found:
            stopped_by = found
        except jobs.JobLost:
            self._start(alone=True)
            raise
        except BaseException:
            self._end(Collection.State.FAILED, "fault" if self._start() else "start-failed")
            raise
        has_started = self._start()
        if stopped_by is not None:
            code = stopped_by.code if has_started else "start-failed"
            state = Collection.State.STOPPED if has_started else Collection.State.FAILED
            self._end(state, code, because=stopped_by.code, **stopped_by.named)
            return
        assert before is not None
        self._finish(before, promised, failed, has_started=has_started)

    def take_up(self) -> None:
        """The registry is started, whatever the worker was at that is gone."""
        logger.warning("a collection of %s was interrupted at %s", self._registry.slug, self._row.step or "its begin")
        at = self._row.step
        self._log.add(self._row.log.encode())
        has_started = self._start()
        outlook.look_again(self._registry)
        code = "interrupted" if has_started else "start-failed"
        self._end(Collection.State.INTERRUPTED, code, at=at)

    # Before anything is touched

    def _check_before(self) -> None:
        code = ask.unusable(self._registry) or (ask.BUSY if is_changing(self._registry) else "")
        if code:
            raise _Stopped(code)
        session = connections.background(registry=self._registry, budget=JUDGE_BUDGET).session
        verdict = mount.judge(self._registry, session)
        if verdict.mount == IndexState.Mount.UNKNOWN:
            raise _Stopped("mount-unknown", **verdict.difference)
        if verdict.mount != IndexState.Mount.BELONGS:
            raise _Stopped("mount-differs", **verdict.difference)

    # Up to the point of no return

    def _prepare(self) -> tuple[Reading, set[str]]:
        """Everything before the first blob goes: our reading, and what the collector is going to remove."""
        with self._step("stop"):
            self._call_or_stop(Word.STOP)
        with self._step("check"):
            self._refuse_unless_refused(PROBED_REPOSITORY)
        with self._step("read"):
            reading = self._read()
            uncertain = next((problem for problem in reading.facts.problems if problem.code in UNCERTAIN), None)
            if uncertain is not None:
                raise _Stopped("reading-uncertain", problem=uncertain.code, path=uncertain.path)
        with self._step("dry-run"):
            found = self._dry_run()
        with self._step("compare"):
            self._compare(reading, found)
        promised = found.blobs
        sizes = reading.facts.blobs
        self._write(promised_blobs=len(promised), promised_bytes=sum(sizes[digest] for digest in promised))
        with self._step("check-again"):
            if self._heart.cancelled:
                raise _Stopped("cancelled")
            if is_changing(self._registry):
                raise _Stopped(ask.BUSY)
            names = [repository.name for repository in reading.facts.repositories if is_repository(repository.name)]
            self._refuse_unless_refused(RepositoryName(names[0]) if names else PROBED_REPOSITORY)
        return reading, promised

    def _refuse_unless_refused(self, repository: RepositoryName) -> None:
        answer = writes.why_not_refused(self._registry, repository)
        if answer:
            raise _Stopped("writes-accepted" if answer == writes.ACCEPTED else "writes-unclear", answer=answer)

    def _read(self) -> Reading:
        try:
            return take(
                Path(self._registry.storage_root),
                now=time.time(),
                in_flight_seconds=settings.IN_FLIGHT_SECONDS,
                progress=lambda _stage, _done, _total: self._beat(),
                cancelled=lambda: self._heart.cancelled,
            )
        except Cancelled:
            raise _Stopped("cancelled") from None
        except StorageError as error:
            raise _Stopped(error.code, **error.parameters) from error

    def _dry_run(self) -> DryRun:
        parser = Parser()
        try:
            exit_code = self._call(Word.DRY_RUN, output=parser.feed)
            return parser.end(exit_code)
        except CommandFailed as failed:
            raise _Stopped("dry-run-failed", why=failed.code) from failed
        except Void as void:
            raise _Stopped("dry-run-failed", why=void.code) from void

    def _compare(self, reading: Reading, found: DryRun) -> None:
        """The collector's own list against ours. Raises _Stopped where they do not go together."""
        facts, graph = reading.facts, reading.graph
        if found.manifests:
            raise _Stopped("removes-manifests", count=len(found.manifests))
        elsewhere = [digest for digest in found.blobs if digest not in facts.blobs]
        if elsewhere:
            raise _Stopped("other-storage", count=len(elsewhere), named=sorted(elsewhere)[:MAX_NAMED])
        v2 = str(layout.v2_directory(Path(self._registry.storage_root)).absolute())
        live = live_blobs(v2, facts, graph)
        hit = {number for digest in found.blobs if (number := graph.number_of(digest)) in live}
        if not hit:
            return
        needing: list[dict[str, str]] = []
        for repository in facts.repositories:
            lost = hit & graph.reached(repository.revisions)
            needing += [{"repository": repository.name, "digest": graph.digests[number]} for number in sorted(lost)]
            if len(needing) >= MAX_NAMED:
                break
        named = needing[:MAX_NAMED] or [{"repository": "", "digest": graph.digests[number]} for number in sorted(hit)]
        raise _Stopped("intersects", count=len(hit), bytes=graph.bytes_of(hit), needed=named[:MAX_NAMED])

    # The collection itself, and afterwards

    def _collect(self) -> str:
        """Runs the collector; "" or the code of how it failed. From here on nobody's wish to cancel counts."""
        try:
            with self._step("collect"):
                exit_code = self._call(Word.COLLECT)
        except CommandFailed as failed:
            return f"collect-{failed.code}"
        return "collect-failed" if exit_code else ""

    def _start(self, *, alone: bool = False) -> bool:
        """Has the registry serve again; whether the command said so. `alone`: the row is somebody else's by now."""
        for attempt in range(START_TRIES):
            if attempt:
                time.sleep(START_PAUSE)
            try:
                if alone:
                    code = command.call(
                        self._program,
                        Word.START,
                        seconds=SECONDS[Word.START],
                        log=self._log,
                        lock=self._lock,
                        beat=lambda: None,
                    )
                else:
                    with self._step("start"):
                        code = self._call(Word.START)
            except CommandFailed:
                continue
            except jobs.JobLost:
                self._start(alone=True)
                raise
            if code == 0:
                return True
        logger.error("the registry %s could not be started after a collection", self._registry.slug)
        return False

    def _finish(self, before: Reading, promised: set[str], failed: str, *, has_started: bool) -> None:
        """Looks at the disk again: what is gone, and whether every image is still whole."""
        answers = self._answers() if has_started else False
        with self._step("verify"):
            try:
                after = self._read()
            except _Stopped as unread:
                self._end(Collection.State.FAILED, "not-verified", why=unread.code)
                return
            then, now = before.facts.blobs, after.facts.blobs
            gone = then.keys() - now.keys()
            v2 = str(layout.v2_directory(Path(self._registry.storage_root)).absolute())
            damaged = self._damaged(v2, before, after)
            images = sum(len(repository.tags) for repository in after.facts.repositories)
        self._write(freed_blobs=len(gone), freed_bytes=sum(then[digest] for digest in gone))
        outcome: dict[str, Any] = {
            "images": images,
            "left": {"blobs": len(promised - gone), "bytes": sum(then[digest] for digest in promised - gone)},
            "besides": {"blobs": len(gone - promised), "bytes": sum(then[digest] for digest in gone - promised)},
            "answers": answers,
        }
        if damaged:
            outcome |= {"damaged": damaged[:MAX_NAMED], "count": len(damaged)}
        code = "damaged" if damaged else failed or ("" if has_started else "start-failed")
        outcome["lost"] = outlook.look_again(self._registry)
        self._end(Collection.State.FAILED if code else Collection.State.DONE, code, **outcome)

    def _damaged(self, v2: str, before: Reading, after: Reading) -> list[dict[str, str]]:
        """Tags whose image was whole before and is not any more, and lost blobs that something reaches."""
        was = whole_images(v2, before.facts, before.graph)
        now = whole_images(v2, after.facts, after.graph)
        broken = [key for key, is_whole in now.items() if not is_whole and was.get(key, False)]
        found = [{"repository": repository, "tag": tag} for repository, tag in sorted(broken)]
        live = before.graph.digests_of(live_blobs(v2, before.facts, before.graph))
        lost = sorted(live - after.facts.blobs.keys())
        return found + [{"repository": "", "digest": digest} for digest in lost]

    def _answers(self) -> bool:
        until = time.monotonic() + ANSWERS_WITHIN
        while time.monotonic() < until:
            try:
                connections.background(registry=self._registry, budget=5.0).session.ping()
            except RegistryError:
                self._beat()
                time.sleep(0.3)
            else:
                return True
        return False

    # Calling, and the row

    def _call_or_stop(self, word: Word) -> None:
        try:
            exit_code = self._call(word)
        except CommandFailed as failed:
            raise _Stopped(f"{word}-failed", why=failed.code) from failed
        if exit_code:
            raise _Stopped(f"{word}-failed", exit_code=exit_code)

    def _call(self, word: Word, output: Any = None) -> int:
        return command.call(
            self._program,
            word,
            seconds=SECONDS[word],
            log=self._log,
            lock=self._lock,
            beat=self._beat,
            output=output,
        )

    def _beat(self) -> None:
        self._heart.beat(STEPS.index(self._row.step) if self._row.step in STEPS else 0, len(STEPS))

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self._write(step=name)
        self._beat()
        try:
            yield
        finally:
            self._row.steps.append({"step": name, "seconds": round(time.monotonic() - began, 3)})
            self._write(steps=self._row.steps, log=self._log.text())

    def _write(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self._row, name, value)
        Collection.objects.filter(pk=self._row.pk, state__in=Collection.LIVE).update(**values)

    def _end(self, state: Collection.State, code: str, **outcome: Any) -> None:
        row = self._row
        self._write(
            log=self._log.text(), outcome_code=code, outcome=outcome, ended_at=timezone.now(), step="", state=state
        )
        ended = {
            Collection.State.DONE: AuditEntry.Outcome.DONE,
            Collection.State.STOPPED: AuditEntry.Outcome.REFUSED,
        }.get(state, AuditEntry.Outcome.FAILED)
        audit.record(
            actor=Actor(row.user_name, row.address),
            action=AuditEntry.Action.COLLECT,
            outcome=ended,
            registry=self._registry.slug,
            code=code,
            freed=row.freed_bytes,
        )
        cancelled = code == "cancelled"
        states = {Collection.State.DONE: Job.State.DONE}
        job_state = Job.State.CANCELLED if cancelled else states.get(state, Job.State.FAILED)
        jobs.finish(self._job, job_state, code, freed=row.freed_bytes)
        if state != Collection.State.STOPPED:
            scans.ask_for_scan(registry=self._registry, user=None)
