"""The observer of a client: told once of each request, in words of the client's own."""

from __future__ import annotations

import httpx
import pytest

from dashboard.registry import errors
from dashboard.registry.client import Credential, RegistryClient
from dashboard.registry.references import RepositoryName, digest_of
from tests.support.scripted import Scripted, answer

APP = RepositoryName("team/app")
CONTENT = b"content"


def observed(*answers: httpx.Response) -> tuple[RegistryClient, list[tuple[str, str]]]:
    """A client over these answers in turn, and what its observer is told."""
    left = list(answers)
    told: list[tuple[str, str]] = []
    client = RegistryClient("https://registry.test", transport=Scripted(lambda _: left.pop(0)))

    def observer(operation: str, outcome: str, seconds: float) -> None:
        assert 0 <= seconds < 30
        told.append((operation, outcome))

    client.observe(observer)
    return client, told


def test_success_and_failure_are_told_once_each() -> None:
    client, told = observed(
        answer(200, b'{"name":"team/app","tags":["1"]}', Content_Type="application/json"),
        answer(500),
        answer(500),
        answer(200, b"{}", Content_Type="application/json"),
        answer(200, CONTENT),
    )
    session = client.session()
    session.tags(APP)
    with pytest.raises(errors.ServerFault):
        session.tags(APP)
    session.ping()
    with session.stream_blob(APP, digest_of(CONTENT)) as parts:
        assert told[-1] == ("stream blob", "ok"), "by its head; how fast it is read is the reader's"
        assert b"".join(parts) == CONTENT
    assert told == [("tags", "ok"), ("tags", "server-fault"), ("ping", "ok"), ("stream blob", "ok")]


def test_what_a_server_says_is_no_outcome() -> None:
    body = b'{"errors":[{"code":"MY_OWN_\\"CODE","message":"x"}]}'
    client, told = observed(answer(418, body, Content_Type="application/json"))
    with pytest.raises(errors.Rejected):
        client.session().tags(APP)
    assert told == [("tags", "rejected")]


def test_a_credential_that_is_not_sent_is_no_request() -> None:
    client, told = observed()
    with pytest.raises(errors.Unauthorized):
        client.session(Credential("me", "", unusable="gone")).tags(APP)
    assert told == []
