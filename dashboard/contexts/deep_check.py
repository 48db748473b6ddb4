"""The deep check as it is shown: how far, how long still, what is damaged, who needs it, and what truly mends it."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.models import DeepCheck, Job, Registry
from dashboard.registry.references import is_repository
from dashboard.services.access import Access
from dashboard.services.deep_check import Standing
from dashboard.services.deep_check_uses import Found
from dashboard.services.storage_source import Source
from dashboard.storage import hashing
from dashboard.storage.errors import StorageError

from . import links
from .errors import Problem, problem_of, storage_problem
from .formats import count, duration, legible, share, size

_SIZE = "size"
_TITLES: Mapping[str, Promise] = {
    _SIZE: gettext_lazy("It has another length"),
    hashing.MISMATCH: gettext_lazy("Its content is not what its digest says"),
    hashing.UNREADABLE: gettext_lazy("It cannot be read"),
    hashing.NOT_A_FILE: gettext_lazy("No file lies where its data belongs"),
    hashing.SYMLINK: gettext_lazy("A symbolic link, which was not followed"),
}


@dataclass(frozen=True, slots=True)
class Named:
    """A tag that needs a blob."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class DamageLine:
    """A damaged blob: `what` is wrong and `detail` of it, who needs it, and the command that takes it away."""

    digest: str
    path: str
    what: str
    detail: str
    advice: str
    tags: Sequence[Named]
    others: str
    command: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found: all of it in figures, the first of it by name. `ended_at` is None while it goes on."""

    ended_at: dt.datetime | None
    blobs: int
    bytes: int
    took: str
    damaged: int
    lines: Sequence[DamageLine]
    more: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a check is, and how long still (a sentence, "" if that cannot be told)."""

    done: int
    total: int
    share: str
    text: str
    left: str


@dataclass(frozen=True, slots=True)
class DeepCheckPage:
    """Everything that deep_check.html shows. `impossible` says why there is no check; "" if there can be one."""

    impossible: str
    mount_problem: Problem | None
    may_start: bool
    live: bool
    waiting: bool
    pause_url: str
    pace: str
    progress: Progress | None
    failure: Problem | None
    fault: bool
    so_far: CheckResult | None
    last: CheckResult | None


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """A line of the storage page: what the last check found. `broken`: something."""

    text: str
    broken: bool
    at: dt.datetime | None
    url: str


def deep_check_page(
    access: Access,
    standing: Standing,
    storage: Source | StorageError | None,
    *,
    so_far: Sequence[Found],
    last: Sequence[Found],
    mib_per_second: int,
) -> DeepCheckPage:
    """The view model; `so_far` are findings of the check that goes on, `last` those of the one before."""
    registry, job, check = access.registry, standing.job, standing.unfinished
    failed = job is not None and job.state == Job.State.FAILED
    failure = storage_problem(job.outcome_code, job.outcome) if job and failed and "path" in job.outcome else None
    may_pause = access.administers or (job is not None and job.requested_by_id == access.user.pk)
    return DeepCheckPage(
        impossible=_impossible(registry),
        mount_problem=problem_of(storage) if isinstance(storage, StorageError) else None,
        may_start=access.administers,
        live=standing.is_live,
        waiting=standing.is_live and check is None,
        pause_url=links.cancel_job(registry, job.pk) if job and job.is_live and may_pause else "",
        pace=_("at most %(n)s MiB a second") % {"n": count(mib_per_second)} if mib_per_second else _("unthrottled"),
        progress=_progress(check) if check else None,
        failure=failure,
        fault=failed and failure is None,
        so_far=_result(registry, check, so_far) if check and check.damaged else None,
        last=_result(registry, standing.finished, last) if standing.finished else None,
    )


