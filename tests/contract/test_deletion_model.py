"""Deleting, restoring and pushing at random, against a model of what must be there.

After every step each tag that should exist names its digest and can be pulled whole, what a plan promised is what
happened, and the bytes that it promised are those that the registry's own collector would free.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from dashboard.models import Deletion, DeletionItem, IndexState, Registry, User
from dashboard.registry.client import RegistryClient
from dashboard.registry.manifests import parse_manifest
from dashboard.registry.references import Digest, RepositoryName, parse_repository
from dashboard.services.audit import Actor
from dashboard.services.deletion import plan, recover, throwaway
from dashboard.services.deletion.survey import listed_tags
from dashboard.services.index import mount
from dashboard.services.index.update import read_again
from dashboard.services.trash import restore
from tests.fake_registry import FakeRegistry
from tests.support.deleting import Desk, desk_at
from tests.support.images import Pushed, push_image, push_index
from tests.support.mirror import Mirror
from tests.support.registries import Kind, RunningRegistry, binary, missing, start_registry

DEEP = int(os.environ.get("TEST_DEEP", "1"))
"""How many times as many examples; `make test-deep` sets it."""
ON_FAKE, ON_REAL = 150 * DEEP, 25 * DEEP
STEPS = 12
TAGS = ("1", "2", "3", "4", "latest")
REPOSITORIES = ("a", "b")
_ELIGIBLE = re.compile(r"^blob eligible for deletion: (\S+)$", re.MULTILINE)

Orphans = Callable[[], dict[str, int]]
_numbers = itertools.count()


@dataclass
class World:
    """A registry with its mount. `orphans`: what its collector would free now, bytes by digest.

    `begin` makes room for the next example, where what the last one left would only cost time.
    """

    desk: Desk
    orphans: Orphans
    begin: Callable[[], None] = field(default=lambda: None)


class Deleting(RuleBasedStateMachine):
    """The model: `tags` says what each tag names, `whole` which manifests were complete when they were pushed."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()
        number = next(_numbers)
        self.names = {short: parse_repository(f"r{number}-{os.getpid()}/{short}") for short in REPOSITORIES}
        self.tags: dict[tuple[str, str], Pushed] = {}
        self.pushed: dict[str, list[Pushed]] = {short: [] for short in REPOSITORIES}
        self.last: Deletion | None = None

    @property
    def desk(self) -> Desk:
        """Somebody who may delete."""
        return self.world.desk

    @rule(
        where=st.sampled_from(REPOSITORIES),
        tags=st.lists(st.sampled_from(TAGS), max_size=2, unique=True),
        layers=st.lists(st.sampled_from("wxyz"), min_size=1, max_size=2, unique=True),
        platform=st.sampled_from(("linux/amd64", "linux/arm64")),
    )
    def push_an_image(self, where: str, tags: list[str], layers: list[str], platform: str) -> None:
        """An image of few layers, so that many are shared; without tags by its digest alone."""
        content = [f"{layer} of {self.names['a']}".encode() * 40 for layer in layers]
        image = push_image(self.desk.session, self.names[where], *tags, layers=content, platform=platform)
        self._note(where, tags, image)

    @rule(where=st.sampled_from(REPOSITORIES), tag=st.sampled_from(TAGS), data=st.data())
    def push_an_index(self, where: str, tag: str, data: st.DataObject) -> None:
        """Over images that the repository holds."""
        held = [each for each in self.pushed[where] if not each.children and self._holds(where, each)]
        if not held:
            return
        children = data.draw(
            st.lists(st.sampled_from(held), min_size=1, max_size=3, unique_by=lambda each: each.digest)
        )
        self._note(where, [tag], push_index(self.desk.session, self.names[where], tag, children=children))

    @rule(where=st.sampled_from(REPOSITORIES), by_tag=st.booleans(), data=st.data())
    def sign(self, where: str, by_tag: bool, data: st.DataObject) -> None:
        """Something that belongs to an image: by its subject, or by the name of its tag as cosign has it."""
        held = [each for each in self.pushed[where] if self._holds(where, each)]
        if held:
            about = data.draw(st.sampled_from(held))
            tags = [about.digest.replace(":", "-") + ".sig"] if by_tag else []
            content = f"signature of {about.digest}".encode()
            subject = None if by_tag else about
            signed = push_image(self.desk.session, self.names[where], *tags, layers=[content], subject=subject)
            self._note(where, tags, signed)

    @rule(where=st.sampled_from(REPOSITORIES), tag=st.sampled_from(TAGS), data=st.data())
    def move_a_tag(self, where: str, tag: str, data: st.DataObject) -> None:
        """Onto something that the repository holds: an alias, or an overwritten tag."""
        held = [each for each in self.pushed[where] if self._whole(where, each)]
        if held:
            image = data.draw(st.sampled_from(held))
            self.desk.session.put_manifest(self.names[where], tag, image.media_type, image.raw)
            self.tags[where, tag] = image

    @precondition(lambda self: self.tags)
    @rule(data=st.data(), method=st.sampled_from(("remove", "untag")), with_referrers=st.booleans())
    def delete_tags(self, data: st.DataObject, method: str, with_referrers: bool) -> None:
        """Some tags of one repository; what cannot be removed only loses its names."""
        where = data.draw(st.sampled_from(sorted({place for place, _ in self.tags})))
        there = sorted(tag for place, tag in self.tags if place == where)
        chosen = data.draw(st.lists(st.sampled_from(there), min_size=1, max_size=3, unique=True))
        self._delete(where, method, tags=tuple(chosen), takes_referrers=with_referrers)

    @rule(where=st.sampled_from(REPOSITORIES))
    def delete_everything(self, where: str) -> None:
        """All of a repository."""
        if any(place == where for place, _ in self.tags):
            self._delete(where, "remove", whole=True)

    @rule(where=st.sampled_from(REPOSITORIES), data=st.data())
    def delete_an_untagged_revision(self, where: str, data: st.DataObject) -> None:
        """By its digest; one that an index lists or a tag names is refused."""
        held = [each for each in self.pushed[where] if self._holds(where, each)]
        if held:
            digest = data.draw(st.sampled_from(held)).digest
            self._delete(where, "remove", digests=(digest,))

    @precondition(lambda self: self.last is not None)
    @rule()
    def bring_back(self) -> None:
        """The last deletion; tags that were pushed again meanwhile are left alone."""
        assert self.last is not None
        items = restore.of_deletion(self.last)
        for outcome in restore.restore(self.desk.access, items, actor=Actor("deleter")):
            where = outcome.item.deletion.repository.rpartition("/")[2]
            if outcome.is_back:
                image = next(each for each in self.pushed[where] if each.digest == outcome.item.digest)
                self.tags |= {(where, tag): image for tag in outcome.item.tags}
            else:
                assert outcome.code in ("taken", "gone"), outcome
        self.last = None

    @invariant()
    def every_tag_can_be_pulled_whole(self) -> None:
        """Each tag names what it should, with all its children and blobs; no other tag is there."""
        for where, name in self.names.items():
            expected = {tag: image.digest for (place, tag), image in self.tags.items() if place == where}
            if not self.pushed[where]:
                continue
            assert {tag: self.desk.points_at(name, tag) for tag in listed_tags(self.desk.session, name)} == expected
            for image in {self.tags[where, tag].digest: self.tags[where, tag] for tag in expected}.values():
                self._pull(name, image.digest)

    # What they share

    def _delete(self, where: str, method: str, **choice: object) -> None:
        name = self.names[where]
        known = [each for short, each in self.names.items() if self.pushed[short]]
        assert all(error is None for error in read_again(registry=self.desk.registry, names=known).values())
        made = self.desk.plan(name, *choice.pop("tags", ()), **choice)  # type: ignore[misc]
        effect = plan.effect_in(made)
        assert effect.exact
        assert not effect.unread
        if not effect.possible:
            return
        wanted = method if method in effect.methods else effect.methods[0]
        before = self.world.orphans()
        row = self.desk.begin(made, wanted, accepts_loss=True)
        if row.state == Deletion.State.IN_PROGRESS:
            recover.go_on(row)
            row.refresh_from_db()
        assert row.state == Deletion.State.DONE
        items = list(row.items.all())
        assert all(item.state == DeletionItem.State.DONE for item in items), [i.outcome_code for i in items]
        assert {item.outcome_code for item in items} <= {"removed", "untagged"}
        gone = {tag for item in items for tag in item.tags}
        assert gone == {tag for item in effect.possible for tag in item.tags}
        for tag in gone:
            self.tags.pop((where, tag))
        removed = {digest for i in items if i.method == "remove" for digest in (i.digest, *i.children)}
        assert not any(self.desk.session.has_manifest(name, Digest(digest)) for digest in removed)
        after = self.world.orphans()
        frees = sum(item.frees or 0 for item in items)
        left = effect.leaves if wanted == "remove" else None
        freed = sum(size for digest, size in after.items() if digest not in before)
        assert freed == frees + self._thrown_away(items, left), (effect, items)
        self.last = row

    def _thrown_away(self, items: list[DeletionItem], promised: int | None) -> int:
        """Bytes of the throw-away images that were pushed: what the plan said where it said it."""
        thrown = [item for item in items if item.throwaway_digest]
        if promised is not None:
            assert bool(promised) == bool(thrown)
            return promised
        return sum(throwaway.left_behind(item.media_type) for item in thrown)

    def _note(self, where: str, tags: list[str], image: Pushed) -> None:
        self.pushed[where].append(image)
        self.tags |= {(where, tag): image for tag in tags}

    def _holds(self, where: str, image: Pushed) -> bool:
        return self.desk.session.has_manifest(self.names[where], image.digest)

    def _whole(self, where: str, image: Pushed) -> bool:
        return self._holds(where, image) and all(
            self.desk.session.has_manifest(self.names[where], child) for child in image.children
        )

    def _pull(self, name: RepositoryName, digest: Digest) -> None:
        got = self.desk.session.get_manifest(name, digest)
        manifest = parse_manifest(got.raw, got.media_type, digest)
        for child in manifest.children:
            self._pull(name, child.digest)
        for blob in manifest.content():
            assert self.desk.session.has_blob(name, blob.digest) == blob.size


