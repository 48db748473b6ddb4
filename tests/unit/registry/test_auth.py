"""A credential goes where it belongs and nowhere else; a token is asked once per person and right."""

from __future__ import annotations

import base64
import threading
from urllib.parse import parse_qs

import httpx
import pytest

from dashboard.registry import errors
from dashboard.registry.auth import Authorizer, TokenCache, token_address
from dashboard.registry.client import AuthScheme, Credential, RegistryClient
from dashboard.registry.references import RepositoryName
from dashboard.registry.wire import Challenge, TokenAnswer
from tests.fake_registry import FakeRegistry
from tests.support.scripted import Scripted, answer
from tests.support.token_server import TokenUser

APP = RepositoryName("team/app")
ALICE = Credential("alice", "alice's own secret")
BOB = Credential("bob", "bob's own secret")
PULL = {"repository:*": frozenset({"pull"})}
USERS = {"alice": TokenUser(ALICE.password, PULL), "bob": TokenUser(BOB.password, PULL)}


@pytest.mark.parametrize(
    ("realm", "trusted"),
    [
        ("https://auth.elsewhere.test/token", True),
        ("http://registry.test:5001/token", True),
        ("http://REGISTRY.test/token", True),
        ("http://auth.elsewhere.test/token", False),
        ("http://registry.test.evil.test/token", False),
        ("http://registry.test@evil.test/token", False),
        ("https://user:password@registry.test/token", False),
        ("file:///etc/passwd", False),
        ("//registry.test/token", False),
        ("http://[broken", False),
        ("", False),
    ],
)
def test_which_token_servers_may_be_asked(realm: str, trusted: bool) -> None:
    assert Authorizer("registry.test").trusts(realm) is trusted


def test_token_address_keeps_the_realms_own_query() -> None:
    address = token_address("https://a.test/t?x=1&y=a,b", "r s", ("repository:x:pull", "registry:catalog:*"), "alice")
    base, _, query = address.partition("?")
    assert base == "https://a.test/t"
    assert parse_qs(query) == {
        "x": ["1"],
        "y": ["a,b"],
        "service": ["r s"],
        "scope": ["repository:x:pull", "registry:catalog:*"],
        "account": ["alice"],
        "client_id": ["strata"],
    }


