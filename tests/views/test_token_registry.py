"""A registry with tokens decides repository by repository: everybody sees what the registry lets him read, no more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from dashboard.models import PullAnswer, Registry, User
from dashboard.services import access as gate
from dashboard.services import connections, credentials
from tests.fake_registry import FakeRegistry
from tests.support.token_server import TokenUser

from .page import look, page_of, send, words

HOME = "/registries/default/"
PULL = frozenset({"pull"})
CATALOG = {"registry:catalog": frozenset({"*"})}


@pytest.fixture
def version() -> str:
    """One version: tokens stand before everything that differs."""
    return "2.8"


@pytest.fixture
def people() -> dict[str, TokenUser]:
    """The token server's table."""
    return {
        "robot": TokenUser("robots-secret", {"repository:*": frozenset({"pull", "push", "delete"}), **CATALOG}),
        "ada": TokenUser("adas-secret", {"repository:team/*": PULL, **CATALOG}),
        "bob": TokenUser("bobs-secret", {"repository:other/*": PULL, **CATALOG}),
        "cat": TokenUser("cats-secret", {"repository:team/app": PULL}),
        "dan": TokenUser("dans-secret", dict(CATALOG)),
    }


@pytest.fixture
def anonymous_rights() -> dict[str, frozenset[str]]:
    """What the token server gives to nobody in particular."""
    return {}


@pytest.fixture
def fake(
    version: str, people: dict[str, TokenUser], anonymous_rights: dict[str, frozenset[str]]
) -> Iterator[FakeRegistry]:
    """A registry with a token server."""
    with (
        FakeRegistry(version, token_users=people, anonymous_rights=anonymous_rights) as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
    ):
        for name in ("team/app", "team/api", "other/app", "public/app"):
            registry.push_image(name, "1.0", layers=[name.encode()], config={"author": name})
        yield registry


@pytest.fixture
def own(registry: Registry) -> Registry:
    """The registry where people act with their own credential."""
    registry.act_with = Registry.ActWith.OWN
    registry.save()
    return registry


def signed_in(registry: Registry, name: str, password: str) -> Client:
    """The browser of somebody who acts on the registry as `name`."""
    user = User.objects.create_user(f"user-of-{name}")
    assert credentials.keep(user=user, registry=registry, username=name, password=password).accepted
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ada(own: Registry, fake: FakeRegistry) -> Client:
    """May read team/*."""
    return signed_in(own, "ada", "adas-secret")


@pytest.fixture
def bob(own: Registry, fake: FakeRegistry) -> Client:
    """May read other/*."""
    return signed_in(own, "bob", "bobs-secret")


@pytest.fixture
def indexed(registry: Registry, fake: FakeRegistry, index: Callable[[], None]) -> None:
    """The index as the worker keeps it, with the default credential, which reads everything."""
    with override_settings(REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="robots-secret"):
        index()
    fake.forget_requests()
    gate.forget()


def let_answers_age(minutes: float) -> None:
    """As if the registry had been asked so long ago."""
    gate.forget()
    PullAnswer.objects.update(asked_at=timezone.now() - dt.timedelta(minutes=minutes))


def listed(client: Client, query: str = "?view=flat&sort=name") -> list[str]:
    return look(client, HOME + query).texts("table.repos .name")


@pytest.mark.usefixtures("indexed")
def test_list_holds_only_what_one_may_read(ada: Client, bob: Client) -> None:
    for _ in range(2):  # the second time from what is remembered
        assert listed(ada) == ["team/api", "team/app"]
        assert listed(bob) == ["other/app"]
    page = look(ada, HOME)
    assert page.texts("dl.figures dd")[:2] == ["2", "2"]
    assert "other/" not in page.text()
    assert "All 2 repositories" in page.text("caption")
    assert page.text("tfoot th") == "Together"
    assert page.texts("#f-ns option") == ["Every namespace", "team/"]
    exported = ada.get(f"{HOME}?format=csv").getvalue().decode()
    assert "team/app" in exported
    assert "other" not in exported


@pytest.mark.usefixtures("indexed")
def test_nobody_acts_with_the_default_credential(
    own: Registry, fake: FakeRegistry, ada: Client, as_jonas: Client
) -> None:
    with override_settings(REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="robots-secret"):
        fake.forget_requests()
        assert fake.tokens is not None
        fake.tokens.asked.clear()
        listed(ada)
        assert look(as_jonas, HOME, 403).text("section.state h2").startswith("What is your name and password")
    assert {name for name, _ in fake.tokens.asked} == {"ada", ""}
    assert {r.user for r in fake.requests} == {"ada", ""}


