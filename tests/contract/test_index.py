"""The index of real registries: their storage recognised as theirs, both sources telling the same, pushes seen."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.models import IndexedTag, IndexState, Registry, User
from dashboard.registry.client import RegistryClient
from dashboard.registry.references import parse_repository
from dashboard.services import access, connections
from dashboard.services.index import mount, refresh
from dashboard.services.index.check import check
from dashboard.services.index.mount import judge
from tests.support.images import push_image, push_index
from tests.support.registries import KINDS, Kind, RunningRegistry, binary, missing, start_registry
from tests.unit.index.support import done, index_of, tags_of

pytestmark = [pytest.mark.contract, pytest.mark.django_db]

FROM_STORAGE_ALONE = frozenset({"since", "since_is_push", "stamp", "pushed_at"})
Mount = IndexState.Mount


@pytest.fixture(params=KINDS)
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningRegistry]:
    """A real registry with nothing in it, of this test's own."""
    kind: Kind = request.param
    if binary(kind) is None:
        pytest.skip(missing(kind))
    registry = start_registry(kind, tmp_path / kind)
    yield registry
    registry.stop()


@pytest.fixture
def client(running: RunningRegistry) -> Iterator[RegistryClient]:
    """The client that every session of the test comes from."""
    found = RegistryClient(running.url)
    with connections.clients_made_by(lambda _: found):
        yield found
    found.close()


@pytest.fixture
def registry(running: RunningRegistry, client: RegistryClient) -> Registry:
    """Its row, with its storage mounted."""
    return Registry.objects.create(
        slug="real", url=running.url, public_host=running.host, storage_root=str(running.root)
    )


def fill(client: RegistryClient) -> None:
    """Small images, an index, an artifact's worth of everything that the readers tell apart."""
    session = client.session()
    amd = push_image(session, "team/app", layers=(b"base", b"app"))
    arm = push_image(session, "team/app", layers=(b"base arm", b"app"), platform="linux/arm64")
    push_index(session, "team/app", "1.0", "latest", children=[amd, arm])
    push_image(session, "team/app", "old", layers=(b"base", b"old"), docker=True)
    push_image(session, "plain", "1", layers=(b"base", b"plain"))
    gone = push_image(session, "emptied", "1", layers=(b"gone",))
    session.delete_manifest(parse_repository("emptied"), gone.digest)
    signed = push_image(session, "team/app", layers=(b"signature",), subject=amd)
    push_image(session, "signed/app", f"sha256-{signed.digest.partition(':')[2]}.sig", layers=(b"x",))


def test_its_own_storage_belongs_to_it(client: RegistryClient, registry: Registry) -> None:
    fill(client)
    assert judge(registry, client.session()).mount == Mount.BELONGS
    done(registry)
    assert (IndexState.objects.get().source, IndexState.objects.get().mount) == ("storage", "belongs")


def test_one_broken_tag_is_no_other_registry(
    client: RegistryClient, registry: Registry, running: RunningRegistry
) -> None:
    fill(client)
    link = running.root / "docker/registry/v2/repositories/plain/_manifests/tags/1/current/link"
    link.write_text("rubbish")
    assert judge(registry, client.session()).mount == Mount.BELONGS


def test_storage_of_another_registry_differs_and_the_first_difference_is_named(
    client: RegistryClient, registry: Registry, running: RunningRegistry, tmp_path: Path
) -> None:
    other = start_registry(running.kind, tmp_path / "other")
    other_client = RegistryClient(other.url)
    push_image(client.session(), "team/app", "1.0", layers=(b"here",))
    push_image(other_client.session(), "team/app", "1.0", layers=(b"there",))
    registry.storage_root = str(other.root)
    registry.save()
    found = judge(registry, client.session())
    assert (found.mount, found.difference) == (Mount.DIFFERS, {"repository": "team/app", "tag": "1.0"})
    done(registry)
    assert IndexState.objects.get().source == "api"
    assert IndexedTag.objects.get().digest == client.session().resolve(parse_repository("team/app"), "1.0")
    other_client.close()
    other.stop()


