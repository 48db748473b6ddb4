"""The throw-away manifest: pushed over a tag and deleted by its own digest, it takes the tag along and nothing else.

So a single tag is removed from a registry that deletes by digest only (Distribution 2.8). Its digest must be its own:
two tags on one throw-away would go together; so it carries a random number. It has no layers. What it leaves behind
until a collection: its config and manifest blobs, one layer link, one empty revision directory. Pure.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from dashboard.registry import media_types as mt
from dashboard.registry.references import Digest, digest_of


@dataclass(frozen=True, slots=True)
class Throwaway:
    """A config blob and the manifest that refers to it."""

    config: bytes
    manifest: bytes
    media_type: str

    @property
    def digest(self) -> Digest:
        """The manifest's digest."""
        return digest_of(self.manifest)


def build(media_type: str) -> Throwaway:
    """A throw-away of the same family (OCI or Docker) as `media_type`, unlike any other."""
    docker = media_type in (mt.DOCKER_MANIFEST, mt.DOCKER_LIST)
    config_type, manifest_type = (mt.DOCKER_CONFIG, mt.DOCKER_MANIFEST) if docker else (mt.OCI_CONFIG, mt.OCI_MANIFEST)
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"strata.throw-away": secrets.token_hex(16)}},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": {"mediaType": config_type, "digest": digest_of(config), "size": len(config)},
            "layers": [],
        }
    )
    return Throwaway(config, manifest, manifest_type)


def left_behind(media_type: str) -> int:
    """The bytes that one leaves in the storage until a collection; all of a family are of one length."""
    built = build(media_type)
    return len(built.config) + len(built.manifest)


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
