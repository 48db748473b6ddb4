"""The demo on real registries: everything arrives, real clients can pull it, and what is broken is broken as meant."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboard.registry.client import RegistryClient, RegistrySession
from dashboard.registry.errors import ManifestUnknown
from dashboard.registry.manifests import parse_manifest
from dashboard.registry.references import RepositoryName
from dashboard.services.demo import fill
from tests.support import registries

pytestmark = pytest.mark.contract

APP = RepositoryName("team/app")


@dataclass
class Filled:
    """A real registry with the demo in it, and what the filling said."""

    registry: registries.RunningRegistry
    session: RegistrySession
    result: fill.Filled
    begun: list[str]

    def files(self, pattern: str) -> list[Path]:
        return list((self.registry.root / "docker/registry/v2").glob(pattern))


@pytest.fixture(scope="module", params=registries.KINDS)
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    kind: registries.Kind = request.param
    if registries.binary(kind) is None:
        pytest.skip(registries.missing(kind))
    registry = registries.start_registry(kind, tmp_path_factory.mktemp("demo"))
    try:
        with closing(RegistryClient(registry.url)) as client:
            begun: list[str] = []
            yield Filled(registry, client.session(), fill.fill(client.session(), begin=begun.append), begun)
    finally:
        registry.stop()
        shutil.rmtree(registry.root)


def test_every_repository_is_there_with_its_tags(demo: Filled) -> None:
    names = demo.session.repositories().names
    assert sorted(names) == sorted(set(demo.begun))
    assert demo.result.repositories == len(names) == 12
    counts = {name: len(demo.session.tags(RepositoryName(name))) for name in names}
    assert counts["infra/ci/nightly"] == 200
    assert counts["sandbox/old"] == 0
    assert counts["team/app"] == 12
    assert counts["team/app/worker"] == 4


def test_the_broken_index_is_there_and_its_arm64_child_is_not(demo: Filled) -> None:
    broken = demo.session.get_manifest(APP, "2.1.0-rc.1")
    amd64, arm64 = parse_manifest(broken.raw, broken.media_type).children
    assert demo.session.has_manifest(APP, amd64.digest)
    assert not demo.session.has_manifest(APP, arm64.digest)
    with pytest.raises(ManifestUnknown):
        demo.session.get_manifest(APP, arm64.digest)


def test_the_unfinished_upload_lies_on_the_disk(demo: Filled) -> None:
    [data] = demo.files("repositories/data/etl/_uploads/*/data")
    assert data.stat().st_size == 2 * 1024 * 1024
    assert (data.parent / "startedat").exists()
    assert len(demo.files("repositories/**/_uploads/*/data")) == 1


def test_untagged_revisions_stay_in_the_repository(demo: Filled) -> None:
    tagged = {link.read_text() for link in demo.files("repositories/data/etl/_manifests/tags/*/current/link")}
    revisions = {link.read_text() for link in demo.files("repositories/data/etl/_manifests/revisions/sha256/*/link")}
    assert len(revisions - tagged) == 1


def test_the_whole_takes_as_much_disk_as_a_demo_may(demo: Filled) -> None:
    stored = sum(data.stat().st_size for data in demo.files("blobs/sha256/*/*/data"))
    assert 40 * 1024**2 < stored < 80 * 1024**2


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="no skopeo here: apt install skopeo")
@pytest.mark.parametrize(
    "image", ["team/app:2.0.0", "team/web:3.2.0", "library/busybox:1.36", "charts/platform:1.0.1_build.7"]
)
def test_skopeo_pulls_what_was_pushed(demo: Filled, image: str, tmp_path: Path) -> None:
    source = f"docker://{demo.registry.host}/{image}"
    command = ["skopeo", "copy", "--quiet", "--all", "--src-tls-verify=false", source, f"dir:{tmp_path}/copy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    repository, tag = image.split(":")
    pushed = demo.session.get_manifest(RepositoryName(repository), tag)
    assert (tmp_path / "copy" / "manifest.json").read_bytes() == pushed.raw


def test_a_registry_with_repositories_is_refused_and_nothing_is_pushed(demo: Filled) -> None:
    before = len(demo.files("repositories/**/_uploads/*"))
    with pytest.raises(fill.NotEmpty) as refused:
        fill.fill(demo.session)
    assert refused.value.repositories == 12
    assert len(demo.files("repositories/**/_uploads/*")) == before
