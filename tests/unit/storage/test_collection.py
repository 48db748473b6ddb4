"""The preview of a collection is what the real collectors do: case by case, and on random trees."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.storage.collection import Family, Outcome, Preview, live_blobs, preview
from dashboard.storage.garbage import Graph
from dashboard.storage.last_held import SEVERAL, last_held
from dashboard.storage.layout import v2_directory
from dashboard.storage.scan import Scan
from tests.support.collectors import Collected, collect
from tests.support.registries import KINDS, Kind, binary, missing
from tests.unit.storage.test_storage_property import Pushed, build, pushes
from tests.unit.storage.trees import OCI_CONFIG, OCI_IMAGE, Tree

FAMILIES: dict[Kind, Family] = {"2.8": Family.TWO, "3.1": Family.THREE}
WAYS = [pytest.param(kind, untagged, id=f"{kind}{' -m' * untagged}") for kind in KINDS for untagged in (False, True)]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "storage")
    made.tag("app", "v", made.image("app", [made.blob("layer", 100)], note="sound"))
    return made


def looked_at(tree: Tree) -> tuple[Graph, Preview]:
    v2 = str(v2_directory(tree.root))
    facts = Scan(v2, young_after=0.0).run()
    graph = Graph(facts)
    return graph, preview(v2, facts, graph)


def outcome_of(tree: Tree, kind: Kind, *, untagged: bool) -> tuple[Graph, Outcome]:
    graph, seen = looked_at(tree)
    return graph, seen.of(FAMILIES[kind], untagged=untagged)


def dry(tree: Tree, kind: Kind, *, untagged: bool) -> Collected:
    if binary(kind) is None:
        pytest.skip(missing(kind))
    return collect(kind, tree.root, "--dry-run", *(["-m"] if untagged else []))


def agree(tree: Tree, kind: Kind, *, untagged: bool) -> Outcome:
    """Asserts that preview and dry run say the same; returns the preview."""
    graph, ours = outcome_of(tree, kind, untagged=untagged)
    theirs = dry(tree, kind, untagged=untagged)
    if ours.is_uncertain:
        return ours
    if theirs.code:
        assert ours.fails_dry, theirs.errors[-600:]
        return ours
    assert not ours.fails_dry, ours.stops
    assert theirs.run is not None
    assert graph.digests_of(ours.blobs) == theirs.run.blobs
    names = [(name if kind == "3.1" else "", digest) for name, digest in ours.manifests]
    printed = [(name if kind == "3.1" else "", digest) for name, digest in theirs.run.manifests]
    assert sorted(names) == sorted(printed)
    return ours


# Cases


def orphans(tree: Tree) -> None:
    tree.blob("orphan", 50)
    lost = tree.image("app", [tree.blob("lost", 70)], note="lost")
    tree.delete("app", lost)


def untagged_images(tree: Tree) -> None:
    tree.image("app", [tree.blob("old", 70)], note="old")
    tree.image("app", [tree.blob("layer", 100)], note="older")


def index_with_untagged_children(tree: Tree) -> None:
    children = [tree.image("multi", [tree.blob(name, 30)], note=name) for name in ("amd64", "arm64")]
    tree.tag("multi", "v", tree.index("multi", children))


def nested_index(tree: Tree) -> None:
    inner = tree.index("multi", [tree.image("multi", [tree.blob("deep", 30)], note="deep")])
    tree.tag("multi", "v", tree.index("multi", [inner], note="outer"))


def signature(tree: Tree) -> None:
    signed = tree.image("app", [tree.blob("signed", 30)], note="signed")
    tree.tag("app", "signed", signed)
    tree.image("app", [tree.blob("signature", 5)], subject=signed, note="signature")


def tag_that_keeps_referrers(tree: Tree) -> None:
    signed = tree.image("app", [], note="signed")
    tree.tag("app", "signed", signed)
    signature = tree.image("app", [tree.blob("signature", 5)], note="signature")
    tree.tag("app", signed.replace(":", "-"), tree.index("app", [signature], note="referrers"))


def untagged_here_tagged_there(tree: Tree) -> None:
    shared = tree.image("app", [tree.blob("shared", 30)], note="shared")
    tree.image("other", [tree.blob("shared", 30)], note="shared")
    tree.tag("app", "shared", shared)
    tree.tag("other", "x", tree.image("other", [], note="x"))


def child_marked_elsewhere(tree: Tree) -> None:
    """3.x does not go through what another repository marked already: the contents of a child are lost."""
    child = tree.image("b", [tree.blob("childs", 30)], note="child")
    tree.tag("b", "v", tree.index("b", [child], note="of b"))
    (tree.repository("a") / "_layers").mkdir(parents=True, exist_ok=True)
    tree.tag("a", "v", tree.index("a", [child], note="of a"))
    (tree.repository("b") / "_layers").mkdir(parents=True, exist_ok=True)


def digests_only(tree: Tree) -> None:
    tree.image("by-digest", [tree.blob("by digest", 30)], note="by digest")


def digests_only_without_live_revision(tree: Tree) -> None:
    gone = tree.image("by-digest", [tree.blob("by digest", 30)], note="by digest")
    tree.revision_path("by-digest", gone).unlink()


def empty_tags(tree: Tree) -> None:
    digests_only(tree)
    (tree.repository("by-digest") / "_manifests" / "tags").mkdir()


def no_layers(tree: Tree) -> None:
    tree.tag("bare", "v", tree.index("bare", []))


def no_manifests(tree: Tree) -> None:
    layer = tree.blob("only pushed", 30)
    tree.link(tree.repository("pushed") / "_layers" / layer.replace(":", "/") / "link", layer)


def dangling_revision(tree: Tree) -> None:
    tree.data_path(tree.image("app", [tree.blob("dangling", 9)], note="dangling")).unlink()


def empty_revision_link(tree: Tree) -> None:
    tree.revision_path("app", tree.image("app", [], note="emptied")).write_bytes(b"")


def corrupt_revision_link(tree: Tree) -> None:
    tree.revision_path("app", tree.image("app", [], note="corrupt")).write_bytes(b"no digest")


def padded_revision_link(tree: Tree) -> None:
    path = tree.revision_path("app", tree.image("app", [], note="padded"))
    path.write_text(path.read_text() + "\n")


def mismatched_revision_link(tree: Tree) -> None:
    first, second = (tree.image("app", [tree.blob(note, 7)], note=note) for note in ("one", "two"))
    tree.revision_path("app", first).write_text(second)


def link_without_digest_directory(tree: Tree) -> None:
    tree.write(tree.repository("app") / "_manifests" / "revisions" / "sha256" / "link", b"nothing")


def stray_file_among_tags(tree: Tree) -> None:
    tree.write(tree.repository("app") / "_manifests" / "tags" / "readme", b"hello")


def stray_dot_file_among_tags(tree: Tree) -> None:
    tree.write(tree.repository("app") / "_manifests" / "tags" / ".nfs01", b"hello")


def corrupt_tag_link(tree: Tree) -> None:
    tree.tag("app", "bad", tree.image("app", [], note="bad")).write_bytes(b"sha256:beef")


def empty_tag_link(tree: Tree) -> None:
    tree.tag("app", "bad", tree.image("app", [], note="bad")).write_bytes(b"")


def padded_tag_link(tree: Tree) -> None:
    link = tree.tag("app", "bad", tree.image("app", [], note="bad"))
    link.write_text(link.read_text() + "\n")


def tag_without_link(tree: Tree) -> None:
    (tree.repository("app") / "_manifests" / "tags" / "nothing" / "current").mkdir(parents=True)


def tag_whose_current_is_a_file(tree: Tree) -> None:
    tree.write(tree.repository("app") / "_manifests" / "tags" / "odd" / "current", b"x")


def tag_of_no_tags_name(tree: Tree) -> None:
    tree.tag("app", "-odd name", tree.image("app", [tree.blob("odd", 7)], note="odd"))


def bad_tag_without_any_revision(tree: Tree) -> None:
    tree.write(tree.repository("empty") / "_manifests" / "tags" / "readme", b"hello")
    (tree.repository("empty") / "_layers").mkdir(exist_ok=True)


def tags_are_a_file(tree: Tree) -> None:
    tree.image("filed", [tree.blob("filed", 7)], note="filed")
    tree.write(tree.repository("filed") / "_manifests" / "tags", b"x")


def revisions_are_a_file(tree: Tree) -> None:
    tree.write(tree.repository("filed") / "_manifests" / "revisions", b"x")
    (tree.repository("filed") / "_layers").mkdir()


def manifests_are_a_file(tree: Tree) -> None:
    tree.write(tree.repository("filed") / "_manifests", b"x")
    (tree.repository("filed") / "_layers").mkdir()


def upper_case_name(tree: Tree) -> None:
    tree.tag("Upper", "v", tree.image("Upper", [tree.blob("upper", 7)], note="upper"))


def upper_case_name_with_layers_only(tree: Tree) -> None:
    (tree.repository("Upper") / "_layers").mkdir(parents=True)


def upper_case_name_with_manifests_only(tree: Tree) -> None:
    (tree.repository("Upper") / "_manifests").mkdir(parents=True)


def upper_case_directory_only(tree: Tree) -> None:
    tree.repository("Upper").mkdir()
    (tree.repository("UPPER") / "_uploads").mkdir(parents=True)


def host_like_name(tree: Tree) -> None:
    tree.tag("Host.example/app", "v", tree.image("Host.example/app", [tree.blob("host", 7)], note="host"))


def name_too_long(tree: Tree) -> None:
    name = "/".join(["n" * 60] * 5)
    tree.tag(name, "v", tree.image(name, [tree.blob("long", 7)], note="long"))


def corrupt_layer_link(tree: Tree) -> None:
    tree.image("app", [layer := tree.blob("linked", 7)], note="linked")
    (tree.repository("app") / "_layers" / layer.replace(":", "/") / "link").write_bytes(b"")


def stale_layer_links(tree: Tree) -> None:
    layer = tree.blob("stale", 7)
    tree.link(tree.repository("app") / "_layers" / layer.replace(":", "/") / "link", layer)
    absent = "sha256:" + "0" * 64
    tree.link(tree.repository("app") / "_layers" / absent.replace(":", "/") / "link", absent)


def sha512_layer(tree: Tree) -> None:
    stored, named = tree.blob("as sha256", 40), "sha512:" + "ab" * 64
    for digest in (stored, named):
        tree.link(tree.repository("app") / "_layers" / digest.replace(":", "/") / "link", stored)
    config = {"mediaType": OCI_CONFIG, "digest": tree.blob("config", 2), "size": 2}
    layers = [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": named, "size": 40}]
    document = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": config, "layers": layers}
    tree.tag("app", "sha512", tree.manifest("app", document))


def schema1(tree: Tree) -> None:
    layer = tree.blob("old layer", 30)
    document = {"schemaVersion": 1, "name": "app", "tag": "old", "fsLayers": [{"blobSum": layer}]}
    tree.tag("app", "old", tree.manifest("app", document))


def artifact_manifest(tree: Tree) -> None:
    media_type = "application/vnd.oci.artifact.manifest.v1+json"
    tree.manifest("app", {"schemaVersion": 2, "mediaType": media_type, "blobs": []})


def manifest_that_is_no_json(tree: Tree) -> None:
    tree.manifest("app", b"not JSON")


def manifest_without_version(tree: Tree) -> None:
    tree.manifest("app", {"mediaType": OCI_IMAGE, "layers": []})


def manifest_without_type(tree: Tree) -> None:
    config, layer = tree.blob("c", 2), tree.blob("l", 9)
    document = {
        "schemaVersion": 2,
        "config": {"mediaType": OCI_CONFIG, "digest": config, "size": 2},
        "layers": [{"mediaType": "x", "digest": layer, "size": 9}],
    }
    tree.tag("app", "typeless", tree.manifest("app", document))


def image_that_lists_manifests(tree: Tree) -> None:
    tree.manifest("app", {"schemaVersion": 2, "mediaType": OCI_IMAGE, "manifests": []})


def too_large_manifest(tree: Tree) -> None:
    tree.manifest("app", b'{"schemaVersion": 2, "x": "' + b"x" * (5 << 20) + b'"}')


def misplaced_blob(tree: Tree) -> None:
    tree.write(tree.v2 / "blobs" / "sha256" / "ab" / ("cd" + "0" * 62) / "data", b"x")


def file_among_blobs(tree: Tree) -> None:
    tree.write(tree.v2 / "blobs" / "sha256" / "readme", b"x")
    tree.write(tree.v2 / "blobs" / "sha256" / "ab" / "readme", b"x")
    (tree.v2 / "blobs" / "sha256" / "ab" / ("ab" + "0" * 62)).mkdir()


def data_file_in_fan_out(tree: Tree) -> None:
    tree.write(tree.v2 / "blobs" / "sha256" / "ab" / "data", b"x")


def short_blob_name(tree: Tree) -> None:
    tree.write(tree.v2 / "blobs" / "sha256" / "ab" / "c" / "data", b"x")


def underscore_file_beside_repositories(tree: Tree) -> None:
    """2.8 ends its walk of the directory there: everything after it by name is not seen."""
    tree.tag("0first", "v", tree.image("0first", [tree.blob("first", 7)], note="first"))
    tree.write(tree.v2 / "repositories" / "_backup", b"x")


def underscore_file_in_a_repository(tree: Tree) -> None:
    tree.tag("app/below", "v", tree.image("app/below", [tree.blob("below", 7)], note="below"))
    tree.write(tree.repository("app") / "_a", b"x")


def underscore_file_after_layers(tree: Tree) -> None:
    tree.tag("app/below", "v", tree.image("app/below", [tree.blob("below", 7)], note="below"))
    tree.write(tree.repository("app") / "_notes", b"x")


def stray_file_beside_repositories(tree: Tree) -> None:
    tree.write(tree.v2 / "repositories" / "readme", b"x")


def repository_by_symlink(tree: Tree) -> None:
    (tree.v2 / "repositories" / "alias").symlink_to(tree.repository("app"))


def symlink_to_its_ancestor(tree: Tree) -> None:
    (tree.repository("app") / "loop").symlink_to(tree.repository("app"))


def broken_symlink(tree: Tree) -> None:
    (tree.v2 / "repositories" / "_gone").symlink_to("/nowhere")
    (tree.repository("app") / "_manifests" / "tags" / "gone").symlink_to("/nowhere")


def spaces_in_names(tree: Tree) -> None:
    (tree.v2 / "repositories" / "my backup").mkdir()


def space_below_a_repository(tree: Tree) -> None:
    (tree.repository("app") / "_old layers").mkdir()


def space_among_blobs(tree: Tree) -> None:
    tree.write(tree.v2 / "blobs" / "sha256" / "ab" / "read me", b"x")


def space_among_uploads(tree: Tree) -> None:
    (tree.repository("app") / "_uploads" / "a b").mkdir(parents=True)


def space_among_revisions(tree: Tree) -> None:
    (tree.repository("app") / "_manifests" / "revisions" / "sha256" / "a b").mkdir()


def link_below_a_name_with_a_space(tree: Tree) -> None:
    tree.write(tree.repository("app") / "_manifests" / "revisions" / "sha256" / "a b" / "link", b"sha256:" + b"0" * 64)


def layer_link_below_a_name_with_a_space(tree: Tree) -> None:
    tree.write(tree.repository("app") / "_layers" / "sha256" / "a b" / "link", b"sha256:" + b"0" * 64)


def space_among_layers(tree: Tree) -> None:
    (tree.repository("app") / "_layers" / "sha256" / "a b").mkdir()


def name_that_is_not_utf8(tree: Tree) -> None:
    os.mkdir(os.fsencode(tree.v2 / "repositories") + b"/caf\xe9")


def no_repositories(tree: Tree) -> None:
    (tree.v2 / "repositories").rename(tree.v2 / "elsewhere")


def no_blobs(tree: Tree) -> None:
    (tree.v2 / "blobs").rename(tree.v2 / "elsewhere")


CASES = [
    case
    for case in list(globals().values())
    if getattr(case, "__annotations__", None) == {"tree": "Tree", "return": "None"}
]


@pytest.mark.parametrize(("kind", "untagged"), WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_preview_is_what_the_collector_does(
    tree: Tree, case: Callable[[Tree], None], kind: Kind, untagged: bool
) -> None:
    tree.blob("an orphan", 13)
    case(tree)
    ours = agree(tree, kind, untagged=untagged)
    if not ours.is_uncertain:
        carried_out(tree, kind, ours)


def carried_out(tree: Tree, kind: Kind, ours: Outcome) -> None:
    """Asserts that a real run removes what the preview says, or stops where it says."""
    before, stored = on_disk(tree), tree.data_bytes()
    revisions = revisions_on_disk(tree)

    theirs = collect(kind, tree.root, *(["-m"] if ours.untagged else []))

    if not ours.stops:
        assert theirs.code == 0, theirs.errors[-600:]
        assert stored - tree.data_bytes() == ours.freed.bytes
        assert len(before - on_disk(tree)) == ours.freed.count
        assert len(revisions - revisions_on_disk(tree)) == len(ours.manifests)
        return
    assert theirs.code != 0, ours.stops
    removed = {stop.after for stop in ours.stops}
    if len(removed) == 1:
        assert len(before - on_disk(tree)) == (ours.freed.count if removed == {"blobs"} else 0)
        if removed == {""}:
            assert revisions_on_disk(tree) == revisions


def on_disk(tree: Tree) -> set[Path]:
    """The blobs, by a walk of its own."""
    return {path for path in tree.v2.glob("blobs/*/??/*/data") if len(path.parent.name) == 64}


def revisions_on_disk(tree: Tree) -> set[Path]:
    """The links of revisions."""
    return set(tree.v2.glob("repositories/**/_manifests/revisions/*/*/link"))


# What it ought not to touch


def hurts(tree: Tree, kind: Kind, *, untagged: bool) -> dict[str, tuple[int, int]]:
    """Kind to how many revisions, and the bytes they lose."""
    _, ours = outcome_of(tree, kind, untagged=untagged)
    return {hurt.kind: (hurt.revisions, hurt.lost.bytes) for hurt in ours.hurts}


def test_children_of_a_tagged_index_are_lost_on_2_8_alone(tree: Tree) -> None:
    children = [tree.image("multi", [tree.blob(name, 30)], note=name) for name in ("amd64", "arm64")]
    tree.tag("multi", "1.0", tree.index("multi", children))

    assert hurts(tree, "2.8", untagged=True) == {"child": (2, 30 + 30 + 2 + 2)}
    _, ours = outcome_of(tree, "2.8", untagged=True)
    assert {(named.repository, named.digest, named.tags) for named in ours.hurts[0].named} == {
        ("multi", child, ("1.0",)) for child in children
    }
    for kind, untagged in (("2.8", False), ("3.1", False), ("3.1", True)):
        assert hurts(tree, kind, untagged=untagged) == {}, (kind, untagged)  # type: ignore[arg-type]


def test_untagged_signatures_are_lost_on_both(tree: Tree) -> None:
    signed = tree.image("app", [tree.blob("signed", 30)], note="signed")
    tree.tag("app", "signed", signed)
    signature = tree.image("app", [tree.blob("signature", 5)], subject=signed, note="signature")

    for kind in KINDS:
        assert hurts(tree, kind, untagged=True) == {"attached": (1, 5 + 2 + tree.size(signature))}
        assert hurts(tree, kind, untagged=False) == {}
        _, ours = outcome_of(tree, kind, untagged=True)
        assert ours.hurts[0].named == (("app", signature, ("signed",)),)


def test_a_tagged_index_without_layers_is_lost_on_2_8_even_plainly(tree: Tree) -> None:
    index = tree.index("bare", [])
    tree.tag("bare", "v", index)

    for untagged in (False, True):
        assert hurts(tree, "2.8", untagged=untagged) == {"tagged": (1, tree.size(index))}
    _, three = outcome_of(tree, "3.1", untagged=False)
    assert [(stop.code, stop.repository, stop.path) for stop in three.stops] == [
        ("no-layers", "bare", "repositories/bare/_layers")
    ]


def test_digests_without_any_tag_are_lost_on_3_and_stop_2_8(tree: Tree) -> None:
    pushed = tree.image("by-digest", [tree.blob("by digest", 30)], note="by digest")

    assert hurts(tree, "3.1", untagged=True) == {"digest-only": (1, 30 + 2 + tree.size(pushed))}
    assert hurts(tree, "3.1", untagged=False) == {}
    _, two = outcome_of(tree, "2.8", untagged=True)
    assert [stop.code for stop in two.stops] == ["no-tags"]


def test_a_layer_pushed_as_sha512_is_lost_everywhere_and_counts_as_live(tree: Tree) -> None:
    sha512_layer(tree)

    for kind, untagged in itertools.product(KINDS, (False, True)):
        assert hurts(tree, kind, untagged=untagged) == {"sha512": (1, 40)}
    v2 = str(v2_directory(tree.root))
    facts = Scan(v2, young_after=0.0).run()
    graph = Graph(facts)
    ours = preview(v2, facts, graph).of(Family.TWO, untagged=False)
    assert graph.bytes_of(ours.blobs & live_blobs(v2, facts, graph)) == 40


def test_what_lies_behind_a_file_with_an_underscore_is_lost_on_2_8(tree: Tree) -> None:
    tree.write(tree.v2 / "repositories" / "_backup", b"x")

    assert hurts(tree, "2.8", untagged=False)["tagged"] == (1, tree.data_bytes())
    assert hurts(tree, "3.1", untagged=False) == {}


# Where a blob belonged


def test_orphans_are_told_by_the_repository_that_had_them_last(tree: Tree) -> None:
    lost = tree.image("team/app", [tree.blob("own", 70), tree.blob("common", 9)], note="lost")
    tree.image("other", [tree.blob("common", 9)], note="lost too")
    for name in ("team/app", "other"):
        for digest in list((tree.repository(name) / "_manifests/revisions/sha256").iterdir()):
            tree.delete(name, f"sha256:{digest.name}")
    nobodys = tree.blob("nobody's", 1)
    v2 = str(v2_directory(tree.root))
    facts = Scan(v2, young_after=0.0).run()
    graph = Graph(facts)
    ours = preview(v2, facts, graph).of(Family.TWO, untagged=False)

    found = last_held(v2, facts, graph, ours.blobs)

    named = {graph.digests[n]: SEVERAL if i == SEVERAL else facts.repositories[i].name for n, i in found.items()}
    assert named[lost] == "team/app"
    assert named[tree.blob("own", 70)] == "team/app"
    assert named[tree.blob("common", 9)] == SEVERAL
    assert nobodys not in named
    assert found.keys() <= ours.blobs


# Random trees


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    pushes=pushes,
    sizes=st.lists(st.integers(0, 5000), min_size=7, max_size=7),
    bare=st.sets(st.sampled_from(["a", "a/b", "c"]), max_size=1),
    layered=st.sets(st.sampled_from(["a", "a/b", "c"])),
    tagged=st.sets(st.sampled_from(["a", "a/b", "c"])),
    anomaly=st.none() | st.sampled_from(CASES),
    way=st.sampled_from([way.values for way in WAYS]),
)
def test_on_any_tree_the_preview_is_what_the_collector_does(
    pushes: list[Pushed],
    sizes: list[int],
    bare: set[str],
    layered: set[str],
    tagged: set[str],
    anomaly: Callable[[Tree], None] | None,
    way: tuple[Kind, bool],
) -> None:
    kind, untagged = way
    if binary(kind) is None:
        pytest.skip(missing(kind))
    with tempfile.TemporaryDirectory() as directory:
        tree = Tree(Path(directory) / "storage")
        build(tree, pushes, sizes)
        for path in tree.v2.glob("repositories/**/_manifests"):
            name = str(path.parent.relative_to(tree.v2 / "repositories"))
            if name not in bare or name in layered:
                (path.parent / "_layers").mkdir(exist_ok=True)
            if name in tagged:
                (path / "tags").mkdir(exist_ok=True)
        if anomaly is not None:
            tree.tag("app", "v", tree.image("app", [tree.blob("layer", 100)], note="sound"))
            anomaly(tree)

        ours = agree(tree, kind, untagged=untagged)

        if not ours.is_uncertain:
            carried_out(tree, kind, ours)
