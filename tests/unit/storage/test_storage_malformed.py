"""What no registry should write, and disks hold anyway: each is a problem with a code, a path and bytes, in no sum."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboard.storage import scan as scan_module
from dashboard.storage import units
from dashboard.storage.errors import RootUnreadable
from dashboard.storage.facts import PROBLEM_CODES
from dashboard.storage.usage import Amount, Problem, Usage, measure
from tests.unit.storage.trees import Tree

NOW = 1_900_000_000.0
HEX = "ab" + "0" * 62


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "storage")
    made.tag("app", "v", made.image("app", [made.blob("layer", 100)], note="sound"))
    return made


def scanned(tree: Tree) -> Usage:
    """The usage, obtained within seconds: nothing on the disk may hold a scan up."""
    results: list[Usage] = []
    worker = threading.Thread(target=lambda: results.append(measure(tree.root, now=NOW)), daemon=True)
    worker.start()
    worker.join(timeout=20)
    assert results, "the scan hangs or failed"
    return results[0]


def fifo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def lead(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def put(path: Path, content: bytes = b"xyz") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


BLOBS = "blobs/sha256"
TAGS = "repositories/app/_manifests/tags"
REVISIONS = "repositories/app/_manifests/revisions/sha256"
UPLOADS = "repositories/app/_uploads"

CASES: dict[str, tuple[Callable[[Path], object], Problem]] = {
    "file among algorithms": (lambda v2: put(v2 / "blobs/notes.txt"), Problem("stray-file", "blobs/notes.txt", 3)),
    "unknown algorithm": (lambda v2: put(v2 / f"blobs/md5/ab/{HEX}/data"), Problem("blob-name", "blobs/md5", 3)),
    "file among fan-outs": (lambda v2: put(v2 / f"{BLOBS}/x"), Problem("stray-file", f"{BLOBS}/x", 3)),
    "fan-out that is none": (
        lambda v2: put(v2 / f"{BLOBS}/zz/{HEX}/data", b"12345"),
        Problem("blob-name", f"{BLOBS}/zz", 5),
    ),
    "file among blobs": (lambda v2: put(v2 / f"{BLOBS}/ab/file"), Problem("blob-name", f"{BLOBS}/ab/file", 3)),
    "blob of a short name": (
        lambda v2: put(v2 / f"{BLOBS}/ab/abcd/data", b"12345"),
        Problem("blob-name", f"{BLOBS}/ab/abcd", 5),
    ),
    "blob in upper case": (
        lambda v2: put(v2 / f"{BLOBS}/ab/{'AB' * 32}/data", b"12345"),
        Problem("blob-name", f"{BLOBS}/ab/{'AB' * 32}", 5),
    ),
    "blob in the wrong fan-out": (
        lambda v2: put(v2 / f"{BLOBS}/cd/{HEX}/data", b"12345"),
        Problem("blob-name", f"{BLOBS}/cd/{HEX}", 5),
    ),
    "blob without data": (
        lambda v2: put(v2 / f"{BLOBS}/ab/{HEX}/date"),
        Problem("blob-without-data", f"{BLOBS}/ab/{HEX}", 3),
    ),
    "file in place of a blob's directory": (
        lambda v2: put(v2 / f"{BLOBS}/ab/{HEX}"),
        Problem("stray-file", f"{BLOBS}/ab/{HEX}", 3),
    ),
    "data is a FIFO": (
        lambda v2: fifo(v2 / f"{BLOBS}/ab/{HEX}/data"),
        Problem("not-a-file", f"{BLOBS}/ab/{HEX}/data", 0),
    ),
    "data is a directory": (
        lambda v2: (v2 / f"{BLOBS}/ab/{HEX}/data").mkdir(parents=True),
        Problem("not-a-file", f"{BLOBS}/ab/{HEX}/data", 0),
    ),
    "data leads to a device": (
        lambda v2: lead(v2 / f"{BLOBS}/ab/{HEX}/data", "/dev/zero"),
        Problem("not-a-file", f"{BLOBS}/ab/{HEX}/data", 0),
    ),
    "stray file among tags": (lambda v2: put(v2 / f"{TAGS}/.DS_Store"), Problem("tag-name", f"{TAGS}/.DS_Store", 3)),
    "file called as a tag": (lambda v2: put(v2 / f"{TAGS}/readme"), Problem("stray-file", f"{TAGS}/readme", 3)),
    "tag without a current link": (
        lambda v2: put(v2 / f"{TAGS}/half/index/sha256/{HEX}/link"),
        Problem("tag-without-link", f"{TAGS}/half", 3),
    ),
    "tag link that is empty": (
        lambda v2: put(v2 / f"{TAGS}/empty/current/link", b""),
        Problem("link-corrupt", f"{TAGS}/empty/current/link", 0),
    ),
    "tag link that is no digest": (
        lambda v2: put(v2 / f"{TAGS}/bad/current/link", b"sha256:XYZ"),
        Problem("link-corrupt", f"{TAGS}/bad/current/link", 10),
    ),
    "tag link that is far too large": (
        lambda v2: put(v2 / f"{TAGS}/big/current/link", b"a" * 5000),
        Problem("link-corrupt", f"{TAGS}/big/current/link", 5000),
    ),
    "tag link that is a FIFO": (
        lambda v2: fifo(v2 / f"{TAGS}/pipe/current/link"),
        Problem("not-a-file", f"{TAGS}/pipe/current/link", 0),
    ),
    "tag that points nowhere": (
        lambda v2: put(v2 / f"{TAGS}/gone/current/link", b"sha256:" + b"0" * 64),
        Problem("tag-points-nowhere", f"{TAGS}/gone/current/link", 71),
    ),
    "revision in a name that is no digest": (
        lambda v2: put(v2 / f"{REVISIONS}/abc/link"),
        Problem("revision-name", f"{REVISIONS}/abc", 3),
    ),
    "revision link that is empty": (
        lambda v2: put(v2 / f"{REVISIONS}/{HEX}/link", b""),
        Problem("link-corrupt", f"{REVISIONS}/{HEX}/link", 0),
    ),
    "revision link that names another": (
        lambda v2: put(v2 / f"{REVISIONS}/{HEX}/link", b"sha256:" + b"0" * 64),
        Problem("link-mismatch", f"{REVISIONS}/{HEX}/link", 71),
    ),
    "revision link that is a FIFO": (
        lambda v2: fifo(v2 / f"{REVISIONS}/{HEX}/link"),
        Problem("not-a-file", f"{REVISIONS}/{HEX}/link", 0),
    ),
    "revision whose manifest is gone": (
        lambda v2: put(v2 / f"{REVISIONS}/{HEX}/link", f"sha256:{HEX}".encode()),
        Problem("manifest-missing", f"{BLOBS}/ab/{HEX}/data", 0),
    ),
    "revisions of an unknown algorithm": (
        lambda v2: put(v2 / "repositories/app/_manifests/revisions/md5/x/link"),
        Problem("revision-name", "repositories/app/_manifests/revisions/md5", 3),
    ),
    "repository name in upper case": (
        lambda v2: put(v2 / "repositories/UPPER/_uploads/0a/data", b"12345"),
        Problem("repository-name", "repositories/UPPER", 5),
    ),
    "file among repositories": (
        lambda v2: put(v2 / "repositories/team/notes"),
        Problem("stray-file", "repositories/team/notes", 3),
    ),
    "symlink that leads nowhere": (
        lambda v2: (v2 / "repositories/lost").symlink_to("nowhere"),
        Problem("symlink-broken", "repositories/lost", 0),
    ),
    "symlink to an ancestor": (
        lambda v2: (v2 / "repositories/app/again").symlink_to(v2 / "repositories"),
        Problem("symlink-loop", "repositories/app/again", 0),
    ),
    "symlink to itself": (
        lambda v2: (v2 / "repositories/self").symlink_to("self"),
        Problem("symlink-broken", "repositories/self", 0),
    ),
    "symlink to the root of the file system": (
        lambda v2: (v2 / "repositories/slash").symlink_to("/"),
        Problem("symlink-loop", "repositories/slash", 0),
    ),
    "fan-out that leads to an ancestor": (
        lambda v2: (v2 / f"{BLOBS}/0f").symlink_to(v2),
        Problem("symlink-loop", f"{BLOBS}/0f", 0),
    ),
    "blob that leads to an ancestor": (
        lambda v2: lead(v2 / f"{BLOBS}/ab/{HEX}", ".."),
        Problem("symlink-loop", f"{BLOBS}/ab/{HEX}", 0),
    ),
    "upload with nothing in it": (
        lambda v2: (v2 / f"{UPLOADS}/0a").mkdir(parents=True),
        Problem("upload-incomplete", f"{UPLOADS}/0a", 0),
    ),
    "file among uploads": (lambda v2: put(v2 / f"{UPLOADS}/file"), Problem("stray-file", f"{UPLOADS}/file", 3)),
    "upload whose data is a FIFO": (
        lambda v2: fifo(v2 / f"{UPLOADS}/0b/data"),
        Problem("not-a-file", f"{UPLOADS}/0b/data", 0),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_malformed_entry_is_one_problem_and_changes_no_sum(tree: Tree, case: str) -> None:
    make, expected = CASES[case]
    before = scanned(tree)
    make(tree.v2)

    after = scanned(tree)

    assert after.problems == (expected,)
    assert (after.repositories, after.blobs, after.uploads) == (before.repositories, before.blobs, before.uploads)
    assert after.by_repository[0].bytes == before.by_repository[0].bytes
    assert after.tags == before.tags + (case == "tag that points nowhere")  # its link does parse


def test_every_code_is_listed_and_explained() -> None:
    project = Path(__file__).resolve().parents[3]
    explained = (project / "docs" / "storage.md").read_text()

    assert {problem.code for _, problem in CASES.values()} < PROBLEM_CODES
    assert [code for code in sorted(PROBLEM_CODES) if f"`{code}`" not in explained] == []


def test_names_that_are_no_utf8_are_shown_escaped(tree: Tree) -> None:
    os.mkdir(os.fsencode(tree.v2) + b"/repositories/caf\xe9")
    os.mkdir(os.fsencode(tree.v2) + b"/repositories/caf\xe9/_layers")
    with open(os.fsencode(tree.v2) + b"/blobs/sha256/\xff\xfe", "wb") as file:
        file.write(b"12")

    problems = scanned(tree).problems

    assert problems == (
        Problem("repository-name", "repositories/caf\\xe9", 0),
        Problem("stray-file", "blobs/sha256/\\xff\\xfe", 2),
    )
    for problem in problems:
        problem.path.encode()


def test_a_socket_in_place_of_a_link_is_never_opened(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tree.v2 / TAGS / "s" / "current" / "link"
    path.parent.mkdir(parents=True)
    monkeypatch.chdir(path.parent)  # a socket's path is limited to about a hundred bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("link")

    assert scanned(tree).problems == (Problem("not-a-file", f"{TAGS}/s/current/link", 0),)


def test_a_writer_waiting_at_a_fifo_is_not_let_through(tree: Tree) -> None:
    path = tree.v2 / TAGS / "pipe" / "current" / "link"
    fifo(path)
    writer = subprocess.Popen([sys.executable, "-c", f"open({str(path)!r}, 'w')"])
    try:
        time.sleep(0.3)
        scanned(tree)
        assert writer.poll() is None, "the FIFO was opened"
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"not json", "manifest-corrupt"),
        (b"[1]", "manifest-corrupt"),
        (b"[" * 200_000, "manifest-corrupt"),
        (b"\xff\xfe\x00", "manifest-corrupt"),
        (b"{" + b" " * (4 * 1024 * 1024) + b"}", "manifest-too-large"),
    ],
)
def test_a_manifest_that_cannot_be_read_reaches_itself_and_is_named(tree: Tree, content: bytes, code: str) -> None:
    before = scanned(tree)
    digest = tree.manifest("app", content)
    tree.tag("app", "odd", digest)

    usage = scanned(tree)

    assert usage.problems == (Problem(code, str(tree.data_path(digest).relative_to(tree.v2)), len(content)),)
    assert usage.tagged == Amount(before.tagged.count + 1, before.tagged.bytes + len(content))


def test_texts_that_are_no_digests_are_never_taken_for_paths(tree: Tree) -> None:
    before = scanned(tree)
    entry = {"digest": "sha256:../../../../repositories/app", "size": 1}
    digest = tree.manifest("app", {"schemaVersion": 2, "config": entry, "layers": [entry], "subject": entry})
    index = tree.index("app", ["../../../../../../../../etc/passwd", "sha256:"])

    usage = scanned(tree)

    lacking, broken = (str(tree.revision_path("app", each).relative_to(tree.v2)) for each in (digest, index))
    assert usage.problems == (Problem("blob-missing", lacking, 71), Problem("child-missing", broken, 71))
    assert usage.untagged == Amount(2, tree.size(digest, index))
    assert usage.tagged == before.tagged


def test_a_layer_that_is_gone_is_named_with_the_revision_and_a_foreign_one_is_not(tree: Tree) -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    elsewhere = {"mediaType": foreign, "digest": f"sha256:{'1' * 64}", "size": 9, "urls": ["https://example.com/x"]}
    tree.tag("app", "windows", tree.manifest("app", {"schemaVersion": 2, "config": {}, "layers": [elsewhere]}))
    assert scanned(tree).problems == ()

    image = tree.image("app", [f"sha256:{'2' * 64}"], note="lacking")

    path = str(tree.revision_path("app", image).relative_to(tree.v2))
    assert scanned(tree).problems == (Problem("blob-missing", path, 71),)


def test_an_empty_link_is_read_again_before_it_is_called_corrupt(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = tree.image("app", [], note="moving")
    link = tree.tag("app", "moving", digest)
    revision = tree.revision_path("app", digest)
    link.write_text("")
    revision.write_text("")

    def written_meanwhile(seconds: float) -> None:
        assert 0 < seconds <= 0.1
        link.write_text(digest)
        revision.write_text(digest)

    monkeypatch.setattr(time, "sleep", written_meanwhile)

    usage = measure(tree.root, now=NOW)

    assert usage.problems == ()
    assert usage.tags == 2
    assert usage.untagged == Amount(0, 0)


def test_links_with_white_space_around_them_are_read_and_told(tree: Tree) -> None:
    link = tree.tag("app", "edited", tree.image("app", [], note="edited"))
    link.write_text(link.read_text() + "\n")

    path = "repositories/app/_manifests/tags/edited/current/link"
    assert (scanned(tree).tags, scanned(tree).problems) == (2, (Problem("link-padded", path, 72),))


def test_what_vanishes_between_listing_and_reading_is_no_problem(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    doomed = tree.blob("doomed", 77)
    tag = tree.tag("app", "doomed", tree.image("app", [], note="doomed"))
    upload = tree.upload("app", "0a", 5)
    listed = os.listdir

    def remove(path: Path) -> None:
        for below in sorted(path.rglob("*"), reverse=True):
            below.rmdir() if below.is_dir() else below.unlink()
        path.rmdir()

    def and_then_gone(where: object) -> list[str]:
        names = listed(where)  # type: ignore[call-overload]  # the same kinds of argument
        for path in (tree.data_path(doomed).parent, tag.parents[1], upload):
            if path.name in names and path.exists():
                remove(path)
        return names  # type: ignore[no-any-return]  # names are text where the argument is

    monkeypatch.setattr(os, "listdir", and_then_gone)

    usage = measure(tree.root, now=NOW)

    assert not tag.exists()
    assert usage.problems == ()
    assert (usage.tags, usage.uploads.count) == (1, 0)
    assert usage.orphans.bytes == 0


def test_a_push_in_the_middle_of_a_scan_makes_no_orphan_and_no_problem(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blobs are listed first: what is pushed afterwards is missing from the listing, not unreferenced in it."""
    list_blobs = units.list_blobs

    def list_and_push(*arguments: Any) -> object:
        found = list_blobs(*arguments)
        tree.tag("app", "pushed", tree.image("app", [tree.blob("pushed", 10)], note="pushed"))
        return found

    monkeypatch.setattr(units, "list_blobs", list_and_push)

    usage = measure(tree.root, now=NOW)

    assert usage.tags == 2
    assert usage.orphans == Amount(0, 0)
    assert usage.problems == ()


