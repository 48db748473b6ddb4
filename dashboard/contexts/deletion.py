"""The delete page before anything is deleted: tag by tag what happens, what goes and stays, what it frees."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from dashboard.charts.bars import Segment, segments
from dashboard.models import DeletionPlan
from dashboard.registry.client import Deletion as Ability
from dashboard.registry.references import is_digest, short
from dashboard.services.access import Access
from dashboard.services.deletion.effect import Effect, Item
from dashboard.services.deletion.execute import must_type
from dashboard.services.deletion.plan import effect_in

from . import links
from .formats import count, legible
from .kinds import attachment

MAX_LINES = 1000
MAX_NAMES = 10

_REFUSALS = {
    "stale": gettext_lazy("The plan is older than an hour. Look at it again."),
    "changed": gettext_lazy("What you confirmed is not what the plan says. Look at it again."),
    "used": gettext_lazy("This plan was carried out already."),
    "not-offered": gettext_lazy("That way is not possible for this."),
    "nothing": gettext_lazy("Nothing of what you chose can be deleted."),
    "type-the-name": gettext_lazy("The repository's name was not typed as it is. Nothing was deleted."),
    "tick": gettext_lazy("It cannot be brought back; say so by the tick."),
    "busy": gettext_lazy("Another deletion is running in this repository. Try again in a moment."),
    "off": gettext_lazy("Deletion is switched off on the registry. Nothing was changed."),
    "collecting": gettext_lazy("A garbage collection is running. Try again when it has ended."),
    "database-busy": gettext_lazy("The dashboard's database was busy. Nothing was done."),
    "too-many": gettext_lazy("More than 10,000 were chosen at once. Choose fewer."),
    "nothing-chosen": gettext_lazy("Nothing is like that here: no tag was chosen."),
    "nothing-untagged": gettext_lazy("Nothing is like that here (any more): no untagged image was chosen."),
}


@dataclass(frozen=True, slots=True)
class TagLine:
    """A row: the tag ("" for an untagged image), what happens to it, and what that frees in bytes (None: nothing)."""

    tag: str
    url: str
    digest: str
    refused: bool
    what: str
    why: str
    again_url: str
    frees: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of goes or stays: what, bytes where they are known, and a note."""

    what: str
    bytes: int | None
    note: str


@dataclass(frozen=True, slots=True)
class DeletePage:
    """Everything that delete.html shows while nothing was deleted. Sizes in bytes."""

    repository: str
    url: str
    repository_url: str
    plan_id: str
    fingerprint: str
    title: str
    rule: str
    verb: str
    chosen: int
    possible: int
    impossible: str
    fix: str
    lines: Sequence[TagLine]
    more_lines: int
    goes: Sequence[Line]
    stays: Sequence[Line]
    bar: Sequence[Segment]
    total: int
    frees: int
    keeps: int
    exact: bool
    leaves: int
    methods: Sequence[str]
    lost: Sequence[str]
    referrers: Sequence[str]
    takes_referrers: bool
    referrers_url: str
    whole: bool
    typed: bool
    acting_as: str
    host: str
    trash_until: dt.datetime

    @property
    def removes(self) -> bool:
        """Whether anything but names goes."""
        return "remove" in self.methods