def _bearer(realm: str) -> httpx.Response:
    challenge = f'Bearer realm="{realm}",service="s"'
    return answer(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', WWW_Authenticate=challenge)


@pytest.mark.parametrize("credential", [ALICE, None], ids=["alice", "nobody"])
def test_foreign_token_server_without_tls_is_asked_nothing(credential: Credential | None) -> None:
    transport = Scripted(lambda _: _bearer("http://auth.elsewhere.test/token"))
    session = RegistryClient("https://registry.test", transport=transport).session(credential)
    with pytest.raises(errors.Unauthorized) as caught:
        session.tags(APP)
    assert caught.value.reason == "untrusted-realm"
    assert transport.to("auth.elsewhere.test") == []
    assert all("Authorization" not in request.headers for request in transport.requests)


def test_token_server_by_https_gets_the_credential_and_the_registry_only_the_token() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == "auth.elsewhere.test":
            return answer(200, b'{"token":"a-token"}', Content_Type="application/json")
        if request.headers.get("Authorization") == "Bearer a-token":
            return answer(200, b'{"tags":["1"]}', Content_Type="application/json")
        return _bearer("https://auth.elsewhere.test/token")

    transport = Scripted(serve)
    session = RegistryClient("https://registry.test", transport=transport).session(ALICE)
    assert session.tags(APP) == ("1",)
    assert [r.headers["Authorization"] for r in transport.to("auth.elsewhere.test")] == [ALICE.basic()]
    assert {r.headers.get("Authorization") for r in transport.to("registry.test")} == {None, "Bearer a-token"}


def test_redirecting_token_server_is_not_followed() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return answer(302, Location="https://evil.test/token")
        return _bearer("https://registry.test/token")

    transport = Scripted(serve)
    with pytest.raises(errors.Malformed) as caught:
        RegistryClient("https://registry.test", transport=transport).session(ALICE).tags(APP)
    assert caught.value.reason == "token server answered 302"
    assert transport.to("evil.test") == []


def test_token_is_asked_once_per_person_and_right() -> None:
    with FakeRegistry(token_users=USERS) as fake:
        fake.push_image("team/app", "1", "2")
        fake.push_image("team/other", "1")
        assert fake.tokens is not None
        client = fake.client()
        for _ in range(3):
            client.session(ALICE).tags(APP)
            client.session(ALICE).get_manifest(APP, "1")
        assert fake.tokens.asked == [("alice", ("repository:team/app:pull",))]
        client.session(BOB).tags(APP)
        client.session(ALICE).tags(RepositoryName("team/other"))
        assert fake.tokens.asked[1:] == [
            ("bob", ("repository:team/app:pull",)),
            ("alice", ("repository:team/other:pull",)),
        ]


def test_same_name_with_another_password_does_not_get_the_cached_token() -> None:
    with FakeRegistry(token_users=USERS) as fake:
        fake.push_image("team/app", "1")
        client = fake.client()
        assert client.session(ALICE).tags(APP) == ("1",)
        with pytest.raises(errors.Unauthorized) as caught:
            client.session(Credential("alice", "a guess")).tags(APP)
        assert caught.value.reason == "token-server-refused"


def test_refused_token_is_dropped_and_asked_again_once() -> None:
    with FakeRegistry(token_users=USERS) as fake:
        fake.push_image("team/app", "1")
        assert fake.tokens is not None
        session = fake.client().session(ALICE)
        session.tags(APP)
        fake.tokens.revoke()
        fake.forget_requests()
        assert session.tags(APP) == ("1",)
        assert (fake.count("GET", "/token"), fake.count("GET", "/tags/list")) == (1, 2)


def test_registry_that_never_accepts_the_token_is_asked_twice_and_no_more() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return answer(200, b'{"token":"useless"}')
        return answer(401, WWW_Authenticate='Bearer realm="https://registry.test/token",error="invalid_token"')

    transport = Scripted(serve)
    with pytest.raises(errors.Unauthorized) as caught:
        RegistryClient("https://registry.test", transport=transport).session(ALICE).tags(APP)
    assert caught.value.reason == "invalid_token"
    assert len([r for r in transport.requests if r.url.path.endswith("/tags/list")]) == 2


def test_too_few_rights_are_not_asked_for_again() -> None:
    with FakeRegistry(token_users=USERS) as fake:
        pushed = fake.push_image("team/app", "1")
        assert fake.tokens is not None
        with pytest.raises(errors.Unauthorized) as caught:
            fake.client().session(ALICE).delete_manifest(APP, pushed.digest)
        assert caught.value.reason == "insufficient_scope"
        assert (fake.count("GET", "/token"), fake.count("DELETE")) == (1, 1)
        assert fake.tags("team/app") == {"1": pushed.digest}


def test_wrong_password_is_tried_once() -> None:
    with FakeRegistry(basic={"alice": ALICE.password}) as fake:
        with pytest.raises(errors.Unauthorized) as caught:
            fake.client().session(Credential("alice", "a guess")).tags(APP)
        assert caught.value.reason == "credential-refused"
        assert [r.path for r in fake.requests if r.user] == ["/v2/team/app/tags/list"]


def test_open_registry_is_told_no_credential() -> None:
    with FakeRegistry() as fake:
        fake.push_image("team/app", "1")
        assert fake.client().session(ALICE).tags(APP) == ("1",)
        assert [r.authorization for r in fake.requests] == ["", ""]


def test_somebody_with_a_credential_is_not_answered_as_nobody() -> None:
    """zot gives anonymous callers a shorter list with status 200, and says on `/v2/` only that it knows more."""

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/":
            return answer(200, WWW_Authenticate='Basic realm="zot"', Docker_Distribution_Api_Version="registry/2.0")
        known = request.headers.get("Authorization") == ALICE.basic()
        return answer(200, b'{"tags":["public","secret"]}' if known else b'{"tags":["public"]}')

    client = RegistryClient("https://registry.test", transport=Scripted(serve))
    assert client.session().tags(APP) == ("public",)
    assert client.session(ALICE).tags(APP) == ("public", "secret")


def test_people_do_not_share_what_one_may_see() -> None:
    with FakeRegistry(basic={"alice": ALICE.password, "bob": BOB.password}) as fake:
        fake.push_image("team/app", "1")
        client = fake.client()
        client.session(ALICE).tags(APP)
        client.session(BOB).tags(APP)
        with pytest.raises(errors.Unauthorized):
            client.session().tags(APP)
        assert [r.user for r in fake.requests if "tags" in r.path] == ["alice", "bob", ""]


def test_new_token_server_is_found_without_a_restart() -> None:
    realm = "https://old.test/token"

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == "old.test":
            if realm != "https://old.test/token":
                raise httpx.ConnectError("gone")
            return answer(200, b'{"token":"old","expires_in":1}')
        if request.url.host == "new.test":
            return answer(200, b'{"token":"new"}')
        expected = "Bearer old" if realm == "https://old.test/token" else "Bearer new"
        if request.headers.get("Authorization") == expected:
            return answer(200, b'{"tags":["1"]}')
        return _bearer(realm)

    client = RegistryClient("https://registry.test", transport=Scripted(serve))
    assert client.session(ALICE).tags(APP) == ("1",)
    realm = "https://new.test/token"
    assert client.session(ALICE).tags(RepositoryName("team/other")) == ("1",)


def test_with_both_offers_tokens_are_taken() -> None:
    authorizer = Authorizer("registry.test")
    scheme = authorizer.learn((Challenge("basic"), Challenge("bearer", {"realm": "https://registry.test/token"})))
    assert scheme == AuthScheme.BEARER


def test_threads_that_want_one_token_ask_once() -> None:
    cache, asked, entered = TokenCache(), [], threading.Barrier(8)

    def fetch() -> TokenAnswer:
        asked.append(1)
        return TokenAnswer("t", 60)

    def want() -> None:
        entered.wait(timeout=5)
        assert cache.get(("key",), fetch, wait=5) == "t"

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    assert len(asked) == 1


def test_expired_token_is_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("dashboard.registry.auth.time.monotonic", lambda: now)
    cache, asked = TokenCache(), []

    def fetch() -> TokenAnswer:
        asked.append(1)
        return TokenAnswer(f"t{len(asked)}", 60)

    assert cache.get(("k",), fetch, wait=1) == "t1"
    now += 50
    assert cache.get(("k",), fetch, wait=1) == "t1"
    now += 9
    assert cache.get(("k",), fetch, wait=1) == "t2"


def test_cache_of_tokens_is_bounded() -> None:
    cache = TokenCache()
    for number in range(3000):
        cache.get((str(number),), lambda: TokenAnswer("t", 60), wait=1)
    assert len(cache) == 2048


def test_basic_header_is_utf8() -> None:
    header = Credential("jürgen", "pä:ss").basic()
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == "jürgen:pä:ss"
