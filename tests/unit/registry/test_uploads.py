"""Uploads whose registry answers wrongly, breaks off, or sends them elsewhere: what is sent, and what is undone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from dashboard.registry import errors, uploads
from dashboard.registry.client import Credential, RegistryClient, RegistrySession, Timeouts, Upload
from dashboard.registry.references import Digest, InvalidReference, RepositoryName, digest_of
from tests.fake_registry import FakeRegistry
from tests.support.scripted import Scripted, answer
from tests.support.token_server import TokenUser

APP = RepositoryName("team/app")
BASE = RepositoryName("team/base")
ALICE = Credential("alice", "hunter22-and-more")
CONTENT = b"some content"
DIGEST = digest_of(CONTENT)
AT = "/v2/team/app/blobs/uploads/"
STATE = "_state=of-the-registry"
LOCATIONS = ["", "/v2/other/blobs/uploads/u", "/admin", f"{AT}a/b", f"{AT}..", "http://[broken", f"{AT}u?{'x' * 9000}"]


class Script:
    """Answers by method: the next of a list, and the last one again and again."""

    def __init__(self, **answers: list[httpx.Response]) -> None:
        self._answers = answers
        self.transport = Scripted(self._handle)

    def session(self, credential: Credential | None = None, **options: object) -> RegistrySession:
        client = RegistryClient("https://registry.test", transport=self.transport)
        return client.session(credential, **options)  # type: ignore[arg-type]

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.transport.requests]

    def targets(self, method: str) -> list[str]:
        """Path and query of each request of a method."""
        return [r.url.raw_path.decode() for r in self.transport.requests if r.method == method]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/":
            return answer(200, b"{}")
        answers = self._answers[request.method]
        following = answers.pop(0) if len(answers) > 1 else answers[0]
        return httpx.Response(following.status_code, headers=following.headers, stream=following.stream)


def going_on(location: str = f"{AT}u?{STATE}", said: str = "") -> httpx.Response:
    """An upload goes on there, and holds what the Range says."""
    return answer(202, Location=location, Range=said)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Requests of 4 bytes at most."""
    monkeypatch.setattr(uploads, "MAX_PART_BYTES", 4)
    return 4


# What is sent


@pytest.mark.parametrize("version", ["2.8", "3.1"])
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([b"abc", b"d", b"", b"e"], [("0-3", b"abcd"), ("4-4", b"e")]),
        ([b"abcdefghij"], [("0-3", b"abcd"), ("4-7", b"efgh"), ("8-9", b"ij")]),
        ([b"abcd"], [("0-3", b"abcd")]),
        ([], []),
    ],
    ids=["small parts", "a large part", "one request", "nothing"],
)
def test_parts_are_joined_and_split_and_say_where_they_belong(
    version: str, parts: list[bytes], expected: list[tuple[str, bytes]], small: int
) -> None:
    with FakeRegistry(version) as fake:
        assert fake.client().session().upload_blob_in_parts(APP, iter(parts)) == digest_of(b"".join(parts))
        patches = [r for r in fake.requests if r.method == "PATCH"]
        assert [(p.headers["content-range"], int(p.headers["content-length"])) for p in patches] == [
            (place, len(content)) for place, content in expected
        ]
        assert fake.state.blobs[digest_of(b"".join(parts))] == b"".join(parts)
        assert [r.method for r in fake.requests] == ["POST", *["PATCH"] * len(expected), "PUT"]


def test_no_request_is_longer_than_8_mebibytes() -> None:
    lengths: list[int] = []

    def serve(request: httpx.Request) -> httpx.Response:
        lengths.append(int(request.headers["Content-Length"]))
        return answer(201) if request.method == "PUT" else going_on()

    session = RegistryClient("https://registry.test", transport=Scripted(serve)).session()
    session.upload_blob_in_parts(APP, (b"x" * 5_000_000 for _ in range(4)))
    assert lengths == [0, 8 * 1024 * 1024, 8 * 1024 * 1024, 20_000_000 - 16 * 1024 * 1024, 0]


