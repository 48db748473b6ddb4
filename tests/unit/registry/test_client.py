"""Addresses, names, digests, uploads, secrets: what the client promises about each request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import httpx
import pytest

from dashboard.registry import errors, media_types
from dashboard.registry.client import USER_AGENT, Credential, RegistryClient, RegistrySession
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
