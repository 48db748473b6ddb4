"""What follows a deletion, in the worker: the index reads the repository again, and the disk must show what was done.

A mounted storage on which a write of ours does not appear is another registry's, or a copy of yesterday: it is then no
source of the index any more (services/index/mount.py).
"""

from __future__ import annotations

import time
from pathlib import Path

from django_q.tasks import async_task

from dashboard.models import Deletion, DeletionItem, TagPeriod
from dashboard.registry.references import parse_repository, parse_tag
from dashboard.services.index import mount
from dashboard.services.index.update import read_again, reads_storage, state_of
from dashboard.storage.errors import ContentError, StorageError
from dashboard.storage.reader import Reader

SEEN_WITHIN_SECONDS = 5.0
_POLL_SECONDS = 0.25
FOLLOW = "dashboard.tasks.follow_deletion"


def ask_to_follow(row: Deletion) -> None:
    """Has the worker follow a deletion that is done. Losing the message is harmless: the next refresh does the rest."""
    if row.state == Deletion.State.DONE:
        async_task(FOLLOW, str(row.pk))


def follow(deletion_id: str) -> None:
    """Looks for a deletion on the disk, then has the repository read again."""
    row = Deletion.objects.select_related("registry").get(pk=deletion_id)
    done = row.items.filter(state=DeletionItem.State.DONE).exclude(tags=[]).first()
    if done is not None and reads_storage(row.registry, state_of(row.registry)) and not _is_seen(row, done):
        mount.miss(row.registry, parse_repository(row.repository), parse_tag(done.tags[0]))
    read_again(registry=row.registry, names=[row.repository], learnt=TagPeriod.Learnt.REFRESH)


def _is_seen(row: Deletion, item: DeletionItem) -> bool:
    """Whether the storage shows within the time that the tag no longer points where it did."""
    until = time.monotonic() + SEEN_WITHIN_SECONDS
    while True:
        try:
            link = Reader(Path(row.registry.storage_root)).tag(
                parse_repository(row.repository), parse_tag(item.tags[0])
            )
        except ContentError:
            return True
        except StorageError:
            return False
        if link.digest != item.digest:
            return True  # somebody has pushed it again
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_SECONDS)