def test_every_new_location_is_followed_and_never_to_another_host(small: int) -> None:
    script = Script(
        POST=[going_on("http://internal:5000/prefix" + AT + "one?_state=1")],
        PATCH=[
            going_on("https://elsewhere.test" + AT + "two?_state=2"),
            going_on("three"),
            going_on("//x.test" + AT + "4"),
        ],
        PUT=[answer(201, Docker_Content_Digest=DIGEST)],
    )
    assert script.session(ALICE).upload_blob_in_parts(APP, [CONTENT]) == DIGEST
    assert {request.url.host for request in script.transport.requests} == {"registry.test"}
    assert script.targets("PATCH") == [f"{AT}one?_state=1", f"{AT}two?_state=2", f"{AT}three"]
    assert script.targets("PUT") == [f"{AT}4?digest={DIGEST}"]


def test_malformed_name_is_never_sent() -> None:
    script = Script(POST=[answer(500)])
    session, bad = script.session(), RepositoryName("../Bad")
    for request in (
        lambda: session.upload_blob_in_parts(bad, [b""]),
        lambda: session.upload_blob_in_parts(APP, [b""], Digest("sha256:?")),
        lambda: session.begin_upload(bad, b""),
        lambda: session.cancel_upload(Upload(bad, "u", f"{AT}u")),
        lambda: session.mount_blob(bad, DIGEST, APP),
        lambda: session.mount_blob(APP, DIGEST, bad),
        lambda: session.mount_blob(APP, Digest("x"), BASE),
    ):
        with pytest.raises(InvalidReference):
            request()
    assert script.methods == []


# Answers that are wrong


@pytest.mark.parametrize("location", LOCATIONS)
def test_upload_that_begins_nowhere_is_left(location: str) -> None:
    script = Script(POST=[going_on(location)])
    for request in (
        lambda: script.session(ALICE).upload_blob_in_parts(APP, [CONTENT]),
        lambda: script.session(ALICE).begin_upload(APP, CONTENT),
    ):
        with pytest.raises(errors.Malformed, match="no usable Location"):
            request()
    assert set(script.methods) == {"GET", "POST"}


@pytest.mark.parametrize("location", LOCATIONS)
def test_upload_that_goes_on_nowhere_is_cancelled_where_it_was(location: str, small: int) -> None:
    script = Script(POST=[going_on()], PATCH=[going_on(f"{AT}u?_state=2"), going_on(location)], DELETE=[answer(204)])
    with pytest.raises(errors.Malformed, match="no usable Location"):
        script.session(ALICE).upload_blob_in_parts(APP, [CONTENT])
    assert script.targets("DELETE") == [f"{AT}u?_state=2"]
    assert "PUT" not in script.methods


def test_registry_that_accepts_everything_and_stores_nothing_is_found_out() -> None:
    script = Script(POST=[going_on()], PATCH=[going_on()], PUT=[going_on()], DELETE=[going_on()])
    session = script.session()
    with pytest.raises(errors.Malformed, match="does not say that it is stored"):
        session.upload_blob_in_parts(APP, [CONTENT])
    assert script.methods == ["POST", "PATCH", "PUT", "DELETE"]
    with pytest.raises(errors.Malformed, match="does not say that it is stored"):
        session.upload_blob(APP, CONTENT)
    assert script.methods[4:] == ["POST", "PUT", "DELETE"]
    assert not session.mount_blob(APP, DIGEST, BASE)


