"""A real client beside ours: what one writes the other reads."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dashboard.registry import media_types
from dashboard.registry.manifests import Kind, parse_config, parse_manifest
from tests.support.images import push_image, push_index

from .conftest import Start

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed: apt-get install skopeo"),
]


def skopeo(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_skopeo_reads_what_the_client_pushed(start: Start, real_kind: str) -> None:
    registry = start(real_kind, "open")
    assert registry.running is not None
    repository = registry.repository()
    pushed = push_image(registry.session(), repository, "1.0", "latest", layers=(b"base", b"app"))
    shown = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry.running.host}/{repository}:1.0"))
    assert shown["Digest"] == pushed.digest
    assert shown["Layers"] == list(pushed.layers)
    assert sorted(shown["RepoTags"]) == ["1.0", "latest"]


def test_client_reads_what_skopeo_copied(start: Start, real_kind: str, tmp_path: Path) -> None:
    registry = start(real_kind, "open")
    assert registry.running is not None
    session, source, target = registry.session(), registry.repository(), registry.repository()
    children = [push_image(session, source, platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    index = push_index(session, source, "multi", children=children)
    there = f"docker://{registry.running.host}"
    skopeo("copy", "--all", "--src-tls-verify=false", f"{there}/{source}:multi", f"dir:{tmp_path / 'image'}")
    skopeo("copy", "--all", "--dest-tls-verify=false", f"dir:{tmp_path / 'image'}", f"{there}/{target}:multi")
    got = session.get_manifest(target, "multi")
    assert (got.digest, got.media_type) == (index.digest, media_types.OCI_INDEX)
    manifest = parse_manifest(got.raw, got.media_type)
    assert [child.digest for child in manifest.children] == list(index.children)
    image = parse_manifest(session.get_manifest(target, manifest.children[1].digest).raw)
    assert image.kind == Kind.IMAGE
    assert image.config is not None
    config = parse_config(session.read_blob(target, image.config.digest, limit=10_000))
    assert str(config.platform) == "linux/arm64"


def test_siblings_of_a_deleted_tag_stay_pullable(start: Start, real_kind: str, tmp_path: Path) -> None:
    registry = start(real_kind, "open")
    assert registry.running is not None
    session, repository = registry.session(), registry.repository()
    doomed = push_image(session, repository, "old", layers=(b"old",))
    push_image(session, repository, "new", layers=(b"new",))
    session.delete_manifest(repository, doomed.digest)
    where = f"docker://{registry.running.host}/{repository}:new"
    skopeo("copy", "--src-tls-verify=false", where, f"dir:{tmp_path / 'image'}")
    assert (tmp_path / "image" / "manifest.json").is_file()
