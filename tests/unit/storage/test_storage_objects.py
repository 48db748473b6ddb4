"""A bucket is read and accounted as the same tree on a disk is."""

from __future__ import annotations

import inspect
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.storage import bucket as buckets
from dashboard.storage import objects
from dashboard.storage.bucket import Bucket, Entry, is_address, parse_address
from dashboard.storage.errors import AddressMalformed, BucketEmpty, BucketUnreadable, Cancelled, ClientMissing
from dashboard.storage.memory import load, save
from dashboard.storage.usage import Usage, account, measure
from tests.support.object_storage import CREDENTIALS, ObjectStorage, object_storage
from tests.unit.storage import test_storage_malformed, test_storage_property, test_storage_usage
from tests.unit.storage.trees import Tree

NOW = test_storage_usage.NOW
V2 = "docker/registry/v2"


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStorage]:
    with object_storage() as running:
        yield running


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def bucket_of(s3: ObjectStorage, root: Path, prefix: str = "") -> Bucket:
    name = s3.bucket()
    s3.copy(root, name, prefix)
    return Bucket(f"s3://{name}/{prefix}", s3.endpoint)


def usage_of(bucket: Bucket, **options: Any) -> Usage:
    return account(objects.take(bucket, now=NOW, **options))


def figures(usage: Usage) -> dict[str, Any]:
    document = usage.to_json()
    del document["seconds"]
    return document


def without_empty_directories(root: Path, copy: Path) -> Path:
    """The tree as a bucket can hold it."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy)
    for directory, _, _ in os.walk(copy, topdown=False):
        if not os.listdir(directory):
            os.rmdir(directory)
    return copy


TESTS = [
    test
    for name, test in vars(test_storage_usage).items()
    if name.startswith("test_") and list(inspect.signature(test).parameters) == ["tree"]
]


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__[5:])
def test_the_same_tree_in_a_bucket_has_the_same_figures(
    test: Callable[[Tree], None], s3: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every test of the accounting, with each tree measured a second time in a bucket."""
    measured = 0

    def measure_twice(root: Path, **options: Any) -> Usage:
        nonlocal measured
        found = measure(root, **options)  # which may be about to be cancelled
        copy = without_empty_directories(tmp_path / "tree", tmp_path / "copy")
        if (copy / V2).is_dir():
            chosen = {name: value for name, value in options.items() if name in ("now", "in_flight_seconds")}
            there = account(objects.take(bucket_of(s3, copy, "some/prefix"), **chosen))
            assert figures(there) == figures(measure(copy, **chosen))
            measured += 1
        return found

    monkeypatch.setattr(test_storage_usage, "measure", measure_twice)
    (tmp_path / "tree").mkdir()
    test(Tree(tmp_path / "tree"))
    assert measured or test in (
        test_storage_usage.test_an_empty_storage_is_all_zero,
        test_storage_usage.test_the_file_system_is_that_of_the_blobs,
    )


def test_there_is_much_to_compare() -> None:
    assert len(TESTS) > 20
    assert len(MALFORMED) > 20


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_trees_have_the_same_figures(data: st.DataObject, s3: ObjectStorage, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "tree", ignore_errors=True)
    (tmp_path / "tree").mkdir()
    tree = Tree(tmp_path / "tree")
    sizes = data.draw(st.lists(st.integers(0, 5000), min_size=7, max_size=7))
    test_storage_property.build(tree, data.draw(test_storage_property.pushes), sizes)
    for number, size in enumerate(data.draw(st.lists(st.integers(0, 300), max_size=3))):
        tree.upload("a", f"{number:x}", size)

    here = measure(without_empty_directories(tree.root, tmp_path / "copy"), now=NOW)

    assert figures(usage_of(bucket_of(s3, tmp_path / "copy"))) == figures(here)


class Cut:
    """A bucket that gives few keys at a time, so that every listing is cut to pieces; and what it was asked."""

    def __init__(self, bucket: Bucket, page: int) -> None:
        self._bucket = bucket
        self._page = page
        self.listed: list[str] = []
        self.reads: list[str] = []

    def __str__(self) -> str:
        return str(self._bucket)

    def pages(self, below: str, after: str = "") -> Iterator[list[Entry]]:
        self.listed.append(below)
        for page in self._bucket.pages(below, after):
            for start in range(0, len(page), self._page):
                yield page[start : start + self._page]

    def children(self, below: str) -> tuple[list[str], list[Entry]]:
        return self._bucket.children(below)

    def read(self, key: str, limit: int) -> bytes:
        self.reads.append(key)
        return self._bucket.read(key, limit)

    def has(self, key: str) -> bool:
        return self._bucket.has(key)