@pytest.mark.django_db
@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_on_the_fake(version: str, tmp_path: Path) -> None:
    with FakeRegistry(version) as fake:
        mirror = Mirror(fake, tmp_path / "storage")
        with _world(fake.client(), fake.url, mirror.root, lambda: _orphans_of(fake)) as world:
            world.begin = fake.state.repositories.clear
            _run(world, ON_FAKE)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["2.8", "3.1"])
def test_on_the_real_registry(kind: Kind, tmp_path: Path) -> None:
    if binary(kind) is None:
        pytest.skip(missing(kind))
    running = start_registry(kind, tmp_path)
    try:
        with _world(RegistryClient(running.url), running.url, running.root, lambda: _eligible(running)) as world:
            _run(world, ON_REAL)
    finally:
        running.stop()


@pytest.mark.django_db
@pytest.mark.parametrize("version", ["2.8", "3.1"])
@pytest.mark.parametrize("turned", [False, True])
def test_what_two_indexes_list_goes_with_the_last_of_them(version: str, turned: bool, tmp_path: Path) -> None:
    """Found at random: the child that goes stood with the first index, and stayed because of the second."""
    with _example(version, tmp_path) as example:
        name, session = example.names["a"], example.desk.session
        image = push_image(session, name)
        other = push_image(session, name, platform="linux/arm64")
        example.pushed["a"] += [image, other]
        for tag, children in (("1", [image, other]), ("3", [other, image])):
            example._note("a", [tag], push_index(session, name, tag, children=children))
        example._delete("a", "remove", tags=("3", "1") if turned else ("1", "3"))
        assert not session.has_manifest(name, image.digest)
        assert not session.has_manifest(name, other.digest)