def delete_page(access: Access, plan: DeletionPlan) -> DeletePage:
    """The view model of the plan."""
    effect, registry = effect_in(plan), access.registry
    impossible, fix = _impossible(access, effect)
    lines = [line for item in effect.items for line in _lines(access, plan, effect, item)]
    possible = sum(not line.refused for line in lines)
    path = links.delete_path(registry, plan.repository)
    query = QueryDict(plan.choice, mutable=True)
    if effect.takes_referrers:
        query.pop("referrers", None)
    else:
        query["referrers"] = "take"
    keeps = effect.total - effect.frees
    return DeletePage(
        repository=plan.repository,
        url=path,
        repository_url=links.repository(registry, plan.repository),
        plan_id=str(plan.pk),
        fingerprint=plan.fingerprint,
        title=verb(plan.repository, effect, len(lines)),
        rule=_rule(plan),
        verb=verb(plan.repository, effect, possible),
        chosen=len(lines),
        possible=possible,
        impossible=impossible,
        fix=fix,
        lines=lines[:MAX_LINES],
        more_lines=max(0, len(lines) - MAX_LINES),
        goes=_goes(effect),
        stays=_stays(effect, keeps),
        bar=segments([("gone", effect.frees), ("shared", keeps)]),
        total=effect.total,
        frees=effect.frees,
        keeps=keeps,
        exact=effect.exact,
        leaves=effect.leaves,
        methods=effect.methods,
        lost=_lost(effect),
        referrers=[_referrer(each.tags, each.digest, each.artifact_type) for each in effect.referrers],
        takes_referrers=effect.takes_referrers,
        referrers_url=f"{path}?{query.urlencode()}",
        whole=effect.whole,
        typed=must_type(effect),
        acting_as=access.acting.name,
        host=registry.public_host,
        trash_until=timezone.now() + dt.timedelta(days=settings.TRASH_DAYS),
    )


