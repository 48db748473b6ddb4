"""Signing in at a real OpenID Connect provider: the whole code flow, and everything that must not let somebody in."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import Group
from django.test import Client, override_settings

from dashboard.models import AuditEntry, ExternalIdentity, Registry, User
from dashboard.services import confirmed, oidc
from dashboard.services.oidc_signin import OidcBackend
from tests.conftest import PASSWORD
from tests.support import oidc_provider
from tests.support.oidc_provider import OidcProvider

from .page import Page, look, page_of, send

BEGIN = "/accounts/oidc/"
BACK = "/accounts/oidc/callback/"
ACCOUNT = "/account/"
SECRET = "canary-client-secret"
BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "dashboard.services.registry_signin.RegistryBackend",
    "dashboard.services.proxy_signin.ProxyBackend",
    "dashboard.services.oidc_signin.OidcBackend",
]
NOT_VERIFIED = "That sign-in could not be verified"


@pytest.fixture
def version() -> str:
    """One version: the registry plays no part here."""
    return "3.1"


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """The provider, with ada and a bob."""
    with oidc_provider.running() as found:
        found.knows("sub-ada", preferred_username="ada", groups=["dev", "ops", "wheel"])
        found.knows("sub-bob", preferred_username="bob")
        yield found


@pytest.fixture(autouse=True)
def configured(provider: OidcProvider, db: None) -> Iterator[None]:
    """The dashboard as a client of it."""
    oidc.forget()
    with override_settings(
        OIDC_ISSUER=provider.url, OIDC_CLIENT_ID="strata", OIDC_CLIENT_SECRET=SECRET, OIDC_NAME="Example",
        AUTHENTICATION_BACKENDS=BACKENDS,
    ):  # fmt: skip
        yield
    oidc.forget()


def begin(client: Client, query: str = "") -> str:
    """The provider's address that the browser is led to."""
    response = client.get(f"{BEGIN}{query}")
    assert response.status_code == 302
    return str(response.headers["Location"])


def come_back(client: Client, address: str, status: int = 302) -> Page:
    """The browser follows the provider's redirect to us."""
    parts = urlsplit(address)
    assert parts.path == BACK
    return page_of(client.get(f"{parts.path}?{parts.query}"), status)


def sign_in(client: Client, provider: OidcProvider, subject: str, status: int = 302, query: str = "") -> Page:
    return come_back(client, provider.signs_in(begin(client, query), subject), status)


def signed_in(client: Client) -> str | None:
    pk = client.session.get("_auth_user_id")
    return User.objects.get(pk=pk).username if pk else None


def refused(client: Client, page: Page, title: str, code: str) -> None:
    """Nobody is signed in, the page and the audit say why."""
    assert page.text("h2") == title
    assert signed_in(client) is None
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.outcome, entry.code, entry.user) == ("sign-in", "refused", code, "")


# The flow


def test_from_the_sign_in_page_to_the_page_that_was_asked_for(
    client: Client, provider: OidcProvider, admin: User
) -> None:
    page = look(client, f"/accounts/login/?next={ACCOUNT}")
    target = page.links()["Sign in with Example"]
    assert target == f"{BEGIN}?{urlencode({'next': ACCOUNT})}"
    done = come_back(client, provider.signs_in(begin(client, target.removeprefix(BEGIN)), "sub-ada"))
    assert done.headers["Location"] == ACCOUNT
    assert look(client, ACCOUNT).text("h1") == "ada"
    user = User.objects.exclude(pk=admin.pk).get()
    assert (user.is_staff, user.is_superuser, user.has_usable_password(), user.groups.count()) == (False,) * 3 + (0,)
    identity = ExternalIdentity.objects.get()
    assert (identity.issuer, identity.subject, identity.user) == (provider.url, "sub-ada", user)
    assert [(e.user, e.outcome) for e in AuditEntry.objects.all()] == [("ada", "done")]


