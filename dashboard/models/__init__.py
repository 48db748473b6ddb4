"""The rows we own, and the index.

Our own: people with their invitations and sessions, access rules, registries, credentials, content, jobs, usage
snapshots, deep checks, collections, deletions and their trash, history of tags, pushes and pulls, protection of tags,
the audit, thresholds with their alerts, sums for the metrics, answers about pulling. The index (`index.py`) may be
emptied and rebuilt.
"""

from __future__ import annotations

from .access_rule import AccessRule, Role
from .alert import Alert, AlertMessage, Thresholds
from .audit import AuditEntry
from .collection import Collection, CollectionPreview
from .content import Content
from .credential import Credential
from .deep_check import DamagedBlob, DeepCheck
from .deletion import ChosenNames, Deletion, DeletionItem, DeletionPlan, TrashedManifest
from .figures import JobTally, RequestTally
from .history import Notification, NotificationState, PullDay, RegistryEvent, TagPeriod
from .index import (
    IndexedBlob,
    IndexedManifest,
    IndexedRepository,
    IndexedRevision,
    IndexedTag,
    IndexState,
    ManifestBlob,
    ManifestEntry,
    ManifestLabel,
    RepositoryBlob,
)
from .invitation import Invitation, SetUpCode
from .job import Job
from .people import ExternalIdentity, User
from .protection import ProtectedMove, TagRule
from .pull_answer import PullAnswer
from .registry import Registry
from .session import UserSession
from .usage import (
    LargeBlob,
    MeasuredNamespace,
    MeasuredRepository,
    MeasuredTag,
    RepositoryGrowth,
    UsageSnapshot,
)

__all__ = [
    "AccessRule",
    "Alert",
    "AlertMessage",
    "AuditEntry",
    "ChosenNames",
    "Collection",
    "CollectionPreview",
    "Content",
    "Credential",
    "DamagedBlob",
    "DeepCheck",
    "Deletion",
    "DeletionItem",
    "DeletionPlan",
    "ExternalIdentity",
    "IndexState",
    "IndexedBlob",
    "IndexedManifest",
    "IndexedRepository",
    "IndexedRevision",
    "IndexedTag",
    "Invitation",
    "Job",
    "JobTally",
    "LargeBlob",
    "ManifestBlob",
    "ManifestEntry",
    "ManifestLabel",
    "MeasuredNamespace",
    "MeasuredRepository",
    "MeasuredTag",
    "Notification",
    "NotificationState",
    "ProtectedMove",
    "PullAnswer",
    "PullDay",
    "Registry",
    "RegistryEvent",
    "RepositoryBlob",
    "RepositoryGrowth",
    "RequestTally",
    "Role",
    "SetUpCode",
    "TagPeriod",
    "TagRule",
    "Thresholds",
    "TrashedManifest",
    "UsageSnapshot",
    "User",
    "UserSession",
]
