"""Health: liveness without I/O; readiness is our own database and its migrations. Registries are told, not judged."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from dashboard.services import status

_applied: set[str] = set()


@login_not_required
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """The process answers. Touches nothing, so that a registry or database that is down never restarts us."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """200 when our database answers and is migrated, else 503; the registries' state stands in the body."""
    try:
        ready = _migrated()
        registries = status.lamps() if ready else {}
    except DatabaseError:
        return JsonResponse({"database": "unavailable"}, status=503)
    return JsonResponse(
        {"database": "ok" if ready else "not migrated", "registries": registries}, status=200 if ready else 503
    )


def _migrated() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if "yes" not in _applied:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _applied.add("yes")
    return True
