"""The delete page as it is shown: what goes, what stays, what it frees, and how a deletion ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from dashboard.models import Deletion, DeletionPlan
from dashboard.registry.client import Deletion as Ability
from dashboard.registry.references import short
from dashboard.services.access import Access
from dashboard.services.deletion.plan import Effect, effect_in

from . import links
from .errors import operation_name

_REFUSALS = {
    "stale": gettext_lazy("The plan is older than an hour. Look at it again."),
    "changed": gettext_lazy("What you confirmed is not what the plan says. Look at it again."),
    "used": gettext_lazy("This plan was carried out already."),
    "not-offered": gettext_lazy("That way is not possible for this tag."),
    "tick": gettext_lazy("It cannot be brought back; say so by the tick."),
    "busy": gettext_lazy("Another deletion is running in this repository. Try again in a moment."),
    "off": gettext_lazy("Deletion is switched off on the registry. Nothing was changed."),
    "database-busy": gettext_lazy("The dashboard's database was busy. Nothing was done."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of goes or stays: what, bytes where they are known, and a note."""

    what: str
    bytes: int | None
    note: str


@dataclass(frozen=True, slots=True)
class DeletePage:
    """Everything that delete.html shows while nothing was deleted."""

    repository: str
    tag: str
    url: str
    tag_url: str
    repository_url: str
    plan_id: str
    fingerprint: str
    digest: str
    impossible: str
    fix: str
    can_remove: bool
    why_only_name: str
    goes: Sequence[Line]
    goes_name: Sequence[Line]
    stays: Sequence[Line]
    total: int
    frees: int
    missing: Sequence[str]
    by_throwaway: bool
    acting_as: str
    host: str
    trash_until: dt.datetime
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Result:
    """How a deletion stands: a level, one sentence, and what to do."""

    level: str
    title: str
    sentence: str
    advice: str
    said: Sequence[dict[str, str]]
    running: bool


def delete_page(access: Access, plan: DeletionPlan) -> DeletePage:
    """The view model of the plan."""
    effect, registry = effect_in(plan), access.registry
    impossible, fix = _impossible(access, effect)
    return DeletePage(
        repository=plan.repository,
        tag=plan.tag,
        url=links.delete(registry, plan.repository, plan.tag),
        tag_url=links.tag(registry, plan.repository, plan.tag),
        repository_url=links.repository(registry, plan.repository),
        plan_id=str(plan.pk),
        fingerprint=plan.fingerprint,
        digest=plan.digest,
        impossible=impossible,
        fix=fix,
        can_remove=effect.can_remove,
        why_only_name=_why_only_name(effect),
        goes=_goes(plan, effect) if effect.can_remove else [_name_line(plan)],
        goes_name=[_name_line(plan)],
        stays=_stays(plan, effect),
        total=effect.total,
        frees=effect.frees if effect.can_remove else 0,
        missing=[short(text) if ":" in text else text for text in effect.missing],
        by_throwaway=effect.ability == Ability.BY_DIGEST,
        acting_as=access.acting.name,
        host=registry.public_host,
        trash_until=timezone.now() + dt.timedelta(days=settings.TRASH_DAYS),
        expires_at=plan.expires_at,
    )


def refusal(code: str) -> str:
    """Why a confirmed plan was not begun."""
    return str(_REFUSALS.get(code, _REFUSALS["changed"]))


