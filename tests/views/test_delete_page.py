"""The delete page: what it shows before, what it refuses, what it says after."""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from dashboard.models import Deletion, DeletionPlan, Registry, Role, User
from dashboard.services import connections
from dashboard.services.deletion import plan as plans
from tests.fake_registry import FakeRegistry
from tests.support.people import let
from tests.support.token_server import TokenUser

pytestmark = pytest.mark.django_db

URL = "/registries/default/team/app/-/delete/"
TAGS = "/registries/default/team/app/"


def _page(client: Client, tag: str) -> HTMLParser:
    response = client.get(URL, {"tag": tag})
    assert response.status_code == 200, response.content
    return HTMLParser(response.content.decode())


def _form(page: HTMLParser) -> dict[str, str]:
    """What the browser would send: hidden fields, and the radio that is checked."""
    fields = {}
    for field in page.css("form.confirm input"):
        kind = field.attributes.get("type")
        if kind == "hidden" or (kind == "radio" and "checked" in field.attributes):
            fields[str(field.attributes["name"])] = str(field.attributes.get("value") or "")
    return fields


def _text(page: HTMLParser, selector: str = "main") -> str:
    node = page.css_first(selector)
    assert node is not None, f"no {selector}"
    return " ".join(node.text(separator=" ").split())


def test_an_alias_is_named_and_only_the_name_is_offered(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "1.0", "latest")
    page = _page(as_maria, "1.0")
    assert "Only the name goes. latest has the same digest and stays." in _text(page)
    assert _form(page)["method"] == "untag"
    assert not page.css("input[type=radio][name=method]")
    assert fake.tags("team/app").keys() == {"1.0", "latest"}, "looking deletes nothing"


