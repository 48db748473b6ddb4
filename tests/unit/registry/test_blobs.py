"""Parts of blobs, and whether a blob can be read: bounds, lies and broken connections."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.registry import blobs, errors
from dashboard.registry.client import Credential, RegistryClient, RegistrySession
from dashboard.registry.references import InvalidReference, RepositoryName, digest_of, parse_digest
from dashboard.registry.wire import Part, parse_content_range, parse_length
from tests.fake_registry import FakeRegistry
from tests.support.scripted import Scripted, answer

APP = RepositoryName("team/app")
ALICE = Credential("alice", "hunter22-and-more")
CONTENT = b"hello world"
DIGEST = digest_of(CONTENT)
EMPTY = digest_of(b"")
XML = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>'


def session_over(handler: Callable[[httpx.Request], httpx.Response], **options: object) -> RegistrySession:
    return RegistryClient("https://registry.test", transport=Scripted(handler)).session(**options)  # type: ignore[arg-type]


class Body(httpx.SyncByteStream):
    """Chunks, counted as they are read; an exception among them is raised."""

    def __init__(self, chunks: Iterator[bytes | Exception]) -> None:
        self._chunks = chunks
        self.read = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.read += len(chunk)
            yield chunk


def endless() -> Body:
    return Body(itertools.repeat(b"x" * 65536))


# Content-Range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes 0-0/11", Part(0, 0, 11)),
        ("bytes 6-10/11", Part(6, 10, 11)),
        ("bytes 6-10/*", Part(6, 10, None)),
        ("bytes 6-11/11", None),
        ("bytes 6-5/11", None),
        ("bytes 0--1/0", None),
        ("bytes */11", None),
        ("bytes=0-1/11", None),
        ("0-1", None),
        ("bytes ٣-٤/٥", None),
        (f"bytes 0-0/{'9' * 40}", None),
        ("", None),
    ],
)
def test_content_range_is_a_part_or_nothing(text: str, expected: Part | None) -> None:
    assert parse_content_range(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("12", 12), ("-1", None), ("1" * 16, None), ("", None)])
def test_length_is_a_number_or_nothing(text: str, expected: int | None) -> None:
    assert parse_length(text) == expected


@given(st.text(max_size=60) | st.from_regex(r"bytes [0-9]*-[0-9]*/([0-9]*|\*)", fullmatch=True))
def test_content_range_never_contradicts_itself(text: str) -> None:
    part = parse_content_range(text)
    assert part is None or (0 <= part.first <= part.last and (part.size is None or part.last < part.size))


# Ranges


@pytest.mark.parametrize(
    "content_range",
    ["", "bytes 0-4/11", "bytes 7-10/11", "bytes 6-11/12", "bytes 6-8/11", "bytes 6-8/*", "bytes */11", "6-10/11", "x"],
)
def test_part_that_was_not_asked_for_is_refused(content_range: str) -> None:
    session = session_over(lambda _: answer(206, b"world", Content_Range=content_range))
    with pytest.raises(errors.Malformed, match="not the part"):
        session.read_range(APP, DIGEST, 6, 5)


@pytest.mark.parametrize("body", [b"", b"wor", b"world and more"])
def test_part_of_another_length_than_it_says_is_refused(body: bytes) -> None:
    session = session_over(lambda _: answer(206, body, Content_Range="bytes 6-10/11"))
    with pytest.raises(errors.Malformed, match="another length"):
        session.read_range(APP, DIGEST, 6, 5)


def test_endless_part_is_not_read_on() -> None:
    body = endless()
    session = session_over(lambda _: httpx.Response(206, headers={"Content-Range": "bytes 6-10/11"}, stream=body))
    with pytest.raises(errors.Malformed):
        session.read_range(APP, DIGEST, 6, 5)
    assert body.read == 65536


def test_part_may_end_with_the_blob_only() -> None:
    session = session_over(lambda _: answer(206, b"world", Content_Range="bytes 6-10/11"))
    assert session.read_range(APP, DIGEST, 6, 500) == b"world"


@pytest.mark.parametrize(
    ("start", "length", "expected"), [(0, 5, b"hello"), (6, 5, b"world"), (6, 9, b"world"), (11, 1, b""), (99, 9, b"")]
)
def test_part_is_cut_out_of_the_whole_where_a_registry_knows_no_ranges(
    start: int, length: int, expected: bytes
) -> None:
    assert session_over(lambda _: answer(200, CONTENT)).read_range(APP, DIGEST, start, length) == expected


def test_huge_whole_is_read_to_the_end_of_the_part_only() -> None:
    body = endless()
    session = session_over(lambda _: httpx.Response(200, headers={"Content-Length": str(10**12)}, stream=body))
    assert session.read_range(APP, DIGEST, 100_000, 50_000) == b"x" * 50_000
    assert body.read <= 150_000 + 2 * 65536


def test_nothing_is_read_to_come_to_a_far_part() -> None:
    body = endless()
    session = session_over(lambda _: httpx.Response(200, stream=body))
    with pytest.raises(errors.TooLarge) as caught:
        session.read_range(APP, DIGEST, blobs.MAX_SKIPPED_BYTES + 1, 5)
    assert caught.value.limit == blobs.MAX_SKIPPED_BYTES
    assert body.read == 0


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [(206, {"Content_Range": "bytes 0-10/11"}, b"HELLO WORLD"), (200, {}, b"something else"), (200, {}, b"")],
)
def test_whole_blob_is_verified(status: int, headers: dict[str, str], body: bytes) -> None:
    session = session_over(lambda _: answer(status, body, **headers))
    with pytest.raises(errors.DigestMismatch):
        session.read_range(APP, DIGEST, 0, 100)


def test_no_first_byte_is_no_end_of_a_blob_that_has_one() -> None:
    session = session_over(lambda _: answer(416, Content_Range="bytes */11"))
    assert session.read_range(APP, DIGEST, 11, 1) == b""
    assert session.read_range(APP, EMPTY, 0, 1) == b""
    with pytest.raises(errors.Rejected):
        session.read_range(APP, DIGEST, 0, 1)


@pytest.mark.parametrize("status", [202, 204])
def test_success_that_is_neither_part_nor_whole_is_refused(status: int) -> None:
    with pytest.raises(errors.Malformed):
        session_over(lambda _: answer(status)).read_range(APP, DIGEST, 0, 1)


def test_range_that_is_none_is_never_sent() -> None:
    transport = Scripted(lambda _: answer(500))
    session = RegistryClient("https://registry.test", transport=transport).session()
    for start, length in ((-1, 5), (0, 0), (0, -1)):
        with pytest.raises(ValueError, match="a range"):
            session.read_range(APP, DIGEST, start, length)
    with pytest.raises(InvalidReference):
        session.read_range(APP, parse_digest(DIGEST)[:-1], 0, 1)  # type: ignore[arg-type]
    with pytest.raises(InvalidReference):
        session.blob_is_readable(RepositoryName("../x"), DIGEST)
    assert transport.requests == []


def test_part_that_breaks_off_is_read_once_more() -> None:
    bodies = [Body(iter([b"wo", httpx.ReadError("made up")])), Body(iter([b"wor", b"ld"]))]
    session = session_over(
        lambda _: httpx.Response(206, headers={"Content-Range": "bytes 6-10/11"}, stream=bodies.pop(0))
    )
    assert session.read_range(APP, DIGEST, 6, 5) == b"world"


# Storages behind a redirect


def behind(storage: Callable[[httpx.Request], httpx.Response]) -> Scripted:
    """A registry that sends whoever reads a blob to a storage."""

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == "storage.test":
            return storage(request)
        if request.url.path == "/v2/":
            return answer(401, WWW_Authenticate='Basic realm="x"')
        return answer(307, Location="https://storage.test/bucket/blob?signature=secret")

    return Scripted(serve)


def test_range_is_asked_of_the_storage_and_nothing_else_is_told_to_it() -> None:
    transport = behind(lambda _: answer(206, b"world", Content_Range="bytes 6-10/11"))
    session = RegistryClient("https://registry.test", transport=transport).session(ALICE)
    assert session.read_range(APP, DIGEST, 6, 5) == b"world"
    (asked,) = transport.to("storage.test")
    assert asked.headers["Range"] == "bytes=6-10"
    assert "Authorization" not in asked.headers


def test_blob_that_the_storage_has_lost_is_missing() -> None:
    transport = behind(lambda r: answer(404, b"" if r.method == "HEAD" else XML, Content_Type="application/xml"))
    session = RegistryClient("https://registry.test", transport=transport).session(ALICE)
    assert session.has_blob(APP, DIGEST) is None
    assert not session.blob_is_readable(APP, DIGEST)
    with pytest.raises(errors.BlobUnknown) as caught:
        session.read_range(APP, DIGEST, 0, 5)
    assert "secret" not in str(caught.value)
    with pytest.raises(errors.BlobUnknown):
        session.read_blob(APP, DIGEST, limit=100)


# Whether a blob can be read


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_blob_that_is_only_remembered_cannot_be_read(version: str) -> None:
    with FakeRegistry(version) as fake:
        digest = fake.upload_blob(APP, CONTENT)
        session = fake.client().session()
        assert session.blob_is_readable(APP, digest, len(CONTENT))
        fake.collect_blob(digest, is_remembered=True)
        fake.forget_requests()
        assert session.has_blob(APP, digest) == len(CONTENT)
        assert not session.blob_is_readable(APP, digest, len(CONTENT))
        assert [r.method for r in fake.requests] == ["HEAD", "GET", "GET"]
        with pytest.raises(errors.ConnectionFailed):
            session.read_blob(APP, digest, limit=100)


@pytest.mark.parametrize(
    ("status", "headers"), [(200, {}), (200, {"Content_Length": "11"}), (206, {"Content_Range": "bytes 0-0/11"})]
)
def test_head_without_a_body_is_no_blob(status: int, headers: dict[str, str]) -> None:
    assert not session_over(lambda _: answer(status, b"", **headers)).blob_is_readable(APP, DIGEST, None)


def test_blob_is_read_once_more_before_it_is_given_up() -> None:
    answers = [answer(206, b"", Content_Range="bytes 0-0/11"), answer(206, b"h", Content_Range="bytes 0-0/11")]
    assert session_over(lambda _: answers.pop(0)).blob_is_readable(APP, DIGEST, 11)


def test_huge_whole_is_not_read_to_see_whether_it_can_be() -> None:
    body = endless()
    assert session_over(lambda _: httpx.Response(200, stream=body)).blob_is_readable(APP, DIGEST)
    assert body.read == 65536


@pytest.mark.parametrize(
    ("digest", "size", "response", "expected"),
    [
        (DIGEST, 11, answer(206, b"h", Content_Range="bytes 0-0/11"), True),
        (DIGEST, 11, answer(206, b"h", Content_Range="bytes 0-0/*"), True),
        (DIGEST, 11, answer(206, b"h", Content_Range="bytes 0-0/10"), False),
        (DIGEST, 11, answer(200, CONTENT), True),
        (DIGEST, 12, answer(200, CONTENT), False),
        (DIGEST, None, answer(416, Content_Range="bytes */0"), False),
        (DIGEST, 0, answer(200, b""), False),
        (EMPTY, 0, answer(200, b""), True),
        (EMPTY, None, answer(200, b""), True),
        (EMPTY, None, answer(200, b"x"), False),
        (EMPTY, 5, answer(200, b""), False),
    ],
)
def test_size_and_first_byte_tell(digest: str, size: int | None, response: httpx.Response, expected: bool) -> None:
    ranges: list[str | None] = []

    def serve(request: httpx.Request) -> httpx.Response:
        ranges.append(request.headers.get("Range"))
        return httpx.Response(response.status_code, headers=response.headers, stream=response.stream)

    assert session_over(serve).blob_is_readable(APP, parse_digest(digest), size) is expected
    assert set(ranges) == {None if digest == EMPTY else "bytes=0-0"}


def test_empty_blob_of_another_algorithm_is_known_to_be_empty() -> None:
    digest = parse_digest("sha512:" + hashlib.sha512(b"").hexdigest())
    assert session_over(lambda _: answer(200, b"")).blob_is_readable(APP, digest)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"status": 500}, errors.ServerFault),
        ({"status": 503}, errors.ServerFault),
        ({"status": 400}, errors.Rejected),
        ({"status": 401}, errors.Unauthorized),
        ({"status": 403}, errors.Forbidden),
        ({"status": 429}, errors.RateLimited),
        (
            {"status": 404, "body": b"404 page not found", "headers": {"Content-Type": "text/plain"}},
            errors.NotARegistry,
        ),
        ({"exception": "refused"}, errors.ConnectionFailed),
        ({"exception": "reset"}, errors.ConnectionFailed),
        ({"exception": "timeout"}, errors.TimedOut),
        ({"exception": "certificate"}, errors.TlsFailed),
    ],
    ids=["500", "503", "400", "401", "403", "429", "no registry", "refused", "reset", "timeout", "certificate"],
)
def test_what_tells_nothing_about_the_blob_is_raised(
    options: dict[str, object], kind: type[errors.RegistryError]
) -> None:
    with FakeRegistry() as fake:
        digest = fake.upload_blob(APP, CONTENT)
        fake.fail_next("GET", times=None, **options)  # type: ignore[arg-type]
        with pytest.raises(kind):
            fake.client().session().blob_is_readable(APP, digest)


def test_body_that_does_not_come_in_time_tells_nothing() -> None:
    session = session_over(
        lambda _: httpx.Response(
            206, headers={"Content-Range": "bytes 0-0/11"}, stream=Body(iter([httpx.ReadTimeout("made up")]))
        )
    )
    with pytest.raises(errors.TimedOut):
        session.blob_is_readable(APP, DIGEST)


def test_connection_that_fails_after_a_broken_body_is_a_fault() -> None:
    answers: list[httpx.Response | Exception] = [
        httpx.Response(200, stream=Body(iter([httpx.RemoteProtocolError("peer closed connection")]))),
        httpx.ConnectError("made up"),
    ]

    def serve(_: httpx.Request) -> httpx.Response:
        following = answers.pop(0)
        if isinstance(following, Exception):
            raise following
        return following

    with pytest.raises(errors.ConnectionFailed):
        session_over(serve).blob_is_readable(APP, DIGEST)
