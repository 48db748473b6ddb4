"""How the index of a registry stands: being built, out of date, or with something that people should know."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from dashboard.models import IndexState, Job

from .errors import Problem
from .formats import count, duration, legible
from .unread import failure

MAX_NAMED = 20
LEAST_SECONDS = 3
LEAST_DONE = 20


@dataclass(frozen=True, slots=True)
class Building:
    """The first refresh, as far as it is. `left`: how long still, "" while nobody can tell."""

    live: bool
    waiting: bool
    done: int
    total: int
    left: str
    failure: Problem | None
    fault: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know about the index. `accept`: an administrator can let the next refresh go through with it."""

    title: str
    sentence: str
    level: str = "warning"
    names: Sequence[str] = ()
    more: int = 0
    accept: bool = False


def building(state: IndexState, job: Job | None) -> Building | None:
    """The state of the first refresh; None where there has been one."""
    if state.refreshed_at is not None:
        return None
    failed = job is not None and job.state in (Job.State.FAILED, Job.State.CANCELLED)
    problem = failure(job.outcome_code, job.outcome) if failed and job is not None else None
    return Building(
        live=job is not None and job.is_live,
        waiting=job is None or job.state == Job.State.WAITING,
        done=job.progress if job else 0,
        total=job.total if job else 0,
        left=_left(job) if job else "",
        failure=problem,
        fault=failed and problem is None,
    )


def notices(
    state: IndexState, job: Job | None, names: Mapping[str, bool] | None, *, unanswered: Problem | None
) -> list[Notice]:
    """What there is to know, the gravest first. `names`: which repositories may be named; None for all of them."""
    found: list[Notice] = []
    if unanswered is not None:
        found.append(
            Notice(
                unanswered.title,
                gettext("What is shown is what the index knows. %(sentence)s") % {"sentence": unanswered.sentence},
            )
        )
    if state.refreshed_at is not None and job is not None and job.state == Job.State.FAILED:
        found.append(_failed(job))
    by_code: dict[str, list[dict[str, Any]]] = {}
    for notice in state.notices:
        by_code.setdefault(str(notice.get("code")), []).append(notice)
    found += [_shrink(each) for each in by_code.get("shrink-of-repositories", ())[:1]]
    found += _about_repositories(by_code, names)
    if state.mount == IndexState.Mount.DIFFERS:
        found.append(_other_storage(state, names))
    if "list-incomplete" in by_code:
        found.append(Notice(gettext("The registry broke off its own list"), gettext("There may be more repositories.")))
    return found


def named_in(state: IndexState) -> list[str]:
    """The repositories that the notices name: the gate says which of them may be told."""
    told = [notice.get("repository") for notice in state.notices] + [state.mount_difference.get("repository")]
    return sorted({name for name in told if isinstance(name, str)})


def _lost_all(n: int) -> str:
    return ngettext(
        "%(n)s repository lost all of its tags at once", "%(n)s repositories lost all of their tags at once", n
    )


def _not_read(n: int) -> str:
    return ngettext("%(n)s repository could not be read", "%(n)s repositories could not be read", n)


_LISTED = {
    "shrink-of-tags": (
        _lost_all,
        _(
            "Their tags are still shown: storage that is half mounted looks like that. Look at the registry; if the "
            "tags were really deleted, an administrator accepts it here."
        ),
        True,
    ),
    "repository-not-read": (
        _not_read,
        _("The next refresh tries again; opening one reads it at once."),
        False,
    ),
}


def _shrink(notice: Mapping[str, Any]) -> Notice:
    numbers = {"gone": count(int(notice.get("gone", 0))), "known": count(int(notice.get("known", 0)))}
    return Notice(
        gettext("%(gone)s of %(known)s repositories are gone from the registry's list") % numbers,
        gettext(
            "They are still shown: a registry whose storage is not mounted answers with an empty list. Look at the "
            "registry; if they were really deleted, an administrator accepts it here."
        ),
        "danger",
        accept=True,
    )


def _about_repositories(
    by_code: Mapping[str, Sequence[Mapping[str, Any]]], names: Mapping[str, bool] | None
) -> list[Notice]:
    found = []
    for code, (title, sentence, accept) in _LISTED.items():
        told = [str(notice.get("repository", "")) for notice in by_code.get(code, ())]
        told = [name for name in told if names is None or names.get(name)]
        if told:
            shown = [legible(name, 255) for name in told[:MAX_NAMED]]
            more = len(told) - len(shown)
            found.append(
                Notice(
                    title(len(told)) % {"n": count(len(told))},
                    str(sentence),
                    "danger" if accept else "warning",
                    shown,
                    more,
                    accept,
                )
            )
    return found


def _other_storage(state: IndexState, names: Mapping[str, bool] | None) -> Notice:
    difference = state.mount_difference
    name = str(difference.get("repository", ""))
    sentence = gettext(
        "Storage and registry do not say the same, so the index is read over the API. Mount the registry's own "
        "storage, or take DASHBOARD_STORAGE_ROOT away."
    )
    if name and (names is None or names.get(name)):
        first = f"{name}:{difference.get('tag', '')}"
        sentence += " " + gettext("The first difference: %(name)s.") % {"name": legible(first, 400)}
    return Notice(gettext("The mounted storage is of another registry"), sentence)


def _failed(job: Job) -> Notice:
    problem = failure(job.outcome_code, job.outcome)
    title = gettext("The last refresh of the index failed")
    if problem is None:
        return Notice(title, gettext("The worker's log says why. What is shown is from the refresh before."))
    sentence = f"{problem.title}. {problem.sentence} {problem.advice}".strip()
    return Notice(title, sentence)


def _left(job: Job) -> str:
    """How long the rest takes at the rate so far."""
    if job.started_at is None or job.progress < LEAST_DONE or job.total <= job.progress:
        return ""
    spent: dt.timedelta = timezone.now() - job.started_at
    if spent.total_seconds() < LEAST_SECONDS:
        return ""
    return duration(max(1, round(spent.total_seconds() * (job.total - job.progress) / job.progress)))