def test_the_last_tag_offers_both_ways_and_removes_by_default(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    image = fake.push_image("team/app", "1.0", layers=[b"x" * 5000])
    page = _page(as_maria, "1.0")
    assert [r.attributes["value"] for r in page.css("input[type=radio][name=method]")] == ["remove", "untag"]
    response = as_maria.post(URL, _form(page), follow=True)
    assert response.redirect_chain == [(f"{TAGS}-/deletions/{Deletion.objects.get().pk}/", 302)]
    assert "1.0 was deleted" in _text(HTMLParser(response.content.decode()))
    assert fake.tags("team/app") == {}
    assert not fake.has_manifest("team/app", image.digest)


def test_after_untagging_the_siblings_are_listed(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0", "latest")
    response = as_maria.post(URL, _form(_page(as_maria, "1.0")), follow=True)
    assert "Only the name is gone" in _text(HTMLParser(response.content.decode()))
    shown = HTMLParser(as_maria.get(TAGS).content.decode())
    assert [a.text() for a in shown.css("table.tags a.name")] == ["latest"]
    assert fake.tags("team/app") == {"latest": image.digest}


def test_who_only_looks_sees_no_button_and_is_refused(as_jonas: Client, registry: Registry, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0")
    for address in (TAGS, f"{TAGS}-/tags/1.0/"):
        shown = as_jonas.get(address).content.decode()
        assert "1.0" in shown
        assert "/-/delete/" not in shown
    assert as_jonas.get(URL, {"tag": "1.0"}).status_code == 403
    assert as_jonas.post(URL, {"plan": "x"}).status_code == 403
    assert fake.tags("team/app") == {"1.0": image.digest}


def test_deletion_switched_off_is_a_disabled_button_with_the_fix(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    image = fake.push_image("team/app", "1.0")
    fake.delete = False
    page = _page(as_maria, "1.0")
    button = page.css_first("form.confirm button.danger")
    assert button is not None
    assert "disabled" in button.attributes
    assert "REGISTRY_STORAGE_DELETE_ENABLED=true" in _text(page)
    response = as_maria.post(URL, _form(page))
    assert response.status_code == 409
    assert "Nothing was changed" in response.content.decode()
    assert fake.tags("team/app") == {"1.0": image.digest}


def test_a_registry_that_deletes_tags_although_deletion_is_off_is_not_asked_to(as_maria: Client, db: None) -> None:
    with FakeRegistry("3.1", delete=False, deletes_tags_although_disabled=True) as fake:
        from_env = Registry.objects.create(slug="default", url=fake.url, public_host="r", from_environment=True)
        with _clients(fake):
            image = fake.push_image("team/app", "1.0", "same")
            response = as_maria.post(URL, _form(_page(as_maria, "1.0")))
        assert response.status_code == 409
        assert fake.tags("team/app") == {"1.0": image.digest, "same": image.digest}
        assert not Deletion.objects.filter(registry=from_env).exists()


def test_a_plan_older_than_an_hour_is_refused(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    fields = _form(_page(as_maria, "1.0"))
    DeletionPlan.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    response = as_maria.post(URL, fields)
    assert response.status_code == 409
    assert "older than an hour" in response.content.decode()
    assert list(fake.tags("team/app")) == ["1.0"]


def test_what_is_confirmed_must_be_what_was_shown(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", "latest")
    fields = _form(_page(as_maria, "1.0"))
    assert as_maria.post(URL, fields | {"fingerprint": "0" * 64}).status_code == 409
    assert as_maria.post(URL, fields | {"method": "remove"}).status_code == 409
    assert as_maria.post(URL, fields | {"plan": "nonsense"}).status_code == 404
    made = DeletionPlan.objects.get()
    made.effect["items"][0]["aliases"] = []
    made.save()
    assert as_maria.post(URL, fields | {"method": "remove"}).status_code == 409
    assert sorted(fake.tags("team/app")) == ["1.0", "latest"]


def test_another_persons_plan_is_not_there(
    as_maria: Client, jonas: User, registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "1.0")
    fields = _form(_page(as_maria, "1.0"))
    let(jonas, Role.MAINTAINER)
    other = Client()
    other.force_login(jonas)
    assert other.post(URL, fields).status_code == 404
    assert list(fake.tags("team/app")) == ["1.0"]


def test_a_plan_of_one_repository_is_nothing_in_another(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "1.0")
    fake.push_image("team/web", "1.0")
    fields = _form(_page(as_maria, "1.0"))
    assert as_maria.post("/registries/default/team/web/-/delete/", fields).status_code == 404
    assert list(fake.tags("team/web")) == list(fake.tags("team/app")) == ["1.0"]


def test_a_tag_that_moved_is_refused_in_words(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", layers=[b"old"])
    fields = _form(_page(as_maria, "1.0"))
    newer = fake.push_image("team/app", "1.0", layers=[b"new"])
    response = as_maria.post(URL, fields, follow=True)
    assert response.status_code == 409
    assert "Nothing goes that you did not see" in response.content.decode()
    assert fake.tags("team/app") == {"1.0": newer.digest}


def test_an_unreadable_tag_leaves_only_the_name(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    fake.push_image("team/app", "odd", layers=[b"odd"])
    fake.fail_next(r"HEAD /v2/team/app/manifests/odd", status=500, times=None)
    fake.fail_next(r"GET /v2/team/app/manifests/odd", status=500, times=None)
    page = _page(as_maria, "1.0")
    assert "Not everything could be read (odd)" in _text(page)
    assert _form(page)["method"] == "untag"


def test_a_listed_name_that_is_no_tag_leaves_only_the_name(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    image = fake.push_image("team/app", "1.0")
    fake.put_manifest(image.repository, "no tag!", image.media_type, image.raw)
    page = _page(as_maria, "1.0")
    assert "Not everything could be read (no tag!)" in _text(page)
    assert _form(page)["method"] == "untag"


def test_an_index_on_the_mounted_disk_counts_as_live(
    as_maria: Client, registry: Registry, fake: FakeRegistry, tmp_path: object
) -> None:
    child = fake.push_image("team/app", "amd64", platform="linux/amd64")
    index = fake.push_index("team/app", children=[child])
    root = _storage_with_revision(str(tmp_path), "team/app", index.digest, index.raw)
    page = _page(as_maria, "amd64")
    assert _form(page)["method"] == "remove", "the API alone does not know of an untagged index"
    Registry.objects.update(storage_root=root)
    page = _page(as_maria, "amd64")
    assert _form(page)["method"] == "untag"
    assert "An index lists this image" in _text(page)


def test_a_missing_right_says_which_user(as_maria: Client, db: None) -> None:
    rights = {"reader": TokenUser("reader's own", {"repository:*": frozenset({"pull"})})}
    with FakeRegistry("3.1", token_users=rights) as fake, _clients(fake):
        Registry.objects.create(slug="default", url=fake.url, public_host="registry.test", act_with="own")
        assert (
            as_maria.post(
                "/account/credentials/default/", {"username": "reader", "password": "reader's own"}
            ).status_code
            == 302
        )
        fake.push_image("team/app", "1.0")
        page = _page(as_maria, "1.0")
        assert "registry.test does not let reader delete here." in _text(page)
        assert list(fake.tags("team/app")) == ["1.0"]


def test_a_busy_database_is_a_page_with_retry(
    as_maria: Client, registry: Registry, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.push_image("team/app", "1.0")
    monkeypatch.setattr(plans, "write_within", lambda _milliseconds, _write: False)
    response = as_maria.get(URL, {"tag": "1.0"})
    assert response.status_code == 503
    assert HTMLParser(response.content.decode()).css_first(f'a[href="{URL}?tag=1.0"]') is not None


def test_a_tag_that_is_not_there_is_not_found(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    assert as_maria.get(URL, {"tag": "2.0"}).status_code == 404
    fake.forget_requests()
    assert as_maria.get(URL, {"tag": "no tag!"}).status_code == 404
    assert as_maria.get(URL).status_code == 404
    assert fake.requests == []


def _clients(fake: FakeRegistry) -> AbstractContextManager[None]:
    return connections.clients_made_by(lambda row: fake.client(name=row.public_host))


def _storage_with_revision(root: str, repository: str, digest: str, raw: bytes) -> str:
    """A storage directory that holds one revision and its blob."""
    base = Path(root) / "docker" / "registry" / "v2"
    encoded = digest.removeprefix("sha256:")
    link = base / "repositories" / repository / "_manifests" / "revisions" / "sha256" / encoded / "link"
    data = base / "blobs" / "sha256" / encoded[:2] / encoded / "data"
    for file, content in ((link, digest.encode()), (data, raw)):
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    return root