def grove(tree: Tree) -> None:
    """Names whose order with and without a slash differs, blobs in many directories, litter between them."""
    for number, name in enumerate(
        ("app", "app-x", "app.y", "app/sub", "app0", "team/a", "team/b", "team/a-b/c", "zoo")
    ):
        layers = [tree.blob(f"layer {number} {i}", 10 * number + i) for i in range(5)]
        for i in range(4):
            image = tree.image(name, layers[: i + 1], note=f"{name} {i}")
            tree.tag(name, f"v{i}", image)
            tree.tag(name, "latest", image)
    tree.upload("app", "0a", 5)
    tree.write(tree.v2 / "repositories" / "app1", b"litter")
    tree.write(tree.v2 / "repositories" / "team" / "zz", b"litter")
    tree.write(tree.v2 / "blobs" / "sha256" / "0x", b"litter")


@pytest.mark.parametrize("page", [1, 2, 7, 1000])
def test_however_a_listing_is_cut_nothing_is_lost_and_nothing_counts_twice(
    s3: ObjectStorage, tree: Tree, page: int
) -> None:
    grove(tree)
    cut = Cut(bucket_of(s3, tree.root), page)

    usage = account(objects.take(cut, now=NOW))

    assert figures(usage) == figures(measure(tree.root, now=NOW))
    assert len(usage.problems) == 3
    assert (len(cut.listed) > 10) is (page < 1000)


def test_layer_links_are_not_listed_where_a_repository_is_cut(s3: ObjectStorage, tree: Tree) -> None:
    image = tree.image("app", [tree.blob(f"layer {i}", 1) for i in range(50)], note="many layers")
    tree.tag("app", "v", image)
    cut = Cut(bucket_of(s3, tree.root), 1)

    usage = account(objects.take(cut, now=NOW))

    assert figures(usage) == figures(measure(tree.root, now=NOW))
    assert "repositories/app/_manifests" in cut.listed
    assert not [below for below in cut.listed if below.startswith("repositories/app/_layers")]


def test_links_are_known_by_their_etag_and_read_where_it_tells_nothing(s3: ObjectStorage, tree: Tree) -> None:
    grove(tree)
    plain = Cut(bucket_of(s3, tree.root), 1000)

    class Encrypted(Cut):
        def pages(self, below: str, after: str = "") -> Iterator[list[Entry]]:
            for page in super().pages(below, after):
                yield [entry._replace(tag="opaque") for entry in page]

    encrypted = Encrypted(bucket_of(s3, tree.root), 1000)

    assert figures(account(objects.take(plain, now=NOW))) == figures(account(objects.take(encrypted, now=NOW)))
    assert [key for key in plain.reads if key.endswith("link")] == []
    assert len([key for key in encrypted.reads if key.endswith("link")]) == 9 * (4 + 5)


def test_remembered_manifests_are_not_read_again(s3: ObjectStorage, tree: Tree, tmp_path: Path) -> None:
    grove(tree)
    cut = Cut(bucket_of(s3, tree.root), 1000)
    reading = objects.take(cut, now=NOW)
    first = len(cut.reads)
    save(tmp_path / "memory", reading.facts)

    again = objects.take(cut, now=NOW, remembered=load(tmp_path / "memory"))

    assert first == 36
    assert len(cut.reads) == first
    assert figures(account(again)) == figures(account(reading))


UNKNOWN_TO_A_BUCKET = ("FIFO", "symlink", "leads to", "is a directory", "nothing in it")
MALFORMED = [c for c in test_storage_malformed.CASES if not any(word in c for word in UNKNOWN_TO_A_BUCKET)]


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_object_is_the_same_problem_as_a_malformed_file(s3: ObjectStorage, tree: Tree, case: str) -> None:
    tree.tag("app", "v", tree.image("app", [tree.blob("layer", 100)], note="sound"))
    make, expected = test_storage_malformed.CASES[case]
    make(tree.v2)

    usage = usage_of(bucket_of(s3, tree.root))

    assert usage.problems == (expected,)
    assert (usage.blobs.count, usage.repositories, usage.uploads.count) == (3, 1, 0)
    assert usage.tags == 1 + (case == "tag that points nowhere")