@pytest.mark.parametrize(("said", "is_right"), [("0-3", True), ("bytes=0-3", True), ("0-2", False), ("0-9", False)])
def test_registry_that_lost_a_part_is_found_out(said: str, is_right: bool, small: int) -> None:
    script = Script(
        POST=[going_on()],
        PATCH=[going_on(f"{AT}u?_state=2", said), going_on(said="something else")],
        PUT=[answer(201)],
        DELETE=[answer(204)],
    )
    if is_right:
        assert script.session().upload_blob_in_parts(APP, [b"abcdef"]) == digest_of(b"abcdef")
        return
    with pytest.raises(errors.Malformed, match="lost a part"):
        script.session().upload_blob_in_parts(APP, [b"abcdef"])
    assert script.targets("DELETE") == [f"{AT}u?_state=2"]


@pytest.mark.parametrize("named", [digest_of(b"another"), "sha256:none", "nonsense"])
def test_registry_that_stored_something_else_is_found_out(named: str) -> None:
    script = Script(
        POST=[going_on(), answer(201, Docker_Content_Digest=named)],
        PATCH=[going_on()],
        PUT=[answer(201, Docker_Content_Digest=named)],
        DELETE=[answer(404)],
    )
    with pytest.raises(errors.DigestMismatch):
        script.session().upload_blob_in_parts(APP, [CONTENT])
    with pytest.raises(errors.DigestMismatch):
        script.session().mount_blob(APP, DIGEST, BASE)


# Failures between two requests


