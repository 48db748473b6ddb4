"""The one question where somebody's kept credential is missing or refused: whose it is, and who has to act."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.urls import reverse

from dashboard.models import Registry
from dashboard.services.access import Access
from dashboard.services.connections import Acting, OwnCredential

from .formats import legible

MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that credential_needed.html shows; no repository is named.

    `own` says why, `name` which one it is on the registry and `checked_at` when that was last asked about ("" and None
    for none). `group` is whose it is where people act with a group's (`by_group`); `settings_url` leads administrators
    to those. `instead` and `instead_group`: the credential of another group of theirs, for whoever goes on.
    """

    own: OwnCredential | None
    name: str
    checked_at: dt.datetime | None
    credential_url: str
    by_group: bool
    group: str
    settings_url: str
    instead: str = ""
    instead_group: str = ""


def question(access: Access, now: Acting) -> Question:
    """The view model. `now`: as whom this person would act from now on."""
    registry, kept = access.registry, access.acting.kept
    by_group = registry.act_with == Registry.ActWith.GROUP
    usable = access.acting.own == OwnCredential.USABLE
    seen = now.kept if kept and now.kept and now.kept.pk == kept.pk else kept
    other = bool(by_group and now.name and kept and now.kept and now.kept.pk != kept.pk)
    return Question(
        own=OwnCredential.REFUSED if usable else access.acting.own,
        name=legible(kept.username, MAX_NAME) if kept else "",
        checked_at=seen.checked_at if seen else None,
        credential_url=reverse("credential", args=[registry.slug]),
        by_group=by_group,
        group=access.acting.group,
        settings_url=reverse("group-credentials", args=[registry.slug]) if access.administers else "",
        instead=legible(now.name, MAX_NAME) if other else "",
        instead_group=now.group if other else "",
    )