def test_markers_of_empty_directories_are_no_litter(s3: ObjectStorage, tree: Tree) -> None:
    tree.tag("team/app", "v", tree.image("team/app", [tree.blob("layer", 100)], note="sound"))
    bucket = bucket_of(s3, tree.root)
    for directory in ("blobs", "blobs/sha256/ab", "repositories/team", "repositories/team/app/_manifests/tags", "x"):
        s3.put(bucket.address.bucket, f"{V2}/{directory}/", b"")

    assert usage_of(bucket).problems == ()


def test_a_key_that_cannot_be_named_costs_only_the_directory_it_is_in(s3: ObjectStorage, tree: Tree) -> None:
    for name in ("team/app", "team/other", "zoo"):
        tree.tag(name, "v", tree.image(name, [tree.blob(name, 100)], note=name))
    bucket = bucket_of(s3, tree.root)
    s3.put(bucket.address.bucket, f"{V2}/repositories/team/app//stray", b"1")
    s3.put(bucket.address.bucket, f"{V2}/blobs/sha256/zz/../stray", b"1")

    usage = usage_of(bucket)

    assert [(problem.code, problem.path) for problem in usage.problems] == [
        ("key-name", "blobs/sha256/zz"),
        ("key-name", "repositories/team/app"),
    ]
    assert [repository.name for repository in usage.by_repository] == ["team/other", "zoo"]
    assert usage.blobs.count == 9


def test_a_key_that_cannot_be_named_right_among_the_repositories_ends_the_scan(s3: ObjectStorage, tree: Tree) -> None:
    tree.tag("app", "v", tree.image("app", [], note="sound"))
    bucket = bucket_of(s3, tree.root)
    s3.put(bucket.address.bucket, f"{V2}/repositories//stray", b"1")

    with pytest.raises(BucketUnreadable, match="a key right in repositories/ cannot be named"):
        usage_of(bucket)


# While a registry goes on writing


def test_what_vanishes_between_listing_and_reading_is_no_problem(s3: ObjectStorage, tree: Tree) -> None:
    tree.tag("app", "v", tree.image("app", [], note="kept"))
    gone = tree.image("app", [], note="gone")
    tree.write(tree.v2 / "repositories/app/_manifests/tags/gone/current/link", gone.encode() + b"\n")  # has to be read
    bucket = bucket_of(s3, tree.root)

    class Vanishing(Cut):
        def read(self, key: str, limit: int) -> bytes:
            if "/tags/gone/" in key:
                raise FileNotFoundError(key)
            return super().read(key, limit)

    usage = account(objects.take(Vanishing(bucket, 1000), now=NOW))

    assert (usage.tags, usage.problems, usage.untagged.count) == (1, (), 2)


def test_a_push_in_the_middle_of_a_scan_makes_no_orphan_and_no_problem(s3: ObjectStorage, tree: Tree) -> None:
    tree.tag("app", "v", tree.image("app", [tree.blob("first", 10)], note="first"))
    bucket = bucket_of(s3, tree.root)

    class Busy(Cut):
        def pages(self, below: str, after: str = "") -> Iterator[list[Entry]]:
            if below == "repositories":
                tree.tag("app", "w", tree.index("app", [tree.image("app", [tree.blob("second", 20)], note="second")]))
                s3.copy(tree.root, bucket.address.bucket)
            yield from super().pages(below, after)

    usage = account(objects.take(Busy(bucket, 1000), now=NOW))

    assert (usage.tags, usage.blobs.count, usage.orphans.count, usage.problems) == (2, 3, 0, ())


def test_progress_is_told_and_cancelling_stops(s3: ObjectStorage, tree: Tree) -> None:
    grove(tree)
    bucket = bucket_of(s3, tree.root)
    told: list[tuple[str, int, int]] = []

    usage_of(bucket, progress=lambda *step: told.append(step))
    with pytest.raises(Cancelled):
        usage_of(bucket, cancelled=lambda: True)

    assert {stage for stage, _, _ in told} == {"list", "read"}
    assert all(total == 0 for stage, _, total in told if stage == "list")
    assert next(step for step in told if step[0] == "read") == ("read", 0, 36)


