"""Search: what it finds, in which order, and that it finds nothing that somebody may not see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.models import Registry
from dashboard.services import connections
from dashboard.services.index import api_reader, write
from dashboard.services.index import search as service
from dashboard.services.index.refresh import refresh
from tests.fake_registry import FakeRegistry
from tests.support.images import Pushed
from tests.support.token_server import TokenUser
from tests.views.page import Page, look, words

PULL = frozenset({"pull"})


@pytest.fixture
def version() -> str:
    """The index is the same whichever registry filled it."""
    return "3.1"


@pytest.fixture
def image(fake: FakeRegistry, registry: Registry) -> Pushed:
    """A few repositories, indexed; the image `team/app:1.4` has a label and a layer of its own."""
    labels = {"config": {"Labels": {"org.opencontainers.image.vendor": "Kiosk Ltd", "tier": "=cmd|evil"}}}
    pushed = fake.push_image("team/app", "1.4", "latest", layers=[b"own layer"], config=labels)
    fake.push_image("team/app/worker", "1.40", layers=[b"shared"], platform="linux/arm64")
    fake.push_image("library/apple", "main", layers=[b"shared"])
    read(registry)
    return pushed


def read(registry: Registry) -> None:
    refresh(registry, since=datetime.now(UTC), beat=lambda _done, _total: None)


def asking(text: str) -> str:
    """The address of a search for any text."""
    return f"/search/?{urlencode({'q': text})}"


def hits(page: Page) -> dict[str, list[str]]:
    """Heading of each group to the names of its hits, in order."""
    return {
        words(section.css_first("h2")): ["".join((link.text() or "").split()) for link in section.css("th a")]
        for section in page.tree.css("main section.stack")
    }


def test_repositories_by_any_part_of_the_name_the_closest_first(as_jonas: Client, image: Pushed) -> None:
    found = hits(look(as_jonas, "/search/?q=app"))
    assert found["Repositories"] == ["team/app", "library/apple", "team/app/worker"]


def test_tags_by_name_and_by_repository_and_tag(as_jonas: Client, image: Pushed) -> None:
    assert hits(look(as_jonas, "/search/?q=1.4"))["Tags"] == ["team/app:1.4", "team/app/worker:1.40"]
    assert hits(look(as_jonas, "/search/?q=app:1.4"))["Tags"] == ["team/app:1.4", "team/app/worker:1.40"]
    assert hits(look(as_jonas, "/search/?q=worker:1.4"))["Tags"] == ["team/app/worker:1.40"]
    whole = look(as_jonas, "/search/?q=registry.test:5000/team/app:latest")
    assert hits(whole)["Tags"] == ["team/app:latest"], "a reference as it is pulled"


@pytest.mark.parametrize("part", ["digest", "config", "layer"])
def test_digests_of_manifests_configs_and_layers_lead_to_who_uses_them(
    as_jonas: Client, image: Pushed, part: str
) -> None:
    digest = {"digest": image.digest, "config": image.config, "layer": image.layers[0]}[part]
    assert digest is not None
    for text in (digest, digest.partition(":")[2][:12]):
        assert hits(look(as_jonas, f"/search/?q={text}"))["Digests"] == ["team/app:1.4", "team/app:latest"]
    assert "Digests" not in hits(look(as_jonas, f"/search/?q={digest.partition(':')[2][:5]}")), "too short to tell"


def test_labels_by_key_value_and_both(as_jonas: Client, image: Pushed) -> None:
    for text in ("Kiosk", "org.opencontainers.image.vendor=Kiosk", "org.opencontainers.image.ven"):
        page = look(as_jonas, f"/search/?q={text}")
        assert hits(page)["Labels and annotations"] == ["team/app:1.4", "team/app:latest"]
        assert "org.opencontainers.image.vendor=Kiosk Ltd" in page.text("main")
    assert "Labels and annotations" not in hits(look(as_jonas, "/search/?q=tier=Kiosk"))


def test_an_index_is_found_by_the_label_of_its_image(as_jonas: Client, fake: FakeRegistry, registry: Registry) -> None:
    """And says that label, not one of another image that was found with it."""
    fake.push_image("team/a", "1", layers=[b"a"], config={"config": {"Labels": {"owner": "kiosk-a"}}})
    child = fake.push_image("team/b", layers=[b"b"], config={"config": {"Labels": {"owner": "kiosk-b"}}})
    fake.push_index("team/b", "1", children=[child])
    read(registry)
    page = look(as_jonas, "/search/?q=owner=kiosk")
    rows = {words(row.css_first("th")): words(row.css("td")[-1]) for row in page.tree.css("tr")[1:]}
    assert rows == {"team/a:1": "owner=kiosk-a", "team/b:1": "owner=kiosk-b"}


def test_platforms(as_jonas: Client, image: Pushed) -> None:
    assert hits(look(as_jonas, "/search/?q=arm64"))["Platforms"] == ["team/app/worker"]
    assert hits(look(as_jonas, "/search/?q=linux/arm64"))["Platforms"] == ["team/app/worker"]
    assert "Platforms" not in hits(look(as_jonas, "/search/?q=arm")), "part of a word is no platform"


def test_the_box_in_the_masthead_gets_a_few_results_and_a_way_to_all(as_jonas: Client, image: Pushed) -> None:
    box = look(as_jonas, "/search/?q=app", HX_Request="true")
    assert not box.has("main")
    assert "/registries/default/team/app/" in box.links().values()
    assert box.links()["All results"] == "/search/?q=app"
    assert look(as_jonas, "/search/?q=", HX_Request="true").html.strip() == ""


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", "<b>", "\x00", "x" * 5000, "🐳", "a:b:c", "=", "sha256:"])
def test_any_text_is_a_question(as_jonas: Client, image: Pushed, text: str) -> None:
    page = look(as_jonas, asking(text))
    assert page.text("h1") == "Search"
    assert not hits(page), "a wildcard is a letter here"


def test_each_group_stops_and_says_so(
    as_jonas: Client, fake: FakeRegistry, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        fake.push_image(f"many/r{number}", "t", layers=[b"%d" % number])
    read(registry)
    monkeypatch.setattr(service, "MAX_HITS", 5)
    page = look(as_jonas, "/search/?q=many")
    assert len(hits(page)["Repositories"]) == 5
    assert "5 or more" in page.text("main")


def test_costs_do_not_grow_with_what_is_found(as_jonas: Client, fake: FakeRegistry, registry: Registry) -> None:
    counts = []
    for number in (1, 3, 50):
        for n in range(number):
            fake.push_image(f"many/r{n}", "t", layers=[b"%d" % n])
        read(registry)
        look(as_jonas, "/search/?q=many")
        fake.forget_requests()
        with CaptureQueriesContext(connection) as queries:
            assert look(as_jonas, "/search/?q=many").status == 200
        counts.append(len(queries))
        assert not fake.requests, "a search asks no registry"
    assert len(set(counts)) == 1, counts


@pytest.fixture
def tokens(db: None) -> Iterator[FakeRegistry]:
    """A registry that decides repository by repository; nobody's credential may read `open/`."""
    rights = {"repository:open/app": PULL, "registry:catalog": frozenset({"*"})}
    everything = {"repository:*": frozenset({"pull", "push", "*"}), "registry:catalog": frozenset({"*"})}
    users = {"all": TokenUser("all", everything)}
    with (
        FakeRegistry("3.1", token_users=users, anonymous_rights=rights) as fake,
        connections.clients_made_by(lambda row: fake.client(name=row.public_host)),
    ):
        yield fake


