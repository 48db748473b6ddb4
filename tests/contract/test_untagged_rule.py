"""The safe recipe on the real registries: untagged images old enough deleted by a rule, one brought back, collected."""

from __future__ import annotations

import os
import time

import pytest
from django.utils import timezone

from dashboard.models import Collection, Deletion, IndexState
from dashboard.registry.references import Digest, parse_repository
from dashboard.services import access
from dashboard.services.audit import Actor
from dashboard.services.deletion import execute, plan, recover
from dashboard.services.deletion.choice import Choice
from dashboard.services.index import mount, refresh
from dashboard.services.trash import restore
from tests.support.images import push_image, push_index

from .test_collection import Place, place

__all__ = ["place"]
pytestmark = [pytest.mark.contract, pytest.mark.django_db]

APP = parse_repository("team/app")
MANIFESTS = "docker/registry/v2/repositories/team/app/_manifests"


def aged(place: Place, path: str, days: float) -> None:
    """A link was written so many days ago."""
    then = time.time() - days * 86_400
    os.utime(place.gate.root / MANIFESTS / path / "link", (then, then))


def pushed(place: Place, digest: Digest, days: float) -> None:
    """A revision was pushed last so many days ago."""
    aged(place, f"revisions/{digest.replace(':', '/')}", days)


def pointed(place: Place, tag: str, digest: Digest, days: float) -> None:
    """A tag was pushed with a digest so many days ago."""
    aged(place, f"tags/{tag}/index/{digest.replace(':', '/')}", days)
    pushed(place, digest, days)


def test_what_is_old_enough_is_deleted_by_rule_and_collected_as_promised(place: Place) -> None:
    session = place.session
    base = b"base" * 500
    overwritten = push_image(session, "team/app", "latest", layers=(base, b"first" * 300))
    lately = push_image(session, "team/app", "latest", layers=(base, b"second" * 300))
    tagged = push_image(session, "team/app", "latest", layers=(base, b"third" * 300))
    signature = push_image(session, "team/app", layers=(b"signature",), subject=tagged)
    pair = [
        push_image(session, "team/app", layers=(base, arch.encode() * 200), platform=f"linux/{arch}")
        for arch in ("amd64", "arm64")
    ]
    push_index(session, "team/app", "multi", children=pair)
    lone = push_image(session, "team/app", layers=(base, b"lone" * 400))
    children = [
        push_image(session, "team/app", layers=(base, b"child of none", arch.encode() * 300), platform=f"linux/{arch}")
        for arch in ("amd64", "arm64")
    ]
    index = push_index(session, "team/app", children=children)
    pointed(place, "latest", overwritten.digest, 20)
    pointed(place, "latest", lately.digest, 10)
    for image in (signature, *pair, lone, *children, index):
        pushed(place, image.digest, 15)
    mount.note(place.registry, mount.Verdict(IndexState.Mount.BELONGS))
    refresh.refresh(place.registry, since=timezone.now(), beat=lambda _done, _total: None)
    before = place.blobs()

    entered = access.access_to(user=place.admin, registry=place.registry)
    rule = Choice(untagged=True, older=7)
    made = plan.make(entered, APP, rule, "untagged=1&older=7", session.probe(APP))
    effect = plan.effect_in(made)

    assert {item.digest for item in effect.items} == {overwritten.digest, lone.digest, index.digest}
    assert effect.exact
    promised = {item.digest: item.frees for item in effect.items}
    row = execute.execute(entered, made, shown=made.fingerprint, method="remove", typed="team/app")
    if row.state != Deletion.State.DONE:
        recover.go_on(row)
    assert not any(session.has_manifest(APP, Digest(digest)) for digest in promised)
    kept = (lately, tagged, signature, *pair)
    assert all(session.has_manifest(APP, image.digest) for image in kept)

    items = list(row.items.filter(digest=lone.digest))
    (outcome,) = restore.restore(entered, items, actor=Actor("admin", "127.0.0.1"))

    assert outcome.is_back, outcome
    collected = place.collect()
    assert (collected.state, collected.outcome_code) == (Collection.State.DONE, ""), collected.log
    freed = sum(before.values()) - sum(place.blobs().values())
    assert freed == collected.freed_bytes == sum(promised.values()) - promised[lone.digest]
    assert freed > 0
    assert all(session.blob_is_readable(APP, layer) for image in (*kept, lone) for layer in image.layers)
    assert {digest for digest in before if digest not in place.blobs()} >= {overwritten.digest, index.digest}