@pytest.mark.django_db
@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_what_an_untagged_signature_shares_with_an_image_that_stays_is_not_freed(version: str, tmp_path: Path) -> None:
    """Found at random: only names went, and the bytes of the signature were counted as if the images went too."""
    with _example(version, tmp_path) as example:
        name, session = example.names["a"], example.desk.session
        image = push_image(session, name, "1")
        tag = image.digest.replace(":", "-") + ".sig"
        by_tag = push_image(session, name, tag, layers=[b"signature"])
        by_subject = push_image(session, name, layers=[b"signature"], subject=image)
        example._note("a", ["1"], image)
        example._note("a", [tag], by_tag)
        example.pushed["a"].append(by_subject)
        example._delete("a", "untag", tags=("1", tag), takes_referrers=True)
        assert not session.has_manifest(name, by_subject.digest)
        assert session.has_manifest(name, by_tag.digest)


@contextmanager
def _example(version: str, directory: Path) -> Iterator[Deleting]:
    """The model over the fake, for what is told step by step."""
    with FakeRegistry(version) as fake:
        mirror = Mirror(fake, directory / "storage")
        with _world(fake.client(), fake.url, mirror.root, lambda: _orphans_of(fake)) as world:
            yield type("Told", (Deleting,), {"world": world})()


@contextmanager
def _world(client: RegistryClient, url: str, root: Path, orphans: Orphans) -> Iterator[World]:
    with desk_at(client, url, client.session()) as desk:
        Registry.objects.filter(pk=desk.registry.pk).update(storage_root=str(root))
        desk.registry.refresh_from_db()
        mount.note(desk.registry, mount.Verdict(IndexState.Mount.BELONGS))
        yield World(Desk(desk.registry, User.objects.get(pk=desk.user.pk), desk.session), orphans)
    client.close()


def _run(world: World, examples: int) -> None:
    machine = type("DeletingHere", (Deleting,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            print_blob=True,
        ),
    )


def _orphans_of(fake: FakeRegistry) -> dict[str, int]:
    """What no revision reaches, counted the slow way."""
    reached: set[str] = set()
    for repository in fake.state.repositories.values():
        for digest, media_type in repository.revisions.items():
            manifest = parse_manifest(fake.state.blobs[digest], media_type, Digest(digest))
            reached |= {digest, *(d.digest for d in manifest.content()), *(d.digest for d in manifest.children)}
    return {digest: len(raw) for digest, raw in fake.state.blobs.items() if digest not in reached}


def _eligible(running: RunningRegistry) -> dict[str, int]:
    """What the registry's own collector says that it would delete."""
    program = binary(running.kind)
    command = [str(program), "garbage-collect", "--dry-run", str(running.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    blobs = running.root / "docker" / "registry" / "v2" / "blobs" / "sha256"
    found = {}
    for digest in _ELIGIBLE.findall(done.stdout):
        encoded = digest.partition(":")[2]
        found[digest] = (blobs / encoded[:2] / encoded / "data").stat().st_size
    return found
