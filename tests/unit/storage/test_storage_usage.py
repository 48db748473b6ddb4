"""The accounting: who holds which bytes, by the words tagged, untagged, orphan, exclusive, shared, in flight."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dashboard.storage.errors import Cancelled, NotAStorage, RootMissing
from dashboard.storage.usage import Amount, RepositoryUsage, Usage, filesystem, measure
from tests.unit.storage.trees import Tree

NOW = 1_900_000_000.0  # far enough ahead that everything just written is old


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def usage_of(tree: Tree, **options: object) -> Usage:
    usage = measure(tree.root, now=NOW, **options)  # type: ignore[arg-type]  # options of measure, chosen by each test
    parts = usage.tagged.bytes + usage.untagged.bytes + usage.orphans.bytes + usage.uploads.bytes
    assert parts == usage.data_bytes
    assert usage.tagged_exclusive.bytes + usage.tagged_shared.bytes == usage.tagged.bytes
    assert sum(r.tagged_exclusive_bytes for r in usage.by_repository) == usage.tagged_exclusive.bytes
    return usage


def of(usage: Usage, name: str) -> RepositoryUsage:
    return next(repository for repository in usage.by_repository if repository.name == name)


def test_a_tagged_image_is_its_manifest_config_and_layers_each_once(tree: Tree) -> None:
    layer, config = tree.blob("layer", 1000), tree.blob("config", 50)
    image = tree.image("team/app", [layer, layer], config=config)
    tree.tag("team/app", "1.0", image)
    tree.tag("team/app", "latest", image)

    usage = usage_of(tree)

    whole = tree.size(layer, config, image)
    assert usage.blobs == usage.tagged == usage.tagged_exclusive == Amount(3, whole)
    assert (usage.repositories, usage.tags) == (1, 2)
    assert of(usage, "team/app") == RepositoryUsage("team/app", 2, whole, whole, whole, whole, 0)
    assert usage.problems == ()


def test_a_layer_in_two_repositories_is_stored_once_and_exclusive_to_none(tree: Tree) -> None:
    base, own = tree.blob("base", 700), tree.blob("own", 30)
    first, second = tree.image("a", [base, own], note="1"), tree.image("b", [base], note="2")
    tree.tag("a", "v", first)
    tree.tag("b", "v", second)

    usage = usage_of(tree)

    assert usage.tagged_shared == Amount(1, 700)
    assert of(usage, "a").bytes - of(usage, "a").exclusive_bytes == 700
    assert of(usage, "a").shared_bytes == of(usage, "b").shared_bytes == 700


def test_a_tagged_layer_that_another_repository_holds_untagged_is_tagged_but_not_exclusive(tree: Tree) -> None:
    base = tree.blob("base", 700)
    tree.tag("a", "v", tree.image("a", [base], note="1"))
    tree.image("b", [base], note="2")

    usage = usage_of(tree)

    assert usage.tagged_shared == Amount(1, 700)
    assert of(usage, "b").untagged_bytes == of(usage, "b").bytes
    assert usage.untagged.bytes == of(usage, "b").exclusive_bytes == of(usage, "b").bytes - 700


def test_a_revision_that_lost_its_tag_is_untagged_and_what_a_tag_also_reaches_is_not(tree: Tree) -> None:
    kept, lost = tree.blob("kept", 100), tree.blob("lost", 9)
    old = tree.image("app", [kept, lost], note="old")
    tree.tag("app", "latest", tree.image("app", [kept], note="new"))

    usage = usage_of(tree)

    config = tree.blob("config of old", 2)
    assert usage.untagged == Amount(3, tree.size(lost, old, config))
    assert of(usage, "app").untagged_bytes == usage.untagged.bytes


def test_a_deleted_revision_leaves_its_directory_and_makes_orphans(tree: Tree) -> None:
    layer = tree.blob("layer", 500)
    image = tree.image("app", [layer], note="gone")
    tree.tag("app", "v", image)
    tree.delete("app", image)

    usage = usage_of(tree)

    assert tree.revision_path("app", image).parent.is_dir()
    assert usage.orphans == usage.blobs == Amount(3, tree.size(layer, image, tree.blob("config of gone", 2)))
    assert (usage.repositories, usage.tags, usage.problems) == (1, 0, ())


def test_an_index_holds_its_children_and_their_layers(tree: Tree) -> None:
    layers = [tree.blob("amd64", 10), tree.blob("arm64", 20)]
    children = [tree.image("app", [layer], note=layer) for layer in layers]
    tree.tag("app", "v", tree.index("app", children))

    usage = usage_of(tree)

    assert usage.untagged == usage.orphans == Amount(0, 0)
    assert usage.tagged.count == 7


def test_a_broken_index_still_reaches_the_deleted_childs_manifest_but_not_its_layers(tree: Tree) -> None:
    amd64, arm64 = tree.blob("amd64", 10), tree.blob("arm64", 20)
    children = [tree.image("app", [amd64], note="amd64"), tree.image("app", [arm64], note="arm64")]
    index = tree.index("app", children)
    tree.tag("app", "v", index)
    tree.delete("app", children[1])

    usage = usage_of(tree)

    assert usage.orphans == Amount(2, tree.size(arm64, tree.blob("config of arm64", 2)))
    assert usage.tagged.count == 5
    assert [problem.code for problem in usage.problems] == ["child-missing"]
    assert usage.problems[0].path.endswith(f"{index.partition(':')[2]}/link")


def test_a_child_that_only_another_repository_holds_gives_its_manifest_and_no_layers(tree: Tree) -> None:
    child = tree.image("other", [tree.blob("layer", 80)], note="child")
    tree.tag("app", "v", tree.index("app", [child]))

    usage = usage_of(tree)

    assert of(usage, "app").bytes == of(usage, "app").tagged_bytes
    assert usage.untagged.bytes == 80 + 2  # its layer and config: only the untagged revision of `other` reaches them


def test_an_index_in_an_index_holds_everything_below(tree: Tree) -> None:
    layer = tree.blob("deep", 33)
    inner = tree.index("app", [tree.image("app", [layer], note="deep")], note="inner")
    tree.tag("app", "v", tree.index("app", [inner], note="outer"))

    assert usage_of(tree).tagged.count == 5


def test_what_is_attached_to_a_tagged_image_is_held_by_the_tag_through_a_chain(tree: Tree) -> None:
    image = tree.image("app", [tree.blob("layer", 100)], note="image")
    signature = tree.image("app", [tree.blob("signature", 5)], subject=image, note="signature")
    tree.image("app", [tree.blob("of the signature", 6)], subject=signature, note="chain")
    child = tree.image("app", [tree.blob("sbom", 7)], note="child")
    tree.index("app", [child], subject=image, note="an attached index holds its children")
    stranger = tree.image("app", [tree.blob("stranger", 8)], subject=f"sha256:{'0' * 64}", note="stranger")
    tree.tag("app", "v", image)

    usage = usage_of(tree)

    assert usage.untagged == Amount(3, tree.size(stranger, tree.blob("stranger", 8)) + 2)


def test_attached_to_an_untagged_image_or_in_a_circle_is_untagged(tree: Tree) -> None:
    image = tree.image("app", [tree.blob("layer", 100)], note="image")
    tree.image("app", [tree.blob("signature", 5)], subject=image, note="signature")

    usage = usage_of(tree)

    assert usage.tagged == Amount(0, 0)
    assert usage.untagged.count == 6


def test_a_subject_in_another_repository_does_not_attach(tree: Tree) -> None:
    image = tree.image("app", [tree.blob("layer", 100)], note="image")
    tree.tag("app", "v", image)
    tree.image("signatures", [tree.blob("signature", 5)], subject=image, note="signature")

    assert usage_of(tree).untagged.count == 3


def test_nested_and_emptied_repositories_are_counted(tree: Tree) -> None:
    for name in ("team/app", "team/app/worker", "team"):
        tree.tag(name, "v", tree.image(name, [], note=name))
    gone = tree.image("emptied", [], note="emptied")
    tree.tag("emptied", "v", gone)
    tree.delete("emptied", gone)
    (tree.repository("layers-only") / "_layers").mkdir(parents=True)
    (tree.repository("just-a-directory") / "deeper").mkdir(parents=True)

    usage = usage_of(tree)

    assert [r.name for r in usage.by_repository] == ["emptied", "layers-only", "team", "team/app", "team/app/worker"]
    assert of(usage, "emptied") == RepositoryUsage("emptied", 0, 0, 0, 0, 0, 0)
    assert (usage.repositories, usage.tags, usage.problems) == (5, 3, ())


def test_a_name_with_a_host_like_first_component_is_a_repository_as_for_the_registry(tree: Tree) -> None:
    tree.tag("Host.example/x", "v", tree.image("Host.example/x", [], note="x"))

    usage = usage_of(tree)

    assert [r.name for r in usage.by_repository] == ["Host.example/x"]
    assert usage.orphans.count == 0


def test_in_flight_is_the_young_part_of_the_orphans_by_the_age_of_the_data(tree: Tree) -> None:
    young, old, held = tree.blob("young", 11), tree.blob("old", 22), tree.blob("held", 44)
    image = tree.image("app", [held])
    tree.tag("app", "v", image)
    for digest, age in ((young, 3599.0), (old, 3601.0), (held, 1.0)):
        os.utime(tree.data_path(digest), (NOW - age, NOW - age))
    ahead = tree.blob("a clock ahead of ours", 88)
    os.utime(tree.data_path(ahead), (NOW + 500, NOW + 500))

    usage = usage_of(tree)

    assert usage.orphans == Amount(3, 11 + 22 + 88)
    assert usage.in_flight == Amount(2, 11 + 88)
    assert usage_of(tree, in_flight_seconds=0).in_flight == Amount(1, 88)


def test_uploads_count_with_data_or_startedat_alone_and_without_a_repository(tree: Tree) -> None:
    tree.upload("app", "0a", 100)
    (tree.upload("app", "0b", 50) / "startedat").unlink()
    (tree.upload("never-finished", "0c", 7) / "data").unlink()

    usage = usage_of(tree)

    assert usage.uploads == Amount(3, 150)
    assert usage.repositories == 0  # neither has _manifests or _layers yet


def test_a_repository_under_two_names_counts_twice_and_its_bytes_once(tree: Tree) -> None:
    tree.tag("app", "v", tree.image("app", [tree.blob("layer", 100)], note="n"))
    tree.upload("app", "0a", 9)
    tree.repository("alias").symlink_to(tree.repository("app"), target_is_directory=True)

    usage = usage_of(tree)

    assert [r.name for r in usage.by_repository] == ["alias", "app"]
    assert (usage.tags, usage.uploads) == (2, Amount(1, 9))
    assert of(usage, "alias").bytes == of(usage, "app").bytes == usage.tagged_shared.bytes == usage.blobs.bytes
    assert of(usage, "alias").exclusive_bytes == 0


def test_blobs_moved_to_another_disk_by_symlink_are_counted(tree: Tree, tmp_path: Path) -> None:
    digest = tree.blob("layer", 1234)
    fan_out = tree.data_path(digest).parents[1]
    fan_out.rename(tmp_path / "elsewhere")
    fan_out.symlink_to(tmp_path / "elsewhere", target_is_directory=True)

    assert usage_of(tree).orphans == Amount(1, 1234)


def test_schema1_layers_are_reached(tree: Tree) -> None:
    layer = tree.blob("layer", 60)
    legacy = tree.manifest("old", {"schemaVersion": 1, "fsLayers": [{"blobSum": layer}], "history": []})
    tree.tag("old", "v", legacy)

    assert usage_of(tree).tagged == Amount(2, tree.size(layer, legacy))


def test_a_layer_pushed_as_sha512_is_named_because_a_collection_would_take_it(tree: Tree) -> None:
    stored = tree.blob("layer", 60)
    alias = f"sha512:{'ab' * 64}"
    image = tree.image("app", [alias], note="sha512")
    tree.link(tree.repository("app") / "_layers" / alias.replace(":", "/") / "link", stored)
    tree.tag("app", "v", image)

    usage = usage_of(tree)

    assert usage.orphans == Amount(1, 60)
    assert [problem.code for problem in usage.problems] == ["blob-unprotected"]


def test_an_empty_storage_is_all_zero(tree: Tree) -> None:
    usage = usage_of(tree)

    assert (usage.repositories, usage.tags, usage.blobs, usage.uploads) == (0, 0, Amount(0, 0), Amount(0, 0))
    assert (usage.by_repository, usage.problems) == ((), ())


def test_the_v2_directory_itself_is_understood(tree: Tree) -> None:
    tree.blob("layer", 5)

    assert measure(tree.v2, now=NOW).blobs == measure(tree.root, now=NOW).blobs == Amount(1, 5)


def test_a_root_that_is_missing_or_something_else_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RootMissing, match=r"There is no directory .*/nowhere"):
        measure(tmp_path / "nowhere", now=NOW)
    with pytest.raises(NotAStorage, match="holds no docker/registry/v2"):
        measure(tmp_path, now=NOW)
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotAStorage) as caught:
        measure(tmp_path / "file", now=NOW)
    assert caught.value.code == "storage-not-a-registry"
    assert caught.value.parameters["path"] == str(tmp_path / "file")


def test_the_file_system_is_that_of_the_blobs(tree: Tree) -> None:
    state = os.statvfs(tree.v2 / "blobs")

    disk = filesystem(tree.root)

    assert disk.total == state.f_blocks * state.f_frsize
    assert 0 < disk.free <= disk.total


def test_progress_is_told_and_cancelling_stops(tree: Tree) -> None:
    for number in range(40):
        tree.blob(f"blob {number}", number)
    tree.tag("app", "v", tree.image("app", []))
    told: list[tuple[str, int, int]] = []

    usage_of(tree, progress=lambda *step: told.append(step))

    for stage in ("blobs", "repositories"):
        steps = [(done, of_all) for name, done, of_all in told if name == stage]
        assert steps
        assert steps[-1][0] == steps[-1][1]
        assert steps == sorted(steps)
    with pytest.raises(Cancelled):
        measure(tree.root, now=NOW, cancelled=lambda: True)


def test_a_full_pass_counts_metadata_and_broken_links_and_agrees_with_the_disk(tree: Tree) -> None:
    layer = tree.blob("layer", 5000)
    image = tree.image("app", [layer], note="n")
    link = tree.tag("app", "v", image)
    tree.upload("app", "0a", 9)
    gone = f"sha256:{'c' * 64}"
    tree.link(tree.repository("app") / "_layers" / gone.replace(":", "/") / "link", gone)
    tree.link(tree.repository("app") / "_layers" / "sha256" / ("d" * 64) / "link", "nonsense")
    tree.write(tree.data_path(layer).with_name("data.1234.tmp"), b"left behind")

    usage = usage_of(tree, full=True)

    assert usage.metadata is not None
    everything = [tree.v2, *tree.v2.rglob("*")]
    links = [path for path in everything if path.name == "link"]
    assert usage.metadata.links == len(links)
    assert usage.metadata.broken_links == 1
    assert usage.metadata.directories == sum(path.is_dir() for path in everything)
    assert (usage.metadata.other_files, usage.metadata.other_bytes) == (1, 11)
    lengths = sum(path.lstat().st_size for path in everything)
    assert usage.data_bytes + usage.metadata.bytes + usage.metadata.other_bytes == lengths
    assert usage.metadata.allocated_bytes == sum(path.lstat().st_blocks * 512 for path in everything)
    assert {problem.code for problem in usage.problems} == {"link-corrupt", "stray-file"}
    assert link.is_file()
    assert "metadata" in usage.to_json()
    assert "metadata" not in usage_of(tree).to_json()


def test_the_json_object_has_the_promised_shape(tree: Tree) -> None:
    tree.tag("app", "v", tree.image("app", [tree.blob("layer", 100)], note="n"))
    (tree.v2 / "repositories" / "stray").write_text("abc")

    document = usage_of(tree).to_json()

    assert document["repositories"] == document["tags"] == 1
    for name in ("blobs", "orphans", "in_flight", "untagged", "uploads"):
        assert set(document[name]) == {"count", "bytes"}
    assert set(document["by_repository"][0]) == {
        "name",
        "tags",
        "bytes",
        "exclusive_bytes",
        "tagged_bytes",
        "tagged_exclusive_bytes",
        "untagged_bytes",
        "untagged_revisions",
    }
    assert document["problems"] == [{"code": "stray-file", "path": "repositories/stray", "bytes": 3}]
    assert isinstance(document["seconds"], float)