@pytest.mark.usefixtures("indexed")
def test_filter_that_finds_nothing_is_told_as_such(ada: Client) -> None:
    page = look(ada, f"{HOME}?name=other")
    assert "No repository contains “other”" in page.text("#list")
    assert "2 repositories were searched." in page.text("#list")


@pytest.mark.usefixtures("indexed")
def test_somebody_who_may_read_nothing_is_told_so(own: Registry, fake: FakeRegistry) -> None:
    page = look(signed_in(own, "dan", "dans-secret"), HOME)
    assert page.text("section.state h2") == "There is no repository that you may read"
    assert "team" not in page.text("main").replace("team/alpine:3", "")


@pytest.mark.parametrize("below", ["", "-/tags/1.0/", "-/manifests/{digest}/", "-/blobs/{config}/", "-/blobs/{layer}/"])
def test_repository_of_others_is_not_shown_though_its_bytes_are_known(
    ada: Client, bob: Client, fake: FakeRegistry, below: str
) -> None:
    image = fake.push_image("team/app", "1.0", layers=[b"layer"], config={"author": "known by now"})
    address = f"{HOME}team/app/{below.format(digest=image.digest, config=image.config, layer=image.layers[0])}"
    look(ada, f"{HOME}team/app/-/tags/1.0/")
    look(ada, address)
    page = look(bob, address, 403)
    assert page.text("h1") == "registry.test:5000 refused the credential"
    assert "as bob" in page.text("section.state")
    assert "known by now" not in page.html


def test_digest_read_through_a_repository_that_one_may_read_but_that_lacks_it(
    ada: Client, bob: Client, fake: FakeRegistry
) -> None:
    image = fake.push_image("team/app", "2.0", layers=[b"only there"])
    look(ada, f"{HOME}team/app/-/tags/2.0/")
    for kind, digest in (("manifests", image.digest), ("blobs", image.config)):
        look(bob, f"{HOME}other/app/-/{kind}/{digest}/", 404)


@pytest.mark.usefixtures("indexed")
def test_right_taken_away_ends_at_once_on_the_pages_of_the_repository(
    ada: Client, fake: FakeRegistry, people: dict[str, TokenUser]
) -> None:
    look(ada, f"{HOME}team/app/")
    people["ada"] = TokenUser("adas-secret", {"repository:team/api": PULL, **CATALOG})
    assert fake.tokens is not None
    fake.tokens.revoke()
    look(ada, f"{HOME}team/app/", 403)
    let_answers_age(6)
    assert listed(ada) == ["team/api"]


@pytest.mark.usefixtures("indexed")
def test_repository_that_could_not_be_asked_about_is_not_shown(ada: Client, fake: FakeRegistry) -> None:
    assert fake.tokens is not None
    fake.tokens.opaque = True  # so each is asked about alone
    fake.fail_next("/v2/team/api/", status=503, times=None)
    assert listed(ada) == ["team/app"]
    fake.heal()
    assert listed(ada) == ["team/api", "team/app"], "and is asked about again"


@pytest.mark.usefixtures("indexed")
def test_who_may_not_list_sees_what_he_may_read_and_opens_by_name(own: Registry, fake: FakeRegistry) -> None:
    cat = signed_in(own, "cat", "cats-secret")
    assert listed(cat) == ["team/app"]
    assert fake.count("GET", "_catalog") == 0
    form = look(cat, HOME).node('details form[action$="open/"]')
    assert (form.attributes["action"], form.attributes["method"]) == (f"{HOME}-/open/", "get")
    assert look(cat, f"{HOME}-/open/?repository=team/app", 302).headers["Location"] == f"{HOME}team/app/"
    assert look(cat, f"{HOME}team/app/").texts("table.tags .name") == ["1.0"]
    look(cat, f"{HOME}team/api/", 403)


def test_list_kept_back_is_explained_where_nothing_is_known_yet(own: Registry, fake: FakeRegistry) -> None:
    page = look(signed_in(own, "cat", "cats-secret"), HOME)
    assert page.text("#building h2") == "There is no index yet"
    assert page.has("details[open] form")


@pytest.mark.usefixtures("indexed")
def test_password_refused_by_the_token_server_asks_for_the_new_one(
    ada: Client, fake: FakeRegistry, people: dict[str, TokenUser]
) -> None:
    listed(ada)
    people["ada"] = TokenUser("another", people["ada"].rights)
    assert fake.tokens is not None
    fake.tokens.revoke()
    let_answers_age(6)
    page = look(ada, HOME, 403)
    assert page.text("section.state h2") == "What is your name and password on registry.test:5000?"
    assert "no longer accepts the password of ada , your own credential" in page.text("section.state p")


