"""What a page says of a bucket that a registry's storage is read from: it serves the accounting alone."""

from __future__ import annotations

from django.utils.translation import gettext as _

from dashboard.storage.bucket import Bucket


def in_bucket(bucket: Bucket) -> str:
    """What it is good for, and what needs a mounted directory."""
    return _(
        "%(bucket)s holds a registry's layout and can be read. It is accounted for; lists are read over the registry's "
        "API, and checking blobs or removing directories and uploads needs a mounted directory."
    ) % {"bucket": bucket}