def check_summary(registry: Registry, standing: Standing) -> CheckSummary | None:
    """For the storage page; None where there is nothing to be checked."""
    if not registry.storage_root:
        return None
    url = reverse("deep-check", args=[registry.slug])
    going = standing.unfinished
    check = going if going and going.damaged else standing.finished
    if check is None:
        text = _("A deep check is under way.") if standing.is_live else _("No deep check yet: is every blob whole?")
        return CheckSummary(text, broken=False, at=None, url=url)
    if check.damaged:
        text = ngettext("%(n)s blob is damaged", "%(n)s blobs are damaged", check.damaged) % {"n": count(check.damaged)}
        return CheckSummary(text, broken=True, at=check.finished_at, url=url)
    return CheckSummary(_("Every blob was what its digest says"), broken=False, at=check.finished_at, url=url)


def _impossible(registry: Registry) -> str:
    if registry.storage_root:
        return ""
    if registry.storage_url:
        return _(
            "The storage is a bucket: reading all of it would be a download of every byte, so the check is for mounted "
            "directories alone. S3 keeps checksums of its own."
        )
    return _("The registry's storage is not mounted here.")


def _progress(check: DeepCheck) -> Progress:
    left = ""
    if check.bytes and check.seconds > 1 and check.total_bytes > check.bytes:
        seconds = (check.total_bytes - check.bytes) * check.seconds / check.bytes
        left = _("about %(time)s left") % {"time": duration(max(1, round(seconds)))}
    values = {
        "done": size(check.bytes),
        "total": size(check.total_bytes),
        "blobs": count(check.blobs),
        "of": count(check.total_blobs),
    }
    text = _("%(done)s of %(total)s, %(blobs)s of %(of)s blobs") % values
    return Progress(check.bytes, max(check.total_bytes, 1), share(check.bytes, check.total_bytes), text, left)


def _result(registry: Registry, check: DeepCheck, found: Sequence[Found]) -> CheckResult:
    return CheckResult(
        check.finished_at,
        check.blobs,
        check.bytes,
        duration(round(check.seconds)),
        check.damaged,
        [_line(registry, check, each) for each in found],
        check.damaged - len(found),
    )


def _line(registry: Registry, check: DeepCheck, found: Found) -> DamageLine:
    row = found.row
    code, detail = row.code, ""
    if code == hashing.MISMATCH:
        if found.claimed is not None and found.claimed != row.bytes:
            code = _SIZE
            detail = _("%(is)s bytes, and its images say %(claimed)s.") % {
                "is": count(row.bytes),
                "claimed": count(found.claimed),
            }
        else:
            detail = _("What lies there has the digest %(digest)s.") % {"digest": row.found}
    path = f"{check.root}/{hashing.readable(row.path)}"
    mendable = code in (_SIZE, hashing.MISMATCH, hashing.UNREADABLE) and bool(row.digest)
    return DamageLine(
        digest=row.digest,
        path=hashing.readable(row.path),
        what=str(_TITLES.get(code, code)),
        detail=detail,
        advice=_advice(code, found, is_blob=bool(row.digest)),
        tags=[
            Named(legible(f"{name}:{tag}", 200), links.tag(registry, name, tag) if is_repository(name) else "")
            for name, tag in found.tags
        ],
        others=_others(found),
        command=f"rm -r {shlex.quote(path)}" if mendable else "",
    )


def _advice(code: str, found: Found, *, is_blob: bool) -> str:
    if code == hashing.SYMLINK:
        return _("What lies behind it was not checked. Mount the storage so that its blobs lie in it themselves.")
    if code == hashing.NOT_A_FILE:
        return _("Look at it; no registry made it.")
    if not is_blob:
        return _("Nothing in this directory was checked. Give the dashboard's user read access to it.")
    if code == hashing.UNREADABLE:
        return _("Twice. If it is not for missing permission, the disk may be failing: look at its log first.")
    if found.is_manifest:
        return _("It is a manifest: the registry answers with an error to whoever pulls it.")
    return _("The registry hands it out as it is; clients refuse what they get, so that pulls fail.")


def _others(found: Found) -> str:
    more = found.tag_count - len(found.tags)
    texts = []
    if more:
        texts.append(ngettext("and %(n)s other tag", "and %(n)s other tags", more) % {"n": count(more)})
    if found.unseen:
        texts.append(_("and others that you cannot see"))
    return " ".join(texts)