@pytest.mark.usefixtures("indexed")
def test_verifying_asks_the_token_server_anew(ada: Client, fake: FakeRegistry, people: dict[str, TokenUser]) -> None:
    """A token that is still good proves nothing of a password that was changed."""
    listed(ada)
    people["ada"] = TokenUser("another", people["ada"].rights)
    send(ada, "/account/credentials/default/", action="verify")
    assert "refuses your credential now" in look(ada, "/account/").text(".notice.danger")


@pytest.mark.usefixtures("indexed")
class TestAnonymous:
    """A token server that gives some rights to everybody."""

    @pytest.fixture
    def anonymous_rights(self) -> dict[str, frozenset[str]]:
        """Everybody lists, and reads public/*."""
        return {"repository:public/*": PULL, **CATALOG}

    def test_without_a_credential_one_reads_what_everybody_may(
        self, own: Registry, as_jonas: Client, fake: FakeRegistry
    ) -> None:
        assert listed(as_jonas) == ["public/app"]
        assert look(as_jonas, f"{HOME}public/app/-/tags/1.0/").text(".lede") == "Image for one platform"
        page = look(as_jonas, f"{HOME}team/app/", 403)
        assert page.text("section.state h2") == "What is your name and password on registry.test:5000?"
        assert {r.user for r in fake.requests} == {""}

    def test_wrong_password_is_not_taken_for_nobodys_rights(self, own: Registry, as_jonas: Client, jonas: User) -> None:
        page = send(as_jonas, "/account/credentials/default/", 422, username="ada", password="wrong")
        assert page.text(".help.bad") == "registry.test:5000 refused that name and password."

    def test_own_rights_stand_beside_nobodys(self, own: Registry, as_jonas: Client, fake: FakeRegistry) -> None:
        ada = signed_in(own, "ada", "adas-secret")
        assert listed(ada) == ["team/api", "team/app"]
        assert listed(as_jonas) == ["public/app"]


@pytest.mark.usefixtures("indexed")
def test_default_credential_reads_for_everybody_what_it_may(
    registry: Registry, as_jonas: Client, as_maria: Client, fake: FakeRegistry
) -> None:
    with override_settings(REGISTRY_USERNAME="ada", REGISTRY_PASSWORD="adas-secret"):
        assert listed(as_jonas) == listed(as_maria) == ["team/api", "team/app"]
        row = words(look(as_jonas, f"{HOME}-/status/").row("Authentication"))
    assert "Tokens from a token server" in row
    assert "Everybody here acts as ada, the default credential." in row


@pytest.mark.usefixtures("indexed")
def test_answers_are_remembered_for_each_credential_alone(
    own: Registry, fake: FakeRegistry, ada: Client, bob: Client
) -> None:
    listed(ada)
    fake.forget_requests()
    listed(ada)
    assert fake.requests == []
    assert fake.tokens is not None
    fake.tokens.asked.clear()
    listed(bob)
    assert [(who, len(scopes)) for who, scopes in fake.tokens.asked if scopes] == [("bob", 4)]


