"""The rows we own: people, registries, credentials, content, jobs, usage snapshots, deletions and their trash."""

from __future__ import annotations

from .content import Content
from .credential import Credential
from .deletion import Deletion, DeletionPlan, TrashedManifest
from .job import Job
from .people import User
from .registry import Registry
from .usage import UsageSnapshot

__all__ = [
    "Content",
    "Credential",
    "Deletion",
    "DeletionPlan",
    "Job",
    "Registry",
    "TrashedManifest",
    "UsageSnapshot",
    "User",
]
