"""Who may do what: passwords, tokens, and a certificate of a private authority."""

from __future__ import annotations

import pytest

from dashboard.registry import errors
from dashboard.registry.client import AuthScheme, Credential, Deletion, RegistryClient
from dashboard.registry.references import parse_repository
from tests.support.images import push_image

from .conftest import ADMIN, READER, STRANGER, Start

pytestmark = pytest.mark.contract


@pytest.mark.parametrize(("mode", "scheme"), [("htpasswd", AuthScheme.BASIC), ("token", AuthScheme.BEARER)])
def test_ping_says_whether_a_person_is_accepted(start: Start, kind: str, mode: str, scheme: AuthScheme) -> None:
    registry = start(kind, mode)
    accepted = registry.session(READER).ping()
    assert (accepted.scheme, accepted.status, accepted.bare_status, accepted.refusal) == (scheme, 200, 401, "")
    refused = registry.session(STRANGER).ping()
    assert (refused.scheme, refused.status) == (scheme, 401)
    assert refused.refusal in ("credential-refused", "token-server-refused")
    assert accepted.challenge_realm


def test_password_opens_everything(start: Start, kind: str) -> None:
    registry = start(kind, "htpasswd")
    session, repository = registry.session(ADMIN), registry.repository()
    pushed = push_image(session, repository, "1.0")
    assert repository in session.repositories().names
    assert session.probe().deletion == (Deletion.BY_DIGEST if registry.version == "2.8" else Deletion.BY_TAG)
    session.delete_manifest(repository, pushed.digest)
    assert session.tags(repository) == ()


def test_wrong_password_and_nobody_are_refused(start: Start, kind: str) -> None:
    registry = start(kind, "htpasswd")
    with pytest.raises(errors.Unauthorized) as caught:
        registry.session(STRANGER).repositories()
    assert (caught.value.reason, caught.value.user) == ("credential-refused", "admin")
    assert STRANGER.password not in str(caught.value)
    with pytest.raises(errors.Unauthorized) as caught:
        registry.nobody().repositories()
    assert (caught.value.reason, caught.value.user) == ("no-credential", "")
    assert registry.session(STRANGER).probe().deletion == Deletion.REFUSED


def test_token_that_allows_pulling_does_not_allow_more(start: Start, kind: str) -> None:
    registry = start(kind, "token")
    repository = registry.repository()
    pushed = push_image(registry.session(ADMIN), repository, "1.0")
    reader = registry.session(READER)
    assert reader.tags(repository) == ("1.0",)
    assert reader.get_manifest(repository, "1.0").raw == pushed.raw
    assert reader.read_blob(repository, pushed.layers[0], limit=100) == b"a layer"
    for refused in (
        lambda: reader.delete_manifest(repository, pushed.digest),
        lambda: reader.upload_blob(repository, b"{}"),
        reader.repositories,
    ):
        with pytest.raises(errors.Unauthorized) as caught:
            refused()
        assert (caught.value.reason, caught.value.user) == ("insufficient_scope", "reader")
    assert reader.probe(repository).deletion == Deletion.REFUSED
    assert registry.session(ADMIN).tags(repository) == ("1.0",)


def test_token_that_allows_everything(start: Start, kind: str) -> None:
    registry = start(kind, "token")
    session, repository = registry.session(ADMIN), registry.repository()
    pushed = push_image(session, repository, "1.0", "latest")
    assert repository in session.repositories().names
    assert session.probe(repository).deletion == (Deletion.BY_DIGEST if registry.version == "2.8" else Deletion.BY_TAG)
    session.delete_manifest(repository, pushed.digest)
    assert session.tags(repository) == ()


def test_one_question_tells_which_of_many_may_be_pulled(start: Start, kind: str) -> None:
    """The reader may pull what begins with its pattern, be it there or not; the token that says so is a good one."""
    registry = start(kind, "token")
    mine, strange = registry.repository(), parse_repository("elsewhere/app")
    names = [mine, strange, *(parse_repository(f"{mine}/n{number}") for number in range(48))]
    told = registry.session(READER).pullable(names)
    assert told is not None
    assert list(told) == names
    assert {name for name, may in told.items() if not may} == {strange}
    assert registry.nobody().pullable([mine]) == {mine: False}
    with pytest.raises(errors.Unauthorized) as caught:
        registry.session(STRANGER).pullable(names)
    assert caught.value.reason == "token-server-refused"


@pytest.mark.parametrize("mode", ["none", "htpasswd"])
def test_without_tokens_nothing_is_told_of_each(start: Start, kind: str, mode: str) -> None:
    registry = start(kind, mode)
    assert registry.session(READER).pullable([registry.repository()]) is None


def test_wrong_password_gets_no_token(start: Start, kind: str) -> None:
    registry = start(kind, "token")
    with pytest.raises(errors.Unauthorized) as caught:
        registry.session(STRANGER).repositories()
    assert (caught.value.reason, caught.value.user) == ("token-server-refused", "admin")
    with pytest.raises(errors.Unauthorized) as caught:
        registry.nobody().tags(registry.repository())
    assert caught.value.reason == "insufficient_scope"


def test_private_authority_is_trusted_where_it_is_given(start: Start, real_kind: str) -> None:
    registry = start(real_kind, "tls")
    repository = registry.repository()
    push_image(registry.session(), repository, "1.0")
    assert registry.session().tags(repository) == ("1.0",)


def test_private_authority_is_not_trusted_by_itself(start: Start, real_kind: str) -> None:
    registry = start(real_kind, "tls")
    assert registry.running is not None
    client = RegistryClient(registry.running.url)
    with pytest.raises(errors.TlsFailed) as caught:
        client.session(Credential("alice", "secret")).repositories()
    assert caught.value.reason == "unable to get local issuer certificate"
    client.close()


def test_certificate_for_another_name_is_said(start: Start, real_kind: str) -> None:
    registry = start(real_kind, "tls-other-name")
    with pytest.raises(errors.TlsFailed) as caught:
        registry.session().ping()
    assert "127.0.0.1" in caught.value.reason
    assert "not valid" in caught.value.reason