def chose_untagged(plan: DeletionPlan) -> int | None:
    """By a rule for untagged images, their age in days (0: any); None if it was chosen otherwise."""
    query = QueryDict(plan.choice)
    if query.get("untagged") != "1":
        return None
    text = query.get("older", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def age_in_words(days: int) -> str:
    """For how long at least; empty for any age."""
    return ngettext("for at least %(n)s day", "for at least %(n)s days", days) % {"n": count(days)} if days else ""


def refusal(code: str) -> str:
    """Why a confirmed plan was not begun."""
    return str(_REFUSALS.get(code, _REFUSALS["changed"]))


def verb(repository: str, effect: Effect, number: int) -> str:
    """What the button does, with its count."""
    if effect.whole:
        return _("Delete everything in %(repository)s") % {"repository": repository}
    if not any(item.tags for item in effect.items):
        text = ngettext("Delete %(n)s untagged image", "Delete %(n)s untagged images", number)
    elif all(item.tags for item in effect.items):
        text = ngettext("Delete %(n)s tag", "Delete %(n)s tags", number)
    else:
        text = ngettext("Delete %(n)s tag or image", "Delete %(n)s tags and images", number)
    return text % {"n": count(number)}


def _rule(plan: DeletionPlan) -> str:
    """What was chosen, where a rule for untagged images did."""
    days = chose_untagged(plan)
    if days is None:
        return ""
    text = (
        _("Chosen: what no tag needs %(age)s.") % {"age": age_in_words(days)}
        if days
        else _("Chosen: what no tag needs.")
    )
    like = QueryDict(plan.choice).get("name", "").strip()
    return f"{text} " + _("Its tags or digest are like “%(text)s”.") % {"text": legible(like, 100)} if like else text


def _lines(access: Access, plan: DeletionPlan, effect: Effect, item: Item) -> list[TagLine]:
    removes = effect.can_remove(item)
    what, why = _refused(item) if item.refused else _happens(effect, item, removes=removes)
    first = item.tags[0] if item.tags else ""
    found = []
    for tag in item.tags or [""]:
        follows = removes and tag != first
        found.append(
            TagLine(
                tag=tag,
                url=links.tag(access.registry, plan.repository, tag)
                if tag
                else links.manifest(access.registry, plan.repository, item.digest),
                digest=item.digest,
                refused=bool(item.refused),
                what=_("It goes along.") if follows else what,
                why=_("It names the same image as %(tag)s.") % {"tag": first} if follows else why,
                again_url=links.delete(access.registry, plan.repository, tag) if item.refused == "moved" else "",
                frees=None if item.refused else (0 if follows else item.frees),
            )
        )
    return found


def _refused(item: Item) -> tuple[str, str]:
    tags = _names(item.detail.get("tags", []))
    return {
        "moved": (
            _("It moved."),
            _("It now points at %(now)s, which you have not seen.") % {"now": short(str(item.detail.get("now", "")))},
        ),
        "vanished": (_("It is gone already."), ""),
        "unreadable": (_("It could not be read."), _("Nobody can say what goes with it.")),
        "tagged": (
            _("It has a tag by now."),
            _("%(tags)s points at it. Delete the tag instead.") % {"tags": tags},
        ),
        "listed": (
            _("An index lists it."),
            _("It is reached by %(tags)s.") % {"tags": tags or _("no tag")},
        ),
        "protected": (
            _("It is protected."),
            _("The rule %(rule)s keeps it; an administrator can change the rule.")
            % {"rule": legible(str(item.detail.get("rule", "")), 401)},
        ),
    }.get(item.refused, (_("It is left alone."), ""))


def _happens(effect: Effect, item: Item, *, removes: bool) -> tuple[str, str]:
    if removes:
        return _what_goes(item), _("No other tag and no live index needs it.") + _gone_children(item)
    return _("Only the name goes."), _why_only_name(effect, item)


def _what_goes(item: Item) -> str:
    if not item.tags:
        if item.kind == "index":
            return ngettext(
                "The index and %(n)s entry of it go.", "The index and %(n)s entries of it go.", len(item.children)
            ) % {"n": len(item.children)}
        return _("The untagged image goes.")
    if item.kind != "index":
        return _("The tag and its image go.")
    attestations = sum(child.label == "attestation" for child in item.children)
    images = len(item.children) - attestations
    if not item.children:
        return _("The tag and its index go.")
    along = ngettext("The tag, its index and %(n)s image go.", "The tag, its index and %(n)s images go.", images) % {
        "n": images
    }
    if not attestations:
        return along
    return ngettext(
        "The tag, its index, %(images)s and %(n)s attestation go.",
        "The tag, its index, %(images)s and %(n)s attestations go.",
        attestations,
    ) % {
        "images": ngettext("%(n)s image", "%(n)s images", images) % {"n": images},
        "n": attestations,
    }


def _gone_children(item: Item) -> str:
    if not item.kept_children:
        return ""
    labels = _names([_label(child.label) for child in item.kept_children])
    return " " + _("Of its entries %(labels)s stays: another tag or index needs it.") % {"labels": labels}


def _why_only_name(effect: Effect, item: Item) -> str:
    if item.aliases:
        return ngettext(
            "%(names)s has the same digest and stays.", "%(names)s have the same digest and stay.", len(item.aliases)
        ) % {"names": _names(item.aliases)}
    if item.parents:
        tags = sorted({tag for parent in item.parents for tag in parent["tags"]})
        return _("An index lists this image and stays (reached by %(names)s).") % {"names": _names(tags) or _("no tag")}
    return _("Not everything could be read (%(names)s), so nobody can say what else needs this image.") % {
        "names": _names(effect.unread)
    }


def _goes(effect: Effect) -> list[Line]:
    going = [item for item in effect.possible if effect.can_remove(item)]
    tags = [tag for item in effect.possible for tag in item.tags]
    lines = []
    if tags:
        n = len(tags)
        lines.append(Line(ngettext("%(n)s tag", "%(n)s tags", n) % {"n": count(n)}, None, _names(tags)))
    if indexes := [short(item.digest) for item in going if item.kind == "index"]:
        text = ngettext("%(n)s index", "%(n)s indexes", len(indexes))
        lines.append(Line(text % {"n": count(len(indexes))}, None, _names(indexes)))
    if images := [short(item.digest) for item in going if item.kind != "index"]:
        text = ngettext("%(n)s image", "%(n)s images", len(images))
        lines.append(Line(text % {"n": count(len(images))}, None, _names(images)))
    if children := [child for item in going for child in item.children]:
        n = len(children)
        labels = _names(list(dict.fromkeys(_label(child.label) for child in children)))
        text = ngettext("%(n)s entry of these indexes", "%(n)s entries of these indexes", n)
        lines.append(Line(text % {"n": count(n)}, None, labels))
    if going:
        n = sum(item.blobs for item in going)
        text = ngettext("%(n)s blob that nothing else needs", "%(n)s blobs that nothing else needs", n)
        note = (
            _("manifests, configurations and layers, freed by the next garbage collection")
            if effect.exact
            else _("at most, freed by the next garbage collection: the storage is not read")
        )
        lines.append(Line(text % {"n": count(n)}, effect.frees, note))
    return lines


def _stays(effect: Effect, keeps: int) -> list[Line]:
    lines = []
    for item in effect.possible:
        for tag in item.aliases[:3]:
            note = _("It has the same digest as %(tag)s.") % {"tag": item.tags[0]}
            lines.append(Line(_("Tag %(tag)s and its image") % {"tag": tag}, item.total or None, note))
        for parent in item.parents[:3]:
            note = _("reached by %(tags)s") % {"tags": _names(parent["tags"]) or _("no tag")}
            lines.append(Line(_("The index %(digest)s") % {"digest": short(parent["digest"])}, None, note))
        for child in item.kept_children[:5]:
            note = _("Another tag or index needs it.")
            lines.append(Line(_("%(label)s of the index") % {"label": _label(child.label)}, None, note))
        if len(lines) > MAX_NAMES:
            break
    if effect.referrers and not effect.takes_referrers:
        n = len(effect.referrers)
        text = ngettext("%(n)s signature or the like", "%(n)s signatures or the like", n) % {"n": count(n)}
        lines.append(Line(text, None, _("They belong to what goes, and have nothing to tell of any more.")))
    if keeps:
        n = effect.needed_by
        note = ngettext("%(n)s other tag needs them", "%(n)s other tags need them", n) % {"n": count(n)} if n else ""
        lines.append(Line(_("Layers that something else needs"), keeps, note))
    for item in effect.items:
        if item.refused and item.tags and len(lines) < 2 * MAX_NAMES:
            lines.append(Line(_("Tag %(tag)s") % {"tag": item.tags[0]}, None, _refused(item)[0]))
    return lines


def _impossible(access: Access, effect: Effect) -> tuple[str, str]:
    """Why nothing can be deleted here at all, and the fix; empty where it can."""
    return why_impossible(Ability(effect.ability), access.registry.public_host, access.acting.name)


def why_impossible(ability: Ability, host: str, acting_as: str) -> tuple[str, str]:
    """Why a registry that can do `ability` deletes nothing, and the fix; empty where it deletes."""
    user = acting_as or pgettext("acting as", "nobody")
    return {
        Ability.DISABLED: (
            _("Deletion is switched off on %(host)s.") % {"host": host},
            _(
                "Set REGISTRY_STORAGE_DELETE_ENABLED=true "
                "(storage.delete.enabled: true) on the registry and restart it. A pull-through cache never deletes."
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
    }.get(ability, ("", ""))


def _lost(effect: Effect) -> list[str]:
    """What could not be brought back: each with what is missing."""
    found = []
    for item in effect.possible:
        if effect.can_remove(item) and item.missing:
            names = _names([short(text) if is_digest(text) else text for text in item.missing])
            name = item.tags[0] if item.tags else short(item.digest)
            found.append(_("%(name)s: %(missing)s is missing") % {"name": name, "missing": names})
    return found[:MAX_NAMES]


def _referrer(tags: Sequence[str], digest: str, artifact_type: str) -> str:
    name = attachment(tags[0] if tags else "", artifact_type).name
    return f"{name} ({legible(tags[0], 40) if tags else short(digest)})"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(legible(name, 60) for name in names[:MAX_NAMES])
    more = len(names) - MAX_NAMES
    return shown if more <= 0 else _("%(names)s and %(n)s more") % {"names": shown, "n": count(more)}


def _label(label: str) -> str:
    return _("attestation") if label == "attestation" else label