def result(row: Deletion) -> Result:
    """How a deletion stands, in a sentence."""
    tag, digest, registry = row.tag, short(row.digest), row.registry.public_host
    names = ", ".join(row.outcome.get("tags", []))
    now = short(str(row.outcome.get("now", "")))
    if row.state == Deletion.State.IN_PROGRESS:
        waiting = (
            _("The credential that began it is gone or refused, so it cannot go on. Enter it again.")
            if row.outcome_code == "credential-gone"
            else _("The worker looks every minute and finishes it or puts it back.")
        )
        return Result(
            "warning",
            _("Deleting %(tag)s is in progress") % {"tag": tag},
            _("The registry did not answer in time."),
            waiting,
            (),
            running=True,
        )
    if row.state == Deletion.State.DONE:
        return Result("success", *_done(row, tag, digest, names, now), (), running=False)
    error = dict(row.outcome["error"]) if isinstance(row.outcome.get("error"), dict) else {}
    said = row.outcome.get("said", [])
    if row.state == Deletion.State.ROLLED_BACK:
        sentence = _("The registry refused the second half, so %(tag)s was put back as it was.") % {"tag": tag}
        return Result("danger", _("%(tag)s was not deleted") % {"tag": tag}, sentence, "", said, running=False)
    if row.state == Deletion.State.FAILED:
        sentences = {
            "still-there": _("The registry accepted the deletion, but still lists the tag."),
            "gave-up": _("It could not be finished for a week."),
        }
        sentence = sentences.get(row.outcome_code, _("It ended in a fault."))
        return Result("danger", _("%(tag)s could not be deleted") % {"tag": tag}, sentence, "", said, running=False)
    sentences = {
        "moved": _(
            "%(tag)s was pushed again since you looked: it now points "
            "at %(now)s. Nothing is deleted that you did not see."
        ),
        "vanished": _("%(tag)s was gone already."),
        "alias-since": _(
            "%(names)s points at the same image since you looked. Nothing was deleted; the name alone can go."
        ),
        "parent-since": _("An index reached by %(names)s lists this image since you looked. Nothing was deleted."),
        "unread": _(
            "Not everything could be read (%(names)s), so nobody can "
            "say what else needs this image. Nothing was deleted."
        ),
        "deletion-disabled": _("Deletion is switched off on %(registry)s. Nothing was changed."),
        "read-only": _("%(registry)s is in read-only mode. Nothing was changed."),
        "unauthorized": _(
            "%(registry)s answered 401 to %(operation)s as %(user)s: this "
            "credential may not delete here. Nothing was changed."
        ),
        "forbidden": _("%(registry)s answered 403 to %(operation)s as %(user)s. Nothing was changed."),
    }
    sentence = sentences.get(row.outcome_code, _("%(registry)s refused %(operation)s. Nothing was changed.")) % {
        "tag": tag,
        "now": now,
        "names": names,
        "registry": registry,
        "operation": operation_name(str(error.get("operation", ""))),
        "user": error.get("user") or pgettext("acting as", "nobody"),
    }
    advice = (
        _("Set REGISTRY_STORAGE_DELETE_ENABLED=true on the registry and restart it.")
        if row.outcome_code == "deletion-disabled"
        else ""
    )
    return Result("danger", _("%(tag)s was not deleted") % {"tag": tag}, sentence, advice, said, running=False)


def _done(row: Deletion, tag: str, digest: str, names: str, now: str) -> tuple[str, str, str]:
    title = _("%(tag)s was deleted") % {"tag": tag}
    kept = _("The manifest is kept for the coming Restore.")
    sentences = {
        "removed": _(
            "The tag and what it named, %(digest)s, are gone from the "
            "repository. The registry's garbage collection frees the bytes."
        ),
        "untagged": _("Only the name is gone; %(digest)s can still be pulled by its digest."),
        "only-untagged": _(
            "The name is gone; %(digest)s stays, because something needs it or the registry kept it. %(names)s"
        ),
        "deleted-late": _("The tag is gone; the registry could not take the manifest back."),
        "pushed-meanwhile": _(
            "It was gone, and somebody pushed %(tag)s again meanwhile: it now points at %(now)s and stays."
        ),
        "siblings-changed": _("The tag is gone. These tags were changed by somebody else meanwhile: %(names)s."),
        "siblings-put-back": _(
            "The tag is gone. These tags were moved onto the same "
            "image at the last moment and were put back: %(names)s."
        ),
    }
    sentence = sentences.get(row.outcome_code, sentences["untagged"]) % {
        "tag": tag,
        "digest": digest,
        "names": names,
        "now": now,
    }
    return title, sentence, kept