def test_state_nonce_and_pkce_are_sent(client: Client, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    forms: list[dict[str, str]] = []
    get_token = OidcBackend.get_token

    def seen(self: OidcBackend, form: dict[str, str]) -> Any:
        forms.append(dict(form))
        return get_token(self, form)

    monkeypatch.setattr(OidcBackend, "get_token", seen)
    address = begin(client)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", "strata", "openid profile")
    assert (asked["redirect_uri"], asked["code_challenge_method"]) == (f"http://testserver{BACK}", "S256")
    assert min(len(asked["state"]), len(asked["nonce"])) >= 32
    come_back(client, provider.signs_in(address, "sub-ada"))
    digest = hashlib.sha256(forms[0]["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]


def test_renamed_person_stays_who_they_are(client: Client, provider: OidcProvider) -> None:
    provider.knows("sub-eve", preferred_username="eve")
    sign_in(client, provider, "sub-eve")
    provider.knows("sub-eve", preferred_username="eva")
    sign_in(Client(), provider, "sub-eve")
    assert User.objects.get().username == "eve"


def test_name_that_was_given_to_somebody_else_takes_nobodys_account(client: Client, provider: OidcProvider) -> None:
    provider.knows("sub-old", preferred_username="sam")
    provider.knows("sub-new", preferred_username="sam")
    sign_in(client, provider, "sub-old")
    newcomer = Client()
    refused(newcomer, sign_in(newcomer, provider, "sub-new", 403), "Somebody here has your name already", "name-taken")


def test_local_name_is_not_taken_over(client: Client, provider: OidcProvider, admin: User) -> None:
    provider.knows("sub-admin", preferred_username="Admin")
    refused(client, sign_in(client, provider, "sub-admin", 403), "Somebody here has your name already", "name-taken")
    assert admin.check_password(PASSWORD)


def test_name_from_a_registry_is_not_taken_over(client: Client, provider: OidcProvider, registry: Registry) -> None:
    User.objects.create(username="bob", origin_registry=registry)
    refused(client, sign_in(client, provider, "sub-bob", 403), "Somebody here has your name already", "name-taken")


@pytest.mark.parametrize("name", [None, 7, "", "a b", "x" * 151])
def test_without_a_usable_name_nobody_comes_in(client: Client, provider: OidcProvider, name: object) -> None:
    provider.knows("sub-odd", preferred_username=name)
    refused(client, sign_in(client, provider, "sub-odd", 403), "Your name cannot be used here", "name-unusable")


def test_somebody_disabled_stays_out(client: Client, provider: OidcProvider) -> None:
    sign_in(client, provider, "sub-ada")
    User.objects.update(is_active=False)
    assert client.get(ACCOUNT).status_code == 302
    client.logout()
    refused(client, sign_in(client, provider, "sub-ada", 403), "Your account is disabled", "disabled")


def test_another_claim_may_hold_the_name(client: Client, provider: OidcProvider) -> None:
    provider.knows("sub-mail", login="mia")
    with override_settings(OIDC_USERNAME_CLAIM="login"):
        sign_in(client, provider, "sub-mail")
    assert User.objects.get().username == "mia"


# Groups


def names() -> list[str]:
    return sorted(User.objects.get().groups.values_list("name", flat=True))


def test_groups_follow_the_claim(client: Client, provider: OidcProvider) -> None:
    qa = Group.objects.create(name="qa")
    with override_settings(OIDC_GROUPS_CLAIM="groups", OIDC_GROUPS=["dev", "op*"]):
        sign_in(client, provider, "sub-ada")
        assert names() == ["dev", "ops"], "wheel is not taken over"
        User.objects.get().groups.add(qa)
        provider.knows("sub-ada", preferred_username="ada", groups=["ops", "op-new", 7, "", "qa"])
        sign_in(Client(), provider, "sub-ada")
        assert names() == ["op-new", "ops", "qa"]
        provider.knows("sub-ada", preferred_username="ada")
        sign_in(Client(), provider, "sub-ada")
        assert names() == ["qa"], "an administrator gave it"
        provider.knows("sub-ada", preferred_username="ada", groups=["dev", "ops", "wheel"])
    assert set(Group.objects.values_list("name", flat=True)) == {"dev", "ops", "op-new", "qa"}


def test_all_groups_of_the_claim_where_no_pattern_is_given(client: Client, provider: OidcProvider) -> None:
    with override_settings(OIDC_GROUPS_CLAIM="groups"):
        sign_in(client, provider, "sub-ada")
    assert names() == ["dev", "ops", "wheel"]


# What must not let anybody in


def test_state_of_another_browser_is_refused(client: Client, provider: OidcProvider) -> None:
    """A stranger's link that would sign this browser in as the stranger."""
    back = provider.signs_in(begin(Client()), "sub-bob")
    assert come_back(client, back, 403).text("h2") == NOT_VERIFIED
    begin(client)
    assert come_back(client, back, 403).text("h2") == NOT_VERIFIED
    assert signed_in(client) is None


def test_code_is_good_once(client: Client, provider: OidcProvider) -> None:
    back = provider.signs_in(begin(client), "sub-ada")
    come_back(client, back)
    send(client, "/accounts/logout/")
    assert come_back(client, back, 403).text("h2") == NOT_VERIFIED
    assert signed_in(client) is None


def test_wrong_nonce_is_refused(client: Client, provider: OidcProvider) -> None:
    back = provider.signs_in(begin(client), "sub-ada")
    session = client.session
    for kept in session["oidc_states"].values():
        kept["nonce"] = "of another sign-in"
    session.save()
    refused(client, come_back(client, back, 403), NOT_VERIFIED, "not-proved")


def test_token_for_another_client_is_refused(
    client: Client, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider signed it, for somebody else."""
    back = provider.signs_in(begin(client), "sub-ada")
    verify = OidcBackend.verify_token

    def as_another(self: OidcBackend, token: str, **kwargs: Any) -> Any:
        with override_settings(OIDC_CLIENT_ID="another"):
            return verify(self, token, **kwargs)

    monkeypatch.setattr(OidcBackend, "verify_token", as_another)
    refused(client, come_back(client, back, 403), NOT_VERIFIED, "not-proved")


def test_expired_token_is_refused(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with oidc_provider.running(token_seconds=-3600) as late, override_settings(OIDC_ISSUER=late.url):
        late.knows("sub-ada", preferred_username="ada")
        refused(client, sign_in(client, late, "sub-ada", 403), NOT_VERIFIED, "not-proved")
    assert "Signature has expired" in caplog.text


FOREIGN = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize("how", ["foreign-key", "none", "secret", "changed", "issuer", "no-expiry", "azp", "nothing"])
def test_forged_token_is_refused(
    client: Client, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    get_token = OidcBackend.get_token

    def forged(self: OidcBackend, form: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = get_token(self, form)
        answer["id_token"] = forge(answer["id_token"], how)
        return answer

    monkeypatch.setattr(OidcBackend, "get_token", forged)
    refused(client, sign_in(client, provider, "sub-ada", 403), NOT_VERIFIED, "not-proved")


def header_of(token: str) -> dict[str, Any]:
    """What the provider's own token says of its key."""
    return {name: value for name, value in jwt.get_unverified_header(token).items() if name == "kid"}


def forge(token: str, how: str) -> str | None:
    """A token that somebody else than the provider made of its own."""
    claims = jwt.decode(token, options={"verify_signature": False})
    if how == "nothing":
        return None
    if how == "none":
        return jwt.encode(claims, "", algorithm="none", headers=header_of(token))
    if how == "secret":
        return jwt.encode(claims, SECRET * 2, algorithm="HS256", headers=header_of(token))
    if how == "changed":
        head, _, signature = token.split(".")
        changed = jwt.encode(claims | {"sub": "sub-bob"}, "x" * 40, algorithm="HS256").split(".")[1]
        return f"{head}.{changed}.{signature}"
    others = {"issuer": {"iss": "https://evil.test"}, "azp": {"azp": "another"}}
    claims |= others.get(how, {})
    if how == "no-expiry":
        del claims["exp"]
    return jwt.encode(claims, FOREIGN, algorithm="RS256", headers=header_of(token))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"iss": "https://evil.test"}, "Invalid issuer"), ({"aud": "another"}, "Audience doesn't match"),
        ({"azp": "another"}, "issued to another client"), ({"nonce": None}, "nonce"), ({"exp": None}, "exp"),
        ({"exp": int(time.time()) - 61}, "expired"), ({"iat": int(time.time()) + 3600}, "not yet valid"),
        ({"sub": None}, "sub"),
    ],
)  # fmt: skip
def test_each_claim_of_a_well_signed_token_counts(
    client: Client, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    change: dict[str, Any], said: str,
) -> None:  # fmt: skip
    """As if the provider's key had signed it."""
    get_token = OidcBackend.get_token

    def signed(self: OidcBackend, form: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = get_token(self, form)
        claims = jwt.decode(answer["id_token"], options={"verify_signature": False}) | change
        kept = {name: value for name, value in claims.items() if value is not None}
        return answer | {"id_token": jwt.encode(kept, FOREIGN, algorithm="RS256", headers={})}

    monkeypatch.setattr(OidcBackend, "get_token", signed)
    key = jwt.PyJWK.from_json(jwt.algorithms.RSAAlgorithm.to_jwk(FOREIGN.public_key()), algorithm="RS256")
    monkeypatch.setattr(OidcBackend, "_key_of", lambda _self, _token: key)
    refused(client, sign_in(client, provider, "sub-ada", 403), NOT_VERIFIED, "not-proved")
    assert said in caplog.text


def test_userinfo_of_somebody_else_is_refused(
    client: Client, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        OidcBackend, "get_userinfo", lambda *_: {"sub": "sub-bob", "preferred_username": "bob", "groups": []}
    )
    with override_settings(OIDC_GROUPS_CLAIM="told-by-userinfo-alone"):
        refused(client, sign_in(client, provider, "sub-ada", 403), NOT_VERIFIED, "not-proved")


def test_denial_there_is_said_and_ends_no_session(client: Client, provider: OidcProvider, jonas: User) -> None:
    page = come_back(client, provider.denies(begin(client)), 403)
    assert page.text("h2") == "The provider did not sign you in"
    client.force_login(jonas)
    page = page_of(client.get(f"{BACK}?error=access_denied&error_description=<b>x</b>"), 403)
    assert page.text("h2") == "The provider did not sign you in"
    assert signed_in(client) == "jonas"


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=y"])
def test_callback_without_a_beginning_is_refused(client: Client, query: str) -> None:
    assert look(client, f"{BACK}{query}", 403).text("h2") == NOT_VERIFIED


def test_password_form_never_reaches_the_provider(client: Client, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OidcBackend, "get_token", lambda *_: pytest.fail("it was asked"))
    response = client.post("/accounts/login/?code=x&state=y", {"username": "ada", "password": "wrong"})
    assert response.status_code == 422


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test", "/\\evil.test"])
def test_it_never_leads_elsewhere(client: Client, provider: OidcProvider, target: str) -> None:
    done = sign_in(client, provider, "sub-ada", query=f"?{urlencode({'next': target})}")
    assert done.headers["Location"] == "/"


def test_failures_lock_nobody_out(client: Client, provider: OidcProvider, jonas: User) -> None:
    for _ in range(11):
        back = provider.signs_in(begin(client), "sub-ada")
        come_back(client, back.replace("code=", "code=x"), 403)
    sign_in(client, provider, "sub-ada")


# The provider itself


def test_provider_that_does_not_answer_keeps_nobody_else_out(client: Client, jonas: User) -> None:
    with override_settings(OIDC_ISSUER="http://127.0.0.1:9"):
        assert look(client, BEGIN, 503).text("h2") == "The provider cannot be asked now"
        send(client, "/accounts/login/", username="jonas", password=PASSWORD)
        assert look(client, ACCOUNT).text("h1") == "jonas"


def test_provider_with_another_name_is_refused(client: Client, provider: OidcProvider) -> None:
    with override_settings(OIDC_ISSUER=provider.url.replace("127.0.0.1", "localhost") + "/x/.."):
        look(client, BEGIN, 503)


def test_nothing_of_it_is_there_where_it_is_not_configured(client: Client, admin: User) -> None:
    with override_settings(OIDC_ISSUER=""):
        assert client.get(BEGIN).status_code == 404
        assert client.get(BACK).status_code == 404
        assert "Sign in with" not in look(client, "/accounts/login/").text("main")


def test_secret_is_in_no_page_log_or_audit(
    client: Client, provider: OidcProvider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.DEBUG):
        sign_in(client, provider, "sub-ada")
        page = come_back(Client(), provider.signs_in(begin(Client()), "sub-bob"), 403)
        other = Client()
        back = provider.signs_in(begin(other), "sub-bob").replace("code=", "code=x")
        page = come_back(other, back, 403)
    assert SECRET not in caplog.text + page.html + str(list(AuditEntry.objects.values()))


# Asked again


def test_person_of_a_provider_is_asked_there_again(client: Client, provider: OidcProvider, registry: Registry) -> None:
    sign_in(client, provider, "sub-ada")
    User.objects.update(is_superuser=True)
    new = "/settings/registries/new/"
    assert look(client, new).has("form")
    session = client.session
    session[confirmed.KEY] = time.time() - 16 * 60
    session.save()
    page = look(client, str(client.get(new).headers["Location"]))
    assert not page.has("[type=password]")
    again = page.links()["Sign in again with Example"]
    address = begin(client, again.removeprefix(BEGIN))
    asked = parse_qs(urlsplit(address).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert come_back(client, provider.signs_in(address, "sub-ada")).headers["Location"] == new
    assert look(client, new).has("form")


def test_earlier_sign_in_there_is_no_proof_of_now(
    client: Client, provider: OidcProvider, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider let a session of its own stand for it, and says from when that is."""
    verify = OidcBackend.verify_token
    monkeypatch.setattr(
        OidcBackend,
        "verify_token",
        lambda self, token, **kw: verify(self, token, **kw) | {"auth_time": time.time() - 3600},
    )
    sign_in(client, provider, "sub-ada")
    User.objects.update(is_superuser=True)
    response = client.get("/settings/registries/new/")
    assert response.headers["Location"].startswith("/account/confirm/")
