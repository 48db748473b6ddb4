"""The trash of a registry, and bringing back from it."""

from __future__ import annotations

import uuid
from http import HTTPStatus

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from dashboard.contexts import links
from dashboard.contexts.trash import restored, trash_view
from dashboard.models import Deletion
from dashboard.services import access as gate
from dashboard.services.access import Access
from dashboard.services.audit import Actor
from dashboard.services.client_address import client_address
from dashboard.services.collection.live import is_collecting
from dashboard.services.trash import kept, restore

from .pages import enter, render_page

RESTORE_BUDGET = 150.0
MAX_AT_ONCE = 50


@require_safe
def trash(request: HttpRequest, slug: str) -> HttpResponse:
    """What was deleted here and can be brought back."""
    access = enter(request, slug, "trash")
    contains = request.GET.get("name", "").replace("\0", "").strip()[:200]
    repository = request.GET.get("repository", "").replace("\0", "").strip()[:255]
    text = request.GET.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
    found = kept.page(access, contains=contains, repository=repository, before=before)
    page = trash_view(access, found, contains=contains, repository=repository, first=before is None)
    return render_page(request, "trash.html", {"page": page}, fragment="list")


@require_POST
def restore_chosen(request: HttpRequest, slug: str) -> HttpResponse:
    """Brings back a whole deletion, or some items of the trash."""
    access = enter(request, slug, "trash", budget=RESTORE_BUDGET)
    if not access.may_delete_somewhere:
        raise PermissionDenied
    if is_collecting(access.registry):
        messages.error(request, _("A garbage collection is running. Try again when it has ended."))
        return redirect("trash", slug)
    if text := request.POST.get("deletion", ""):
        deletion = get_object_or_404(
            Deletion.objects.select_related("registry"), pk=_uuid(text), registry=access.registry
        )
        _require_restoring(access, deletion.repository)
        items = restore.of_deletion(deletion)
        if len(items) > restore.FEW:
            restore.ask_for(access, deletion)
            messages.info(request, _("It is being brought back; the page of jobs shows how far it is."))
            return redirect("jobs", slug)
    else:
        ids = [int(each) for each in request.POST.getlist("item") if each.isascii() and each.isdigit()][:MAX_AT_ONCE]
        items = list(kept.in_trash(access.registry).filter(pk__in=ids).select_related("deletion__registry"))
        for name in {item.deletion.repository for item in items}:
            _require_restoring(access, name)
    if not items:
        raise Http404(_("There is nothing of it in the trash."))
    actor = Actor(access.user.get_username(), client_address(request), access.acting.name)
    outcomes = restore.restore(access, items, actor=actor, overwrite=request.POST.get("overwrite") == "yes")
    if all(outcome.is_back for outcome in outcomes):
        names = ", ".join(tag for item in items for tag in item.tags)[:300]
        messages.success(request, _("Brought back: %(names)s") % {"names": names or _("an untagged image")})
        return redirect(links.repository(access.registry, items[0].deletion.repository))
    context = {"lines": restored(outcomes), "trash_url": links.trash(access.registry)}
    context["restore_url"] = request.path
    return render_page(request, "restored.html", context, status=HTTPStatus.CONFLICT)


def _require_restoring(access: Access, repository: str) -> None:
    gate.require(access, repository)
    if not access.may_delete_in(repository):
        raise PermissionDenied


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Http404(_("There is no such deletion.")) from None