def test_nothing_is_found_that_the_acting_credential_may_not_read(as_jonas: Client, tokens: FakeRegistry) -> None:
    registry = Registry.objects.create(slug="default", url=tokens.url, public_host="r.test", from_environment=True)
    tokens.push_image("open/app", "1.0", layers=[b"both"], config={"config": {"Labels": {"owner": "kiosk"}}})
    secret = tokens.push_image(
        "closed/app", "1.0-closed", layers=[b"both"], config={"config": {"Labels": {"owner": "kiosk-closed"}}}
    )
    reader = api_reader.ApiReader(tokens.client().session(tokens.credential("all")))
    outcomes = reader.read(["open/app", "closed/app"], {})
    write.apply(registry=registry, reader=reader, readings=[o for o in outcomes.values() if o])  # type: ignore[misc]
    for text in ("app", "1.0", "kiosk", secret.digest, str(secret.config), secret.layers[0], "amd64"):
        page = look(as_jonas, asking(text))
        assert "closed" not in page.text("main").replace(text, ""), text
    assert hits(look(as_jonas, "/search/?q=app"))["Repositories"] == ["open/app"]
    assert hits(look(as_jonas, f"/search/?q={secret.layers[0]}"))["Digests"] == ["open/app:1.0"]


def test_a_registry_that_does_not_answer_is_named_and_not_searched(
    as_jonas: Client, fake: FakeRegistry, registry: Registry
) -> None:
    fake.break_with("unavailable")
    page = look(as_jonas, "/search/?q=app")
    assert page.status == 200
    assert "registry.test:5000 was not searched." in page.text("main")


def test_all_that_was_found_as_a_file(as_jonas: Client, image: Pushed) -> None:
    answer = as_jonas.get("/search/?q=1.4&format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    lines = b"".join(answer).decode().splitlines()
    assert lines[0] == "group,registry,repository,tag,digest,why"
    assert lines[1] == f"tags,registry.test:5000,team/app,1.4,{image.digest},"
    assert len(lines) == 3
    found = json.loads(b"".join(as_jonas.get("/search/?q=arm64&format=json")))
    assert [(row["group"], row["repository"], row["why"]) for row in found] == [
        ("platforms", "team/app/worker", "linux/arm64")
    ]
    assert "/search/?q=1.4&format=csv" in look(as_jonas, "/search/?q=1.4").links("p.exports a").values()