def test_a_copy_that_is_behind_differs(
    client: RegistryClient, registry: Registry, running: RunningRegistry, tmp_path: Path
) -> None:
    push_image(client.session(), "team/app", "1.0", layers=(b"old",))
    shutil.copytree(running.root, tmp_path / "copy")
    push_image(client.session(), "team/app", "1.0", layers=(b"new",))
    registry.storage_root = str(tmp_path / "copy")
    assert judge(registry, client.session()).mount == Mount.DIFFERS


def test_empty_unreadable_or_silent_cannot_be_told(
    client: RegistryClient, registry: Registry, running: RunningRegistry, tmp_path: Path
) -> None:
    (running.root / "docker/registry/v2/repositories").mkdir(parents=True, exist_ok=True)
    assert judge(registry, client.session()) == mount.Verdict(Mount.UNKNOWN, {"reason": "empty"})
    for root, reason in ((tmp_path / "nowhere", "storage-root-missing"), (tmp_path, "storage-not-a-registry")):
        registry.storage_root = str(root)
        assert judge(registry, client.session()) == mount.Verdict(Mount.UNKNOWN, {"reason": reason})
    registry.storage_root = ""
    assert judge(registry, client.session()).mount == Mount.NONE
    registry.storage_root = str(running.root)
    running.stop()
    assert judge(registry, client.session()) == mount.Verdict(Mount.UNKNOWN, {"reason": "connection-failed"})


def test_both_sources_give_equal_rows(client: RegistryClient, registry: Registry, running: RunningRegistry) -> None:
    fill(client)
    done(registry)
    by_storage = index_of(registry, without=FROM_STORAGE_ALONE)
    refresh.empty(registry)
    registry.storage_root = ""
    registry.save()
    done(registry)
    over_api = index_of(registry, without=FROM_STORAGE_ALONE)
    assert IndexState.objects.get().source == "api"
    assert over_api["tags"] == by_storage["tags"]
    # Referrers that no tag names are listed by the storage alone.
    assert over_api["revisions"] <= by_storage["revisions"]
    attached = {sums: by_storage["repositories"]["team/app"].pop(sums) for sums in ("bytes", "exclusive_bytes")}
    for sums, with_referrer in attached.items():
        assert over_api["repositories"]["team/app"].pop(sums) < with_referrer
    assert over_api["repositories"] == by_storage["repositories"]
    assert len(over_api["tags"]) == 5


@pytest.mark.parametrize("source", ["storage", "api"])
def test_second_refresh_and_check_find_nothing_new(
    client: RegistryClient, registry: Registry, jonas: User, source: str
) -> None:
    """Both leave the rows as they are."""
    fill(client)
    if source == "api":
        registry.storage_root = ""
        registry.save()
    done(registry)
    before = index_of(registry)
    assert done(registry).outcome["changed"] == 0
    found = check(access.access_to(user=jonas, registry=registry), parse_repository("team/app"), ["1.0", "latest"])
    assert (found.error, found.unwritten, index_of(registry)) == (None, False, before)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed: apt-get install skopeo")
@pytest.mark.parametrize("source", ["storage", "api"])
def test_what_skopeo_pushes_is_on_the_page_at_its_next_view(
    client: RegistryClient, registry: Registry, running: RunningRegistry, jonas: User, source: str
) -> None:
    name = parse_repository("team/app")
    old = push_image(client.session(), name, "1.0", layers=(b"old",))
    push_image(client.session(), name, "stays", layers=(b"stays",))
    if source == "api":
        registry.storage_root = ""
        registry.save()
    done(registry)
    push_image(client.session(), "elsewhere", "new", layers=(b"new",))
    there = f"docker://{running.host}"
    for tag in ("1.0", "2.0"):
        copied = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"]
        subprocess.run(
            [*copied, f"{there}/elsewhere:new", f"{there}/{name}:{tag}"], check=True, capture_output=True, timeout=60
        )
    found = check(access.access_to(user=jonas, registry=registry), name, ["1.0", "stays"])
    assert (found.unwritten, found.as_of) == (False, found.at)
    tags = tags_of(registry, name)
    assert tags == {tag: client.session().resolve(name, tag) for tag in ("1.0", "2.0", "stays")}
    assert tags["1.0"] != old.digest