def test_what_may_not_be_read_is_reported_and_the_rest_is_counted(tree: Tree) -> None:
    """As an unprivileged user: the superuser may read everything."""
    tree.tag("closed", "v", tree.image("closed", [], note="closed"))
    closed = tree.repository("closed") / "_manifests" / "tags"
    closed.chmod(0)
    for directory in [tree.root, *tree.root.parents]:
        if directory.owner() == Path.home().owner() and "pytest" in str(directory):
            directory.chmod(0o755)

    problems, tags = as_nobody(tree.root)

    closed.chmod(0o755)
    assert problems == [f"unreadable {closed.relative_to(tree.v2)}"]
    assert tags == 1


def as_nobody(root: Path) -> tuple[list[str], int]:
    program = (
        "import sys, os, time, pathlib; sys.path.insert(0, sys.argv[2])\n"
        "from dashboard.storage.usage import measure\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "usage = measure(pathlib.Path(sys.argv[1]), now=time.time())\n"
        "print(usage.tags)\n"
        "for p in usage.problems: print(p.code, p.path)\n"
    )
    project = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, root, project], capture_output=True, text=True, check=True, timeout=30
    )
    tags, *problems = done.stdout.splitlines()
    return problems, int(tags)


def test_a_storage_whose_blobs_cannot_be_listed_is_an_error_not_an_empty_one(tmp_path: Path) -> None:
    v2 = tmp_path / "docker" / "registry" / "v2"
    (v2 / "repositories").mkdir(parents=True)
    (v2 / "blobs").write_text("a file")

    with pytest.raises(RootUnreadable, match="Not a directory"):
        measure(tmp_path, now=NOW)


def test_what_a_problem_weighs_is_bounded(tree: Tree) -> None:
    deep = tree.v2 / "blobs" / "md5"
    for number in range(1200):
        put(deep / f"{number % 9}" / f"{number}", b"x")
    (deep / "out").symlink_to(tree.v2)

    (problem,) = scanned(tree).problems

    assert 900 < problem.bytes < 1000


def test_the_list_of_problems_is_bounded(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_module, "MAX_PROBLEMS", 5)
    for number in range(9):
        put(tree.v2 / "repositories" / f"file-{number}")

    problems = scanned(tree).problems

    assert len(problems) == 6
    assert problems.count(Problem("too-many-problems", "")) == 1


def test_directories_that_link_to_each_other_end(tree: Tree) -> None:
    first, second = tree.repository("one"), tree.repository("two")
    first.mkdir()
    second.mkdir()
    (first / "to").symlink_to(second)
    (second / "to").symlink_to(first)

    assert [problem.path for problem in scanned(tree).problems] == ["repositories/one/to/to", "repositories/two/to/to"]