@pytest.mark.parametrize("version", ["2.8", "3.1"])
@pytest.mark.parametrize(
    ("pattern", "options", "kind"),
    [
        ("PATCH", {"status": 500}, errors.ServerFault),
        ("PATCH", {"exception": "reset"}, errors.ConnectionFailed),
        ("PATCH", {"exception": "timeout"}, errors.TimedOut),
        ("PATCH", {"status": 413}, errors.Rejected),
        ("PUT", {"status": 503}, errors.ServerFault),
        ("PUT", {"exception": "reset"}, errors.ConnectionFailed),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_upload_that_fails_is_cancelled_and_never_sent_twice(
    version: str, pattern: str, options: dict[str, object], kind: type[errors.RegistryError], small: int
) -> None:
    with FakeRegistry(version) as fake:
        fake.fail_next(pattern, **options)  # type: ignore[arg-type]
        with pytest.raises(kind):
            fake.client().session().upload_blob_in_parts(APP, [CONTENT])
        assert fake.count(pattern) == 1
        assert fake.uploads(APP) == {}
        assert DIGEST not in fake.state.blobs


def test_part_that_arrived_although_its_answer_did_not_is_cancelled_where_the_registry_tells() -> None:
    with FakeRegistry("3.1") as fake:
        session = fake.client().session()
        upload = session.begin_upload(APP, b"hello")
        fake.state.repository(APP).uploads[upload.id] += b" world"
        session.cancel_upload(upload)
        assert fake.uploads(APP) == {}
        assert [r.method for r in fake.requests[-3:]] == ["DELETE", "GET", "DELETE"]


@pytest.mark.parametrize("cancelling", [{"status": 500}, {"exception": "refused"}, {"exception": "timeout"}])
def test_what_failed_is_said_even_if_cancelling_fails_too(cancelling: dict[str, object]) -> None:
    with FakeRegistry() as fake:
        fake.fail_next("PATCH", status=429)
        fake.fail_next("DELETE", times=None, **cancelling)  # type: ignore[arg-type]
        with pytest.raises(errors.RateLimited):
            fake.client().session().upload_blob_in_parts(APP, [CONTENT])
        assert fake.count("DELETE") == 1


def test_cancelling_takes_its_own_short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "CANCEL_SECONDS", 0.05)
    with FakeRegistry() as fake:
        fake.fail_next("PATCH", status=500)
        fake.fail_next("DELETE", delay=60.0)
        began = time.monotonic()
        with pytest.raises(errors.ServerFault):
            fake.client().session().upload_blob_in_parts(APP, [CONTENT])
        assert time.monotonic() - began < 5


def test_budget_holds_for_all_parts_and_for_cancelling(small: int) -> None:
    with FakeRegistry() as fake:
        session = fake.client(timeouts=Timeouts(slow_read=0.5)).session(budget=0.3)

        def endless() -> Iterator[bytes]:
            while True:
                time.sleep(0.02)
                yield b"abcd"

        began = time.monotonic()
        with pytest.raises(errors.TimedOut):
            session.upload_blob_in_parts(APP, endless())
        assert time.monotonic() - began < 2
        assert fake.count("PUT") == 0


def test_whoever_may_push_only_is_told_what_failed(small: int) -> None:
    pusher = TokenUser("a password", {"repository:*": frozenset({"pull", "push"})})
    with FakeRegistry(token_users={"pusher": pusher}) as fake:
        session = fake.client().session(fake.credential("pusher"))
        fake.fail_next("PATCH", status=500)
        with pytest.raises(errors.ServerFault):
            session.upload_blob_in_parts(APP, [CONTENT])
        upload = session.begin_upload(APP, CONTENT)
        with pytest.raises(errors.Unauthorized) as caught:
            session.cancel_upload(upload)
        assert caught.value.reason == "insufficient_scope"
        assert len(fake.uploads(APP)) == 2


# Mounting


def test_mount_asks_for_both_repositories_in_one_token() -> None:
    everything = TokenUser("a password", {"repository:*": frozenset({"pull", "push"})})
    with FakeRegistry(token_users={"alice": everything}) as fake:
        digest = fake.upload_blob(BASE, CONTENT)
        session = fake.client().session(fake.credential("alice"))
        assert session.mount_blob(APP, digest, BASE)
        assert session.mount_blob(BASE, digest, BASE)
        assert fake.tokens is not None
        assert [scopes for _, scopes in fake.tokens.asked] == [
            ("repository:team/app:pull,push", "repository:team/base:pull"),
            ("repository:team/base:pull,push",),
        ]
        assert fake.count("POST", f"mount={digest.replace(':', '%3A')}&from=team%2Fbase") == 2


def test_mount_from_where_one_may_not_read_is_refused() -> None:
    own = TokenUser("a password", {"repository:team/app": frozenset({"pull", "push"})})
    with FakeRegistry(token_users={"alice": own}) as fake:
        digest = fake.upload_blob(BASE, CONTENT)
        with pytest.raises(errors.Unauthorized):
            fake.client().session(fake.credential("alice")).mount_blob(APP, digest, BASE)
        assert digest not in fake.state.known(APP).layers


@pytest.mark.parametrize("location", LOCATIONS)
def test_upload_begun_instead_of_a_mount_is_not_cancelled_elsewhere(location: str) -> None:
    script = Script(POST=[going_on(location)])
    assert not script.session().mount_blob(APP, DIGEST, BASE)
    assert script.methods == ["POST"]


def test_upload_begun_instead_of_a_mount_is_cancelled() -> None:
    script = Script(POST=[going_on()], DELETE=[answer(404)])
    assert not script.session().mount_blob(APP, DIGEST, BASE)
    assert script.targets("DELETE") == [f"{AT}u?{STATE}"]


def test_mount_that_is_answered_by_neither_is_said() -> None:
    with pytest.raises(errors.Malformed):
        Script(POST=[answer(200)]).session().mount_blob(APP, DIGEST, BASE)


# What is handed out


def test_nothing_shows_what_the_registry_needs_to_go_on() -> None:
    script = Script(POST=[going_on()], PATCH=[going_on(f"{AT}u%0A%3Cb%3E{'x' * 500}?{STATE}")], DELETE=[answer(404)])
    session = script.session()
    upload = session.begin_upload(APP, CONTENT)
    assert (upload.repository, upload.size) == (APP, len(CONTENT))
    assert len(upload.id) == 128
    with pytest.raises(errors.NotFound) as caught:
        session.cancel_upload(upload)
    texts = [repr(upload), str(upload), str(caught.value), repr(caught.value.parameters)]
    assert not [text for text in texts if "_state" in text or "of-the-registry" in text]
    assert upload.id in str(caught.value)