class TestMany:
    """More repositories than are asked about at once: ada may read those of team/."""

    @pytest.fixture
    def many(self, fake: FakeRegistry) -> list[str]:
        """The 116 that ada may read, of 232."""
        for number in range(114):
            fake.push_image(f"team/n{number:03}", "1.0", layers=[f"n{number}".encode()])
            fake.push_image(f"other/n{number:03}", "1.0")
        return ["team/api", "team/app", *(f"team/n{number:03}" for number in range(114))]

    @pytest.fixture
    def asked(self, many: list[str], indexed: None, fake: FakeRegistry) -> list[tuple[str, tuple[str, ...]]]:
        """What the token server is asked from now on."""
        assert fake.tokens is not None
        fake.tokens.asked.clear()
        return fake.tokens.asked

    def test_fifty_are_asked_about_by_one_question_and_the_rest_is_hidden(
        self, ada: Client, fake: FakeRegistry, asked: list[tuple[str, tuple[str, ...]]]
    ) -> None:
        fake.forget_requests()
        asked.clear()
        page = look(ada, f"{HOME}?view=flat&sort=name&name=team/")
        assert page.texts("table.repos .name")[:3] == ["team/api", "team/app", "team/n000"]
        assert page.text("#checking b") == "50 of 232 repositories have been checked."
        assert page.texts("dl.figures dd")[:2] == ["50", "50"], "sums are of those checked"
        assert "team/n048" not in page.html
        assert "other/" not in page.text()
        assert [(who, len(scopes)) for who, scopes in asked if scopes] == [("ada", 50)]
        assert fake.count("GET", "/tags/list") == 0, "the token alone tells it"

    def test_what_a_page_shows_first_is_asked_about_first(self, ada: Client, asked: list[object]) -> None:
        assert listed(ada, "?view=flat&sort=-name")[0] == "team/n113"
        assert listed(ada, "?view=flat&sort=name&name=n007") == ["team/n007"]
        found = look(ada, "/search/?q=n010")
        assert "team/n010" in found.text("main")
        assert "of 232 have been checked so far" in found.text("main")

    def test_the_page_goes_on_by_itself_until_all_are_known(
        self, ada: Client, many: list[str], asked: list[tuple[str, tuple[str, ...]]]
    ) -> None:
        page = look(ada, HOME)
        told = []
        while True:
            step = page.node("#checking").attributes["hx-get"]
            assert step is not None
            answer = ada.get(step, headers={"HX-Request": "true", "HX-Target": "checking"})
            if "HX-Refresh" in answer.headers:
                break
            page = page_of(answer, 200)
            told.append(page.text("#checking b").split()[0])
        assert told == ["100", "150", "200"]
        assert all(len(scopes) <= 50 for _, scopes in asked)
        asked.clear()
        page = look(ada, f"{HOME}?view=flat&sort=name")
        assert not page.has("#checking")
        assert page.texts("dl.figures dd")[0] == str(len(many))
        assert asked == [], "answers are shared and fresh"

    def test_it_stops_where_nothing_more_is_answered(
        self, ada: Client, fake: FakeRegistry, asked: list[object]
    ) -> None:
        page = look(ada, HOME)
        fake.fail_next("/token", status=503, times=None)
        answer = ada.get(
            str(page.node("#checking").attributes["hx-get"]), headers={"HX-Request": "true", "HX-Target": "checking"}
        )
        line = page_of(answer, 200).node("#checking")
        assert "hx-get" not in line.attributes
        assert page_of(answer, 200).text("#checking b").startswith("50 of 232")

    def test_an_old_answer_is_asked_for_again_and_a_very_old_one_hides(
        self, ada: Client, fake: FakeRegistry, people: dict[str, TokenUser], asked: list[tuple[str, tuple[str, ...]]]
    ) -> None:
        listed(ada, "?view=flat&sort=name&name=team/")
        people["ada"] = TokenUser("adas-secret", {"repository:team/a*": PULL})
        let_answers_age(6)
        PullAnswer.objects.exclude(repository__startswith="team/").delete()
        shown = listed(ada, "?view=flat&sort=name&name=team/n0")
        assert shown == [], "what is shown is asked about again first"
        let_answers_age(16)
        fake.fail_next("/token", status=503, times=None)
        assert listed(ada, "?view=flat&sort=name") == ["team/api", "team/app"], "while nobody answers"
        let_answers_age(61)
        look(ada, HOME, 502)

    def test_tokens_that_tell_nothing_are_asked_one_by_one(
        self, ada: Client, fake: FakeRegistry, asked: list[tuple[str, tuple[str, ...]]]
    ) -> None:
        assert fake.tokens is not None
        fake.tokens.opaque = True
        fake.forget_requests()
        assert listed(ada, "?view=flat&sort=name&name=team/")[:2] == ["team/api", "team/app"]
        assert 50 <= fake.count("GET", "/tags/list") <= 100, "some are asked twice: with the wrong scope, and the right"
        page = look(ada, f"{HOME}-/storage/")
        assert "other/" not in page.text("main")

    def test_a_token_that_the_registry_does_not_take_proves_nothing(
        self, ada: Client, fake: FakeRegistry, asked: list[object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tokens = fake.tokens
        assert tokens is not None
        issue = tokens.issue

        def forged(*arguments: Any) -> Any:
            answer = issue(*arguments)
            tokens.revoke()
            return answer

        monkeypatch.setattr(tokens, "issue", forged)
        page = look(ada, HOME, 403)
        assert "team/" not in page.text("main").replace("team/alpine", "")

    def test_pages_ask_the_database_and_the_registry_no_more_for_more(
        self, ada: Client, asked: list[tuple[str, tuple[str, ...]]], django_assert_max_num_queries: Any
    ) -> None:
        look(ada, HOME)
        look(ada, HOME)
        with django_assert_max_num_queries(30):
            look(ada, HOME)
        for below in ("-/storage/", "-/activity/", "-/untagged/", "-/trash/"):
            asked.clear()
            page = look(ada, f"{HOME}{below}")
            assert "other/" not in page.text("main")
            assert sum(len(scopes) for _, scopes in asked) <= 50, below
