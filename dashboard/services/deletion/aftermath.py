"""What follows a deletion, in the worker: the disk must show what was done, and the repository is read again."""

from __future__ import annotations

from django_q.tasks import async_task

from dashboard.models import Deletion, DeletionItem, TagPeriod
from dashboard.services.index import own_writes
from dashboard.services.index.update import read_again

FOLLOW = "dashboard.tasks.follow_deletion"


def ask_to_follow(row: Deletion) -> None:
    """Has the worker follow a deletion that is done. Losing the message is harmless: the next refresh does the rest."""
    if row.state == Deletion.State.DONE:
        async_task(FOLLOW, str(row.pk))


def follow(deletion_id: str) -> None:
    """Looks for a deletion on the disk, then has the repository read again."""
    row = Deletion.objects.select_related("registry").get(pk=deletion_id)
    done = row.items.filter(state=DeletionItem.State.DONE).exclude(tags=[]).first()
    if done is not None:
        own_writes.look_for(registry=row.registry, repository=row.repository, tag=done.tags[0], before=done.digest)
    read_again(registry=row.registry, names=[row.repository], learnt=TagPeriod.Learnt.REFRESH)
