"""The audit is only added to; what is pruned, when and how much at once; what goes with a registry."""

from __future__ import annotations

import ast
import datetime as dt
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from dashboard import tasks
from dashboard.models import AuditEntry, Registry, RegistryEvent
from dashboard.services import registry_removal
from dashboard.services.activity import prune
from dashboard.services.audit import Actor, record

from .making import done, notified

CHANGES = {"update", "bulk_update", "update_or_create", "delete", "aupdate", "adelete"}


@pytest.fixture
def registry(db: None) -> Registry:
    """A registry that nobody asks."""
    return Registry.objects.create(slug="default", url="http://r", public_host="r")


def ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)


def test_an_entry_is_added_and_never_saved_again(registry: Registry) -> None:
    entry = record(actor=Actor("maria"), action=AuditEntry.Action.DELETE, outcome=AuditEntry.Outcome.DONE)
    entry.user = "somebody else"
    with pytest.raises(RuntimeError, match="never changed"):
        entry.save()
    with pytest.raises(RuntimeError, match="never changed"):
        AuditEntry.objects.get().save(update_fields=["user"])
    assert AuditEntry.objects.get().user == "maria"


def changing(tree: ast.AST) -> list[str]:
    """Calls that change or remove rows of AuditEntry in one chain."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            names = {each.id for each in ast.walk(node.func.value) if isinstance(each, ast.Name)}
            if "AuditEntry" in names:
                found.append(ast.unparse(node))
    return found


def test_no_code_changes_entries_and_pruning_alone_removes_them() -> None:
    found = {
        str(path.relative_to(settings.BASE_DIR)): calls
        for path in sorted(Path(settings.BASE_DIR / "dashboard").rglob("*.py"))
        if (calls := changing(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {
        "dashboard/services/activity/prune.py": ["AuditEntry.objects.filter(pk__in=ids).delete()"],
    }
    assert changing(ast.parse("AuditEntry.objects.filter(a=1).exclude(b=2).update(c=3)")), "it would be found"


def test_events_are_pruned_after_their_days_and_the_audit_never(registry: Registry) -> None:
    for days in (1, 364, 366, 4000):
        notified(registry, at=ago(days), tag=str(days))
        done("default", at=ago(days))
    tasks.look_after()
    assert sorted(RegistryEvent.objects.values_list("tag", flat=True)) == ["1", "364"]
    assert AuditEntry.objects.count() == 4


@override_settings(AUDIT_DAYS=30, ACTIVITY_DAYS=10)
def test_the_audit_is_pruned_where_that_is_set(registry: Registry) -> None:
    for days in (9, 20, 40):
        notified(registry, at=ago(days))
        done("default", at=ago(days), user=str(days))
    assert prune.prune() == 3
    assert RegistryEvent.objects.count() == 1
    assert sorted(AuditEntry.objects.values_list("user", flat=True)) == ["20", "9"]


@override_settings(AUDIT_DAYS=30)
def test_a_round_is_bounded_and_begins_with_the_oldest(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "PRUNED_AT_ONCE", 2)
    for days in (400, 403, 401, 402):
        notified(registry, at=ago(days), tag=str(days))
        done("default", at=ago(days), user=str(days))
    assert [prune.prune() for _ in range(3)] == [4, 4, 0]
    for days in (400, 401, 402):
        notified(registry, at=ago(days), tag=str(days))
        done("default", at=ago(days), user=str(days))
    prune.prune()
    assert list(RegistryEvent.objects.values_list("tag", flat=True)) == ["400"]
    assert list(AuditEntry.objects.values_list("user", flat=True)) == ["400"]


def test_events_go_with_their_registry_and_the_audit_outlives_it(registry: Registry) -> None:
    notified(registry)
    done("default")
    registry_removal.remove(registry)
    assert not RegistryEvent.objects.exists()
    assert AuditEntry.objects.get().registry == "default"
