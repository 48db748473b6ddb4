"""Digests as the disk spells them: directory names and the text of links.

Imports nothing: the second process of a scan starts with it.
"""

from __future__ import annotations

HEX = "0123456789abcdef"

# Length of the hex part of a digest by algorithm (OCI image spec 1.1, descriptor.md).
ALGORITHMS = {"sha256": 64, "sha384": 96, "sha512": 128}


def is_encoded(algorithm: str, name: str) -> bool:
    """Whether a directory's name is the hex part of a digest of `algorithm`."""
    return len(name) == ALGORITHMS.get(algorithm) and not name.strip(HEX)


def is_fan_out(name: str) -> bool:
    """Whether a directory's name is one of the 256 that blobs are spread over."""
    return len(name) == 2 and not name.strip(HEX)


def parse_link(raw: bytes) -> str:
    """The digest that a link file holds, or an empty text. White space around it is tolerated."""
    text = raw.strip().decode("ascii", "replace")
    algorithm, _, encoded = text.partition(":")
    return text if is_encoded(algorithm, encoded) else ""
