"""What somebody may see of the activity: of a repository that they may not read, nothing.

Where a registry decides repository by repository, a name that the index does not know (any more) cannot be asked about
for everybody; such rows are for administrators. So are sign-ins of others, what they changed of people, and addresses
everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from dashboard.models import AuditEntry, IndexedRepository, Registry
from dashboard.services.access import Access, Visible
from dashboard.services.index import lists

_Action = AuditEntry.Action
_OF_PEOPLE = (_Action.SIGN_IN, _Action.ACCESS, _Action.PERSON, _Action.CREDENTIAL, _Action.REGISTRY_USER)


@dataclass(frozen=True, slots=True)
class Seen:
    """The part of the activity that one person sees: of `registry`, or of its one `repository` if that is named."""

    registry: Registry
    user: str
    is_administrator: bool
    visible: Visible
    repository: str = ""

    def by_name(self) -> Q:
        """Of any table: the rows whose repository may be known of."""
        if self.repository:
            return Q(repository=self.repository)
        if not self.visible.filter:
            return Q()
        readable = Q(repository__in=lists.known(self.registry, self.visible).values("name"))
        if not self.is_administrator:
            return readable
        indexed = IndexedRepository.objects.filter(registry=self.registry, read_at__isnull=False)
        return readable | ~Q(repository__in=indexed.values("name"))

    def of_audit(self) -> Q:
        """Of the audit: what was done on this registry, and what concerns people, which belongs to none."""
        done = Q(registry=self.registry.slug) & self.by_name() & ~Q(action=AuditEntry.Action.SIGN_IN)
        if self.repository:
            return done
        people = Q(registry="", action__in=_OF_PEOPLE)
        return done | (people if self.is_administrator else people & Q(user=self.user))


def of_registry(access: Access, visible: Visible) -> Seen:
    """What `access` sees of its registry's activity; `visible` is the gate's answer."""
    return Seen(access.registry, access.user.get_username(), access.administers, visible)


def of_repository(access: Access, repository: str) -> Seen:
    """What `access` sees of a repository's activity, which the gate let them enter."""
    return Seen(access.registry, access.user.get_username(), access.administers, Visible(Q()), repository)
