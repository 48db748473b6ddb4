"""Bounds, retries, redirects and the budget: what holds whatever a server answers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import httpx
import pytest

from dashboard.registry import errors, media_types
from dashboard.registry.client import Credential, Family, RegistryClient, RegistrySession, Timeouts
from dashboard.registry.references import RepositoryName, digest_of, parse_digest
from tests.fake_registry import FakeRegistry
from tests.support.scripted import Scripted, answer

APP = RepositoryName("team/app")
ALICE = Credential("alice", "hunter22-and-more")
DIGEST = digest_of(b"content")
ANOTHER = parse_digest("sha256:" + hashlib.sha256(b"another").hexdigest())


def session_over(handler: Callable[[httpx.Request], httpx.Response], **options: object) -> RegistrySession:
    return RegistryClient("https://registry.test", transport=Scripted(handler)).session(**options)  # type: ignore[arg-type]


# Bounds


def test_ten_megabyte_manifest_is_refused_with_and_without_a_length() -> None:
    huge = b" " * (10 * 1024 * 1024)
    for headers in ({}, {"Content-Length": ""}):
        session = session_over(lambda _, h=headers: answer(200, huge, Content_Type=media_types.OCI_MANIFEST, **h))  # type: ignore[misc]
        with pytest.raises(errors.TooLarge) as caught:
            session.get_manifest(APP, "1")
        assert caught.value.limit == 4 * 1024 * 1024


def test_endless_body_is_read_to_its_bound_only() -> None:
    read = 0

    class Endless(httpx.SyncByteStream):
        def __iter__(self):  # type: ignore[no-untyped-def]
            nonlocal read
            while True:
                read += 65536
                yield b" " * 65536

    session = session_over(lambda _: httpx.Response(200, stream=Endless()))
    with pytest.raises(errors.TooLarge):
        session.get_manifest(APP, "1")
    assert read <= 4 * 1024 * 1024 + 2 * 65536
    read = 0
    session = session_over(lambda _: httpx.Response(400, stream=Endless()))
    with pytest.raises(errors.Rejected):
        session.get_manifest(APP, "1")
    assert read <= 2 * 65536


def test_compressed_answer_is_refused_and_not_unpacked() -> None:
    session = session_over(lambda _: answer(200, b"\x1f\x8b...", Content_Encoding="gzip"))
    with pytest.raises(errors.Malformed, match="compressed"):
        session.tags(APP)


def test_list_that_never_ends_is_left() -> None:
    count = 0

    def serve(_: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        return answer(200, b'{"repositories":["a","b"],"tags":["a","b"]}', Link='</x?last=b&n=2>; rel="next"')

    catalog = session_over(serve).repositories()
    assert (catalog.names, catalog.complete) == (("a", "b"), False)
    assert session_over(serve).tags(APP) == ("a", "b")
    assert count <= 6


def test_pages_are_asked_of_the_registry_whatever_the_link_names() -> None:
    pages = {
        "": (b'{"tags":["a"]}', '<https://evil.test/v2/other/tags/list?last=a&n=1>; rel="next"'),
        "a": (b'{"tags":["b"]}', ""),
    }

    def serve(request: httpx.Request) -> httpx.Response:
        body, link = pages[request.url.params.get("last", "")]
        return answer(200, body, **({"Link": link} if link else {}))

    transport = Scripted(serve)
    assert RegistryClient("https://registry.test", transport=transport).session(ALICE).tags(APP) == ("a", "b")
    assert {(r.url.host, r.url.path) for r in transport.requests} <= {
        ("registry.test", "/v2/team/app/tags/list"),
        ("registry.test", "/v2/"),
    }


# What is no registry


@pytest.mark.parametrize(
    ("response", "error", "reason"),
    [
        (answer(200, b"<html>", Content_Type="text/html"), errors.Malformed, "HTML instead of JSON"),
        (answer(200, b'{"tags": ["a'), errors.Malformed, "truncated or invalid JSON"),
        (answer(404, b"<html>", Content_Type="text/html"), errors.NotARegistry, "no registry answers at this address"),
        (answer(404, b"404 page not found\n", Content_Type="text/plain"), errors.NotARegistry, "no registry answers"),
        (answer(301, Location="https://login.test/?token=1"), errors.NotARegistry, "redirects to https://login.test"),
        (answer(301, Location="https://u:p@login.test/"), errors.NotARegistry, "redirects to https://login.test"),
        (
            answer(400, b"Client sent an HTTP request to an HTTPS server.\n"),
            errors.NotARegistry,
            "the server expects https",
        ),
        (answer(403, b"<html>"), errors.Forbidden, ""),
        (answer(405, b"Method not allowed"), errors.Unsupported, ""),
        (answer(418, b"teapot"), errors.Rejected, ""),
        (answer(503, b"<html>"), errors.ServerFault, ""),
    ],
)
def test_answers_become_errors(response: httpx.Response, error: type[errors.RegistryError], reason: str) -> None:
    with pytest.raises(errors.RegistryError) as caught:
        session_over(lambda _: answer(response.status_code, b"".join(response.stream), **_headers(response))).tags(APP)  # type: ignore[arg-type]
    assert type(caught.value) is error
    assert caught.value.reason.startswith(reason)
    assert (caught.value.operation, caught.value.registry, caught.value.subject) == ("tags", "registry.test", APP)


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.replace("-", "_"): text for name, text in response.headers.items() if name != "content-length"}


def test_web_page_is_no_registry() -> None:
    session = session_over(lambda _: answer(200, b"<!DOCTYPE html>", Content_Type="text/html"))
    with pytest.raises(errors.NotARegistry):
        session.ping()


def test_empty_answer_of_v2_is_a_registry_of_another_family() -> None:
    session = session_over(lambda _: answer(200, Docker_Distribution_Api_Version="registry/2.0"))
    assert session.ping().family == Family.OTHER


def test_rate_limit_says_for_how_long() -> None:
    with pytest.raises(errors.RateLimited) as caught:
        session_over(lambda _: answer(429, Retry_After="17")).tags(APP)
    assert caught.value.retry_after == 17


# Retries


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_read_is_tried_a_second_time(status: int) -> None:
    with FakeRegistry() as fake:
        fake.push_image("team/app", "1")
        fake.fail_next("GET /v2/team/app/tags", status=status)
        assert fake.client().session().tags(APP) == ("1",)
        assert fake.count("GET", "tags/list") == 2
        fake.fail_next("GET /v2/team/app/tags", status=status, times=None)
        fake.forget_requests()
        with pytest.raises(errors.ServerFault):
            fake.client().session().tags(APP)
        assert fake.count("GET", "tags/list") == 2


def test_read_is_tried_again_after_a_reset_but_not_after_a_refusal() -> None:
    with FakeRegistry() as fake:
        pushed = fake.push_image("team/app", "1")
        fake.fail_next("HEAD", exception="reset")
        assert fake.client().session().head_manifest(APP, "1").digest == pushed.digest
        fake.forget_requests()
        for kind, error in (("refused", errors.ConnectionFailed), ("timeout", errors.TimedOut)):
            fake.fail_next("HEAD", exception=kind, times=None)  # type: ignore[arg-type]
            with pytest.raises(error):
                fake.client().session().head_manifest(APP, "1")
            fake.heal()
        assert fake.count("HEAD") == 2


@pytest.mark.parametrize("failure", [{"status": 500}, {"status": 503}, {"exception": "reset"}])
def test_write_is_never_repeated(failure: dict[str, object]) -> None:
    with FakeRegistry() as fake:
        pushed = fake.push_image("team/app", "1")
        session = fake.client().session()
        for method, write in (
            ("DELETE", lambda: session.delete_manifest(APP, pushed.digest)),
            ("PUT", lambda: session.put_manifest(APP, "2", pushed.media_type, pushed.raw)),
            ("POST", lambda: session.upload_blob(APP, b"x")),
        ):
            fake.fail_next(method, times=None, **failure)  # type: ignore[arg-type]
            with pytest.raises((errors.ServerFault, errors.ConnectionFailed)):
                write()
            assert fake.count(method) == 1
        assert fake.tags("team/app") == {"1": pushed.digest}


# Redirects


def test_blob_is_fetched_from_the_storage_without_the_credential() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == "storage.test":
            return answer(200, b"content")
        if "Authorization" not in request.headers:
            return answer(401, WWW_Authenticate='Basic realm="r"')
        return answer(307, Location="https://storage.test/bucket/x?signature=s3cret")

    transport = Scripted(serve)
    session = RegistryClient("https://registry.test", transport=transport).session(ALICE)
    assert session.read_blob(APP, DIGEST, limit=100) == b"content"
    assert session.has_blob(APP, DIGEST) == len(b"content")
    with session.stream_blob(APP, DIGEST) as parts:
        assert b"".join(parts) == b"content"
    stored = transport.to("storage.test")
    assert [r.method for r in stored] == ["GET", "HEAD", "GET"]
    assert all("Authorization" not in r.headers for r in stored)


def test_port_and_scheme_are_part_of_where_a_credential_belongs() -> None:
    for location in ("https://registry.test:8443/x", "http://registry.test/x"):

        def serve(request: httpx.Request, location: str = location) -> httpx.Response:
            if request.url.path == "/x":
                return answer(200, b"content")
            if "Authorization" not in request.headers:
                return answer(401, WWW_Authenticate='Basic realm="r"')
            return answer(307, Location=location)

        transport = Scripted(serve)
        session = RegistryClient("https://registry.test", transport=transport).session(ALICE)
        assert session.read_blob(APP, DIGEST, limit=100) == b"content"
        assert "Authorization" not in transport.requests[-1].headers


def test_storage_that_asks_for_a_password_is_not_given_one() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == "storage.test":
            return answer(401, WWW_Authenticate='Bearer realm="https://evil.test/token"')
        if request.url.path == "/v2/":
            return answer(401, WWW_Authenticate='Basic realm="r"')
        return answer(307, Location="https://storage.test/x")

    transport = Scripted(serve)
    client = RegistryClient("https://registry.test", transport=transport)
    with pytest.raises(errors.Unauthorized) as caught:
        client.session(ALICE).read_blob(APP, DIGEST, limit=100)
    assert caught.value.reason == "refused by the storage"
    assert transport.to("evil.test") == []


def test_redirects_are_bounded_and_only_followed_for_blobs() -> None:
    transport = Scripted(lambda _: answer(307, Location="https://storage.test/again"))
    session = RegistryClient("https://registry.test", transport=transport).session()
    with pytest.raises(errors.NotARegistry):
        session.read_blob(APP, DIGEST, limit=100)
    assert len(transport.requests) == 4
    transport.requests.clear()
    with pytest.raises(errors.NotARegistry):
        session.get_manifest(APP, "1")
    with pytest.raises(errors.NotARegistry):
        session.delete_manifest(APP, DIGEST)
    assert transport.to("storage.test") == []


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "http://[broken", "mailto:x"])
def test_redirect_to_nowhere_is_malformed(location: str) -> None:
    with pytest.raises(errors.Malformed):
        session_over(lambda _: answer(307, Location=location)).read_blob(APP, DIGEST, limit=100)


# Time


def test_spent_budget_sends_nothing_more() -> None:
    with FakeRegistry() as fake:
        fake.push_image("team/app", "1")
        session = fake.client().session(budget=0.05)
        assert session.tags(APP) == ("1",)
        time.sleep(0.06)
        with pytest.raises(errors.TimedOut) as caught:
            session.tags(APP)
        assert caught.value.reason == "budget"
        assert fake.count("GET", "tags/list") == 1


def test_slow_registry_times_out_within_the_budget() -> None:
    with FakeRegistry(delay=3.0) as fake:
        began = time.monotonic()
        with pytest.raises(errors.TimedOut):
            fake.client().session(budget=2.0).tags(APP)
        assert time.monotonic() - began < 1


def test_trickling_body_ends_with_the_budget() -> None:
    class Trickle(httpx.SyncByteStream):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for _ in range(1000):
                time.sleep(0.02)
                yield b" "

    session = session_over(lambda _: httpx.Response(200, stream=Trickle()), budget=0.1)
    with pytest.raises(errors.TimedOut) as caught:
        session.tags(APP)
    assert caught.value.reason == "budget"


def test_trickling_body_ends_without_a_budget_too() -> None:
    class Trickle(httpx.SyncByteStream):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for _ in range(1000):
                time.sleep(0.02)
                yield b" "

    transport = Scripted(lambda _: httpx.Response(200, stream=Trickle()))
    times = Timeouts(connect=0.02, read=0.04, slow_read=0.04)
    with pytest.raises(errors.TimedOut) as caught:
        RegistryClient("https://registry.test", timeouts=times, transport=transport).session().tags(APP)
    assert caught.value.reason == "no whole answer in time"
