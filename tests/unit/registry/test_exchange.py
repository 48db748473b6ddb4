"""Bounds, retries, redirects, budget, and secrets: what holds whatever a server answers."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable

import httpx
import pytest

from dashboard.registry import errors, media_types
from dashboard.registry.client import USER_AGENT, Credential, Family, RegistryClient, RegistrySession, Timeouts
from dashboard.registry.references import InvalidReference, RepositoryName, digest_of, parse_digest
from tests.fake_registry import FakeRegistry
from tests.support.scripted import Scripted, answer

APP = RepositoryName("team/app")
ALICE = Credential("alice", "hunter22-and-more")
DIGEST = digest_of(b"content")
ANOTHER = parse_digest("sha256:" + hashlib.sha256(b"another").hexdigest())


def session_over(handler: Callable[[httpx.Request], httpx.Response], **options: object) -> RegistrySession:
    return RegistryClient("https://registry.test", transport=Scripted(handler)).session(**options)  # type: ignore[arg-type]


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "https://alice:secret@registry.test",
        "https://alice@registry.test",
        "ftp://registry.test",
        "registry.test:5000",
        "https://",
        "https://registry.test/?x=1",
        "https://registry.test/#x",
        "https://registry.test:99999",
        "https://[broken",
    ],
)
def test_address_that_is_none_or_holds_a_secret_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError, match="registry") as caught:
        RegistryClient(address)
    assert "secret" not in str(caught.value)


def test_address_may_have_a_path_prefix() -> None:
    transport = Scripted(lambda _: answer(200, b'{"tags":["1"]}'))
    client = RegistryClient("https://registry.test/some/where/", transport=transport)
    assert client.base_url == "https://registry.test/some/where"
    assert client.name == "registry.test"
    assert client.session().tags(APP) == ("1",)
    assert transport.requests[0].url == "https://registry.test/some/where/v2/team/app/tags/list"


@pytest.mark.parametrize("name", ["", "Upper", "../etc", "a//b", "a b", "x" * 256, "a/-/b"])
def test_malformed_name_is_never_sent(name: str) -> None:
    transport = Scripted(lambda _: answer(500))
    session = RegistryClient("https://registry.test", transport=transport).session()
    for request in (
        lambda: session.tags(RepositoryName(name)),
        lambda: session.get_manifest(RepositoryName(name), "1"),
        lambda: session.upload_blob(RepositoryName(name), b""),
        lambda: session.get_manifest(APP, f"{name}/?"),
        lambda: session.delete_manifest(APP, name),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidReference):
            request()
    assert transport.requests == []


def test_every_request_names_the_program() -> None:
    with FakeRegistry() as fake:
        fake.push_image("team/app", "1")
        fake.client().session().get_manifest(APP, "1")
        assert fake.requests[0].headers["user-agent"] == USER_AGENT
        assert USER_AGENT.startswith("Strata/")
        assert fake.requests[0].headers["accept"] == media_types.ACCEPT_MANIFESTS
        assert fake.requests[0].headers["accept-encoding"] == "identity"


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


# Digests


def test_manifest_that_is_not_what_was_asked_for_is_refused() -> None:
    def serve(_: httpx.Request) -> httpx.Response:
        return answer(200, b"{}", Content_Type=media_types.OCI_MANIFEST)

    with pytest.raises(errors.DigestMismatch):
        session_over(serve).get_manifest(APP, DIGEST)
    with pytest.raises(errors.DigestMismatch):
        session_over(lambda _: answer(200, b"{}", Docker_Content_Digest=DIGEST)).get_manifest(APP, "tag")
    with pytest.raises(errors.DigestMismatch):
        session_over(lambda _: answer(200, Docker_Content_Digest=ANOTHER)).head_manifest(APP, DIGEST)


def test_blob_that_is_not_what_was_asked_for_is_refused() -> None:
    session = session_over(lambda _: answer(200, b"something else"))
    with pytest.raises(errors.DigestMismatch):
        session.read_blob(APP, DIGEST, limit=100)
    with pytest.raises(errors.DigestMismatch), session.stream_blob(APP, DIGEST) as parts:
        list(parts)


def test_signed_schema_1_has_the_digest_of_the_header_only() -> None:
    raw = b'{"schemaVersion":1,"signatures":[]}'
    session = session_over(
        lambda _: answer(200, raw, Content_Type=media_types.DOCKER_SCHEMA1_SIGNED, Docker_Content_Digest=DIGEST)
    )
    assert session.get_manifest(APP, "old").digest == DIGEST
    nameless = session_over(lambda _: answer(200, raw, Content_Type=media_types.DOCKER_SCHEMA1_SIGNED))
    with pytest.raises(errors.Malformed):
        nameless.get_manifest(APP, "old")


def test_missing_digest_header_is_made_up_for_by_hashing() -> None:
    raw = json.dumps({"schemaVersion": 2}).encode()
    transport = Scripted(
        lambda r: answer(200, b"" if r.method == "HEAD" else raw, Content_Type=media_types.OCI_MANIFEST)
    )
    head = RegistryClient("https://registry.test", transport=transport).session().head_manifest(APP, "1")
    assert (head.digest, head.size) == (digest_of(raw), len(raw))
    assert [r.method for r in transport.requests] == ["HEAD", "GET"]


def test_registry_without_head_is_asked_by_get() -> None:
    raw = b"{}"
    transport = Scripted(lambda r: answer(405) if r.method == "HEAD" else answer(200, raw))
    head = RegistryClient("https://registry.test", transport=transport).session().head_manifest(APP, "1")
    assert (head.digest, head.media_type, head.size) == (digest_of(raw), "", 2)


def test_put_whose_answer_names_another_digest_is_said() -> None:
    session = session_over(lambda _: answer(201, Docker_Content_Digest=ANOTHER))
    with pytest.raises(errors.DigestMismatch):
        session.put_manifest(APP, "1", media_types.OCI_MANIFEST, b"{}")


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


# Uploads


@pytest.mark.parametrize(
    "location",
    [
        "/v2/team/app/blobs/uploads/uuid?_state=s",
        "https://registry.test/prefix/v2/team/app/blobs/uploads/uuid?_state=s",
        "http://internal.name:5000/v2/team/app/blobs/uploads/uuid?_state=s",
        "uuid?_state=s",
    ],
)
def test_upload_goes_to_the_registry_whatever_a_proxy_makes_of_the_location(location: str) -> None:
    transport = Scripted(lambda r: answer(202, Location=location) if r.method == "POST" else answer(201))
    client = RegistryClient("https://registry.test/prefix", transport=transport)
    assert client.session().upload_blob(APP, b"content") == DIGEST
    sent = transport.requests[-1]
    assert (sent.url.host, sent.url.path) == ("registry.test", "/prefix/v2/team/app/blobs/uploads/uuid")
    assert dict(sent.url.params) == {"_state": "s", "digest": DIGEST}
    assert sent.content == b"content"


@pytest.mark.parametrize("location", ["", "/v2/other/blobs/uploads/u", "/admin", "/v2/team/app/blobs/uploads/a/b"])
def test_upload_that_goes_on_elsewhere_is_not_sent(location: str) -> None:
    transport = Scripted(lambda _: answer(202, Location=location))
    with pytest.raises(errors.Malformed):
        RegistryClient("https://registry.test", transport=transport).session(ALICE).upload_blob(APP, b"content")
    assert "PUT" not in [r.method for r in transport.requests]


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


# Secrets and cookies


def test_secrets_are_in_no_text() -> None:
    secret_texts = (ALICE.password, ALICE.basic().removeprefix("Basic "))
    with FakeRegistry(basic={"alice": "another password"}, hostile=True) as fake:
        client = fake.client()
        session = client.session(ALICE)
        with pytest.raises(errors.Unauthorized) as caught:
            session.tags(APP)
        assert "•••" in caught.value.diagnostics[0].message  # it did repeat them
        texts = [str(caught.value), repr(caught.value), repr(caught.value.parameters), repr(caught.value.diagnostics)]
        texts += [repr(thing) for thing in (ALICE, client, session, session._exchange, session.ping())]
        assert not [text for text in texts for secret in secret_texts if secret in text]


def test_cookies_of_one_are_not_sent_for_another() -> None:
    with FakeRegistry(hostile=True) as fake:
        fake.push_image("team/app", "1")
        client = fake.client()
        client.session(ALICE).tags(APP)
        client.session().tags(APP)
        assert [r for r in fake.requests if "cookie" in r.headers] == []


def test_forbidden_names_are_passed_on_as_they_are_and_never_asked_for() -> None:
    with FakeRegistry(hostile=True) as fake:
        fake.push_image("team/app", "1")
        names = fake.client().session().repositories().names
        assert "team/app" in names
        assert "<script>alert(1)</script>" in names
        assert {r.path for r in fake.requests} == {"/v2/_catalog"}


def test_probe_of_a_registry_that_deletes_tags_although_disabled() -> None:
    with FakeRegistry("3.1", delete=False, deletes_tags_although_disabled=True) as fake:
        pushed = fake.push_image("team/app", "1")
        capabilities = fake.client().session().probe(APP)
        assert capabilities.deletion == "disabled"
        assert capabilities.faults == ("deletes-tags-although-disabled",)
        deletes = [r.path for r in fake.requests if r.method == "DELETE"]
        assert deletes[0].startswith("/v2/team/app/manifests/sha256:")
        assert fake.tags("team/app") == {"1": pushed.digest}


def test_probe_asks_no_tag_where_2_8_has_deletion_disabled() -> None:
    with FakeRegistry("2.8", delete=False) as fake:
        assert fake.client().session().probe().deletion == "disabled"
        assert [r.path.rpartition("/")[2][:7] for r in fake.requests if r.method == "DELETE"] == ["sha256:"]