def _impossible(access: Access, effect: Effect) -> tuple[str, str]:
    """Why nothing can be deleted here at all, and the fix; empty where it can."""
    host = access.registry.public_host
    user = access.acting.name or pgettext("acting as", "nobody")
    return {
        Ability.DISABLED: (
            _("Deletion is switched off on %(host)s.") % {"host": host},
            _(
                "Set REGISTRY_STORAGE_DELETE_ENABLED=true "
                "(storage.delete.enabled: true) on the registry and restart it."
            ),
        ),
        Ability.READ_ONLY: (
            _("%(host)s is in read-only mode.") % {"host": host},
            _("Switch storage.maintenance.readonly off on the registry and restart it."),
        ),
        Ability.REFUSED: (
            _("%(host)s does not let %(user)s delete here.") % {"host": host, "user": user},
            _("The credential needs the right to delete in this repository."),
        ),
        Ability.UNKNOWN: (_("%(host)s does not say whether it deletes.") % {"host": host}, ""),
    }.get(Ability(effect.ability), ("", ""))


def _why_only_name(effect: Effect) -> str:
    if effect.aliases:
        names = ", ".join(effect.aliases[:10])
        return ngettext(
            "%(names)s has the same digest and stays.", "%(names)s have the same digest and stay.", len(effect.aliases)
        ) % {"names": names}
    if effect.parents:
        tags = sorted({tag for parent in effect.parents for tag in parent["tags"]})
        return _("An index lists this image and stays (reached by %(names)s).") % {
            "names": ", ".join(tags) or _("no tag")
        }
    if effect.unread:
        return _("Not everything could be read (%(names)s), so nobody can say what else needs this image.") % {
            "names": ", ".join(effect.unread[:10])
        }
    return ""


def _name_line(plan: DeletionPlan) -> Line:
    return Line(_("The tag %(tag)s") % {"tag": plan.tag}, None, _("The name can no longer be pulled."))


def _goes(plan: DeletionPlan, effect: Effect) -> list[Line]:
    kind = _("Its index") if effect.kind == "index" else _("Its image")
    lines = [_name_line(plan), Line(kind, None, short(effect.digest))]
    if effect.children:
        n = len(effect.children)
        labels = ", ".join(_child_label(child) for child in effect.children)
        lines.append(
            Line(ngettext("%(n)s entry of that index", "%(n)s entries of that index", n) % {"n": n}, None, labels)
        )
    lines.append(
        Line(
            _("Layers and configurations that nothing else here needs"),
            effect.frees,
            _("at most, freed by the next garbage collection"),
        )
    )
    return lines


def _stays(plan: DeletionPlan, effect: Effect) -> list[Line]:
    lines = [Line(_("Tag %(tag)s") % {"tag": tag}, None, _("It has the same digest.")) for tag in effect.aliases[:10]]
    for parent in effect.parents[:10]:
        note = _("reached by %(tags)s") % {"tags": ", ".join(parent["tags"]) or _("no tag")}
        lines.append(Line(_("The index %(digest)s") % {"digest": short(parent["digest"])}, None, note))
    needed = _("Another tag or index needs it.")
    lines += [
        Line(_("%(label)s of the index") % {"label": _child_label(child)}, None, needed)
        for child in effect.kept_children[:10]
    ]
    signs = (
        _("A signature or the like. It stays, and has nothing to sign any more.")
        if effect.can_remove
        else _("A signature or the like of the image that stays.")
    )
    lines += [Line(_("Tag %(tag)s…") % {"tag": tag[:19]}, None, signs) for tag in effect.attached[:5]]
    if effect.can_remove and effect.total > effect.frees:
        lines.append(Line(_("Layers that other tags need"), effect.total - effect.frees, ""))
    if not effect.can_remove:
        lines.append(Line(_("The image itself"), effect.total, _("It stays, with all its layers.")))
    return lines


def _child_label(child: dict[str, str]) -> str:
    return _("attestation") if child["label"] == "attestation" else child["label"]