# What is wrong with a bucket as a whole


def test_a_bucket_without_a_registry_and_one_that_is_missing_are_said(s3: ObjectStorage) -> None:
    name = s3.bucket()
    s3.put(name, "elsewhere/file", b"1")
    with pytest.raises(BucketEmpty, match=f"s3://{name}/pre is not a registry's storage"):
        usage_of(Bucket(f"s3://{name}/pre", s3.endpoint))
    with pytest.raises(BucketUnreadable, match=r"s3://no-such-bucket cannot be read: NoSuchBucket\."):
        usage_of(Bucket("s3://no-such-bucket", s3.endpoint))


def test_a_server_that_does_not_answer_is_said_and_no_secret_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "RETRIES", 0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    closed = Bucket("s3://bucket/prefix", "http://127.0.0.1:9")

    with pytest.raises(BucketUnreadable, match="no connection") as caught:
        usage_of(closed)

    assert "very-secret" not in repr(closed) + str(caught.value) + repr(caught.value.__context__)
    assert "AKID" not in repr(closed) + str(caught.value)


REFUSALS = {
    (403, "AccessDenied"): "AccessDenied",
    (403, "InvalidAccessKeyId"): "InvalidAccessKeyId",
    (403, ""): "403 Forbidden",
}


@pytest.mark.parametrize(("answer", "reason"), REFUSALS.items(), ids=str)
def test_a_refusal_is_named_by_its_code_and_repeats_no_key(answer: tuple[int, str], reason: str) -> None:
    status, code = answer
    body = f"<Error><Code>{code}</Code><AWSAccessKeyId>AKIDEXAMPLE</AWSAccessKeyId></Error>" if code else ""
    with answering(status, body.encode()) as endpoint:
        bucket = Bucket("s3://bucket", endpoint)
        with pytest.raises(BucketUnreadable, match=rf"cannot be read: {reason}\.$"):
            list(bucket.pages("blobs"))
        with pytest.raises(PermissionError, match=f"^{reason}$"):
            bucket.read("blobs/x", 10)


def test_a_server_that_fails_now_and_then_is_asked_again() -> None:
    listing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    with answering(200, listing, failures=2) as endpoint:
        assert list(Bucket("s3://bucket", endpoint).pages("blobs")) in ([], [[]])


@contextmanager
def answering(status: int, body: bytes, failures: int = 0) -> Iterator[str]:
    """A server that gives one answer to everything, after so many that are its own fault."""
    left = [failures]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            failing = left[0] > 0
            left[0] -= 1
            self.send_response(503 if failing else status)
            self.send_header("Content-Length", str(0 if failing else len(body)))
            self.end_headers()
            self.wfile.write(b"" if failing else body)

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def test_without_the_client_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "HAS_CLIENT", False)
    with pytest.raises(ClientMissing, match=r"requirements-s3\.txt"):
        Bucket("s3://bucket/prefix")


ADDRESSES = {
    "s3://bucket": ("bucket", ""),
    "s3://bucket/": ("bucket", ""),
    "s3://my.bucket-1/a/b/": ("my.bucket-1", "a/b"),
    "s3://bucket/a/docker/registry/v2": ("bucket", "a"),
    "s3://bucket/docker/registry/v2/": ("bucket", ""),
}
NO_ADDRESSES = (
    "", "bucket", "/var/lib/registry", "s3:/bucket", "s3://", "s3://b", "s3:///prefix", "https://bucket/x", "gs://bucket",
    "s3://me:secret@bucket/x", "s3://bucket/x?endpoint=http://evil", "s3://bucket/x#y", "s3://bucket/a//b",
    "s3://bucket/../x", "s3://bucket/a b", "s3://bucket:80/x", "s3://[x/", "s3://buck\net/x",
)  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ADDRESSES.items())
def test_an_address_names_bucket_and_prefix(text: str, expected: tuple[str, str]) -> None:
    address = parse_address(text)
    assert (address.bucket, address.prefix) == expected
    assert is_address(text)


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_refused_and_repeats_no_password(text: str) -> None:
    assert not is_address(text)
    with pytest.raises(AddressMalformed) as caught:
        parse_address(text)
    assert "secret" not in str(caught.value)
