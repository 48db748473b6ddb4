"""Who gets what at which address: every address, method and standing person, against a written matrix.

Alice is maintainer of `team-a/**`, Nora administers it, Bob reads it, Carol is maintainer of `team-b/**`, Dave is
disabled and was maintainer of everything; then an administrator, and a visitor, to whom no rule applies. The addresses
name `team-a/app`. An address without a row fails the test.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone

from dashboard.models import AccessRule, Deletion, DeletionItem, DeletionPlan, Registry, Role, User
from dashboard.services.index import refresh
from dashboard.urls import urlpatterns
from tests.fake_registry import FakeRegistry
from tests.support.images import Pushed
from tests.support.people import let

Answer = Callable[[str, str, str], int]
PEOPLE = ("alice", "nora", "bob", "carol", "dave", "admin", "visitor")
NOT_OF_THE_REGISTRY = ("login", "healthz", "readyz", "metrics")
DELETION = uuid.UUID("00000000-0000-0000-0000-000000000001")
MATRIX: dict[str, tuple[str, str]] = {
    "home": ("303 303 303 303 302 303 302", "405 405 405 405 302 405 302"),
    "healthz": ("200 200 200 200 200 200 200", "405 405 405 405 405 405 405"),
    "readyz": ("200 200 200 200 200 200 200", "405 405 405 405 405 405 405"),
    "metrics": ("404 404 404 404 404 404 404", "405 405 405 405 405 405 405"),
    "events": ("405 405 405 405 405 405 405", "401 401 401 401 401 401 401"),
    "login": ("303 303 303 303 200 303 200", "303 303 303 303 422 303 422"),
    "logout": ("405 405 405 405 302 405 302", "302 302 302 302 302 302 302"),
    "oidc": ("404 404 404 404 404 404 404", "405 405 405 405 405 405 405"),
    "oidc-callback": ("404 404 404 404 404 404 404", "405 405 405 405 405 405 405"),
    "confirm": ("200 200 200 200 302 200 302", "422 422 422 422 302 422 302"),
    "password": ("404 404 404 404 302 404 302", "404 404 404 404 302 404 302"),
    "sessions": ("200 200 200 200 302 200 302", "303 303 303 303 302 303 302"),
    "invitation": ("404 404 404 404 404 404 404", "404 404 404 404 404 404 404"),
    "people": ("403 403 403 403 302 200 302", "405 405 405 405 302 405 302"),
    "new-person": ("403 403 403 403 302 200 302", "403 403 403 403 302 422 302"),
    "person": ("403 403 403 403 302 200 302", "403 403 403 403 302 303 302"),
    "delete-person": ("403 403 403 403 302 200 302", "403 403 403 403 302 422 302"),
    "groups": ("403 403 403 403 302 200 302", "403 403 403 403 302 422 302"),
    "group": ("403 403 403 403 302 404 302", "403 403 403 403 302 404 302"),
    "delete-group": ("403 403 403 403 302 404 302", "403 403 403 403 302 404 302"),
    "set-up": ("404 404 404 404 404 404 404", "404 404 404 404 404 404 404"),
    "search": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "account": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "theme": ("405 405 405 405 302 405 302", "303 303 303 303 302 303 302"),
    "docker-config": ("200 200 200 200 302 200 302", "422 422 422 422 302 422 302"),
    "credential": ("404 404 404 404 302 404 302", "404 404 404 404 302 404 302"),
    "access-rules": ("403 200 403 403 302 200 302", "403 422 403 403 302 422 302"),
    "access-check": ("403 200 403 403 302 200 302", "405 405 405 405 302 405 302"),
    "registries": ("403 403 403 403 302 200 302", "405 405 405 405 302 405 302"),
    "new-registry": ("403 403 403 403 302 200 302", "403 403 403 403 302 422 302"),
    "edit-registry": ("403 403 403 403 302 200 302", "403 403 403 403 302 303 302"),
    "remove-registry": ("403 403 403 403 302 303 302", "403 403 403 403 302 303 302"),
    "registry-users": ("403 403 403 403 302 404 302", "403 403 403 403 302 404 302"),
    "group-credentials": ("403 403 403 403 302 200 302", "403 403 403 403 302 422 302"),
    "protection": ("403 403 403 403 302 200 302", "403 403 403 403 302 422 302"),
    "thresholds": ("403 403 403 403 302 200 302", "403 403 403 403 302 303 302"),
    "repositories": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "repositories-checking": ("303 303 303 303 302 303 302", "405 405 405 405 302 405 302"),
    "open-repository": ("404 404 404 404 302 404 302", "405 405 405 405 302 405 302"),
    "refresh": ("405 405 405 405 302 405 302", "403 403 403 403 302 303 302"),
    "storage": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "collection": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "run-collection": ("405 405 405 405 302 405 302", "403 403 403 403 302 303 302"),
    "scan": ("405 405 405 405 302 405 302", "303 303 303 303 302 303 302"),
    "storage-repositories": ("303 303 303 303 302 303 302", "405 405 405 405 302 405 302"),
    "storage-layers": ("303 303 303 303 302 303 302", "405 405 405 405 302 405 302"),
    "storage-problems": ("303 303 303 303 302 303 302", "405 405 405 405 302 405 302"),
    "deep-check": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "start-deep-check": ("405 405 405 405 302 405 302", "403 403 403 403 302 303 302"),
    "activity": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "status": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "registry-untagged": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "uploads": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "remove-uploads": ("405 405 405 405 302 405 302", "403 403 403 403 302 303 302"),
    "trash": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "restore": ("405 405 405 405 302 405 302", "404 404 403 404 302 404 302"),
    "jobs": ("200 200 200 200 302 200 302", "405 405 405 405 302 405 302"),
    "refresh-now": ("405 405 405 405 302 405 302", "303 303 303 303 302 303 302"),
    "cancel-job": ("405 405 405 405 302 405 302", "403 403 403 403 302 303 302"),
    "dismiss-move": ("405 405 405 405 302 405 302", "303 303 403 303 302 303 302"),
    "tag": ("200 200 200 404 302 200 302", "405 405 405 405 302 405 302"),
    "manifest": ("200 200 200 404 302 200 302", "405 405 405 405 302 405 302"),
    "blob": ("200 200 200 404 302 200 302", "405 405 405 405 302 405 302"),
    "delete": ("200 200 403 404 302 200 302", "404 404 403 404 302 404 302"),
    "choose": ("405 405 405 405 302 405 302", "303 303 403 404 302 303 302"),
    "deletion": ("200 200 403 404 302 200 302", "405 405 405 405 302 405 302"),
    "resume-deletion": ("405 405 405 405 302 405 302", "303 303 403 404 302 303 302"),
    "abandon-deletion": ("405 405 405 405 302 405 302", "303 303 403 404 302 303 302"),
    "repository-protection": ("200 200 403 404 302 200 302", "422 422 403 404 302 422 302"),
    "point": ("200 200 403 404 302 200 302", "404 404 403 404 302 404 302"),
    "remove-directory": ("405 405 405 405 302 405 302", "403 403 403 404 302 303 302"),
    "untagged": ("200 200 200 404 302 200 302", "405 405 405 405 302 405 302"),
    "repository-storage": ("200 200 200 404 302 200 302", "405 405 405 405 302 405 302"),
    "history": ("200 200 200 404 302 200 302", "405 405 405 405 302 405 302"),
    "repository-activity": ("200 200 200 404 302 200 302", "405 405 405 405 302 405 302"),
    "tags": ("200 200 200 404 302 200 302", "405 405 405 405 302 405 302"),
}
"""Name of the address → what GET and POST (with nothing in it) answer to PEOPLE, one after another."""


@pytest.fixture
def version() -> str:
    """What may be done does not depend on it."""
    return "3.1"


@pytest.fixture
def image(db: None, fake: FakeRegistry) -> Pushed:
    """What team-a/app:1.0 names."""
    fake.push_image("team-b/web", "1.0", layers=[b"of team-b"])
    fake.push_image("prod/api", "1.0", layers=[b"of prod"])
    return fake.push_image("team-a/app", "1.0")


@pytest.fixture
def place(registry: Registry, everybody_reads: AccessRule, image: Pushed) -> Registry:
    """The registry with its index, the people and their rules."""
    everybody_reads.delete()
    refresh.refresh(registry, since=timezone.now(), beat=lambda _done, _all: None)
    alice, nora, bob, carol, dave = (User.objects.create_user(name) for name in PEOPLE[:5])
    User.objects.create_superuser("admin")
    let(alice, Role.MAINTAINER, "team-a/**")
    let(nora, Role.ADMINISTRATOR, "team-a/**")
    let(bob, Role.READER, "team-a/**")
    let(carol, Role.MAINTAINER, "team-b/**")
    let(dave, Role.MAINTAINER)
    User.objects.filter(pk=dave.pk).update(is_active=False)
    now = timezone.now()
    same = {"registry": registry, "repository": "team-a/app", "user": alice, "created_at": now}
    plan = DeletionPlan.objects.create(**same, expires_at=now, effect={}, fingerprint="f" * 64)
    deletion = Deletion.objects.create(
        **same, pk=DELETION, plan=plan, user_name="alice", state=Deletion.State.DONE, kept_until=now
    )
    DeletionItem.objects.create(
        deletion=deletion, digest="sha256:" + "b" * 64, tags=["0.9"], state=DeletionItem.State.DONE,
        outcome_code="removed", method="remove", position=0, finished_at=now, looked_at=now,
    )  # fmt: skip
    return registry


@pytest.fixture
def answer(place: Registry) -> Answer:
    """The status that a person gets."""

    def ask(person: str, method: str, address: str) -> int:
        client = Client()
        if person != "visitor":
            client.force_login(User.objects.get(username=person))
        response = client.generic(method, address)
        if response.status_code == 302 and not response.headers["Location"].startswith("/accounts/login/"):
            return 303  # led on, not to sign in
        return response.status_code

    return ask


def names() -> Iterator[str]:
    """The name of every address of the dashboard."""
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        yield str(pattern.name)


def address_of(name: str, image: Pushed) -> str:
    """The address of that name, about team-a/app."""
    pattern = next(each for each in urlpatterns if each.name == name)
    samples = {
        "slug": "default", "repository": "team-a/app", "tag": "1.0", "deletion": DELETION, "job": uuid.UUID(int=0),
        "digest": image.config if name == "blob" else image.digest, "move": 1, "token": "x",
        "pk": User.objects.get(username="carol").pk if "person" in name else 999_999,
    }  # fmt: skip
    wanted = {key: samples[key] for key in pattern.pattern.converters}
    return reverse(name, kwargs=wanted) + {"delete": "?tag=1.0", "point": f"?digest={image.digest}"}.get(name, "")


def test_everybody_gets_what_the_matrix_says(answer: Answer, image: Pushed) -> None:
    wrong = {}
    for name in names():
        address = address_of(name, image)
        got = tuple(" ".join(str(answer(who, method, address)) for who in PEOPLE) for method in ("GET", "POST"))
        if got != MATRIX.get(name):
            wrong[name] = got
    assert not wrong, f"{PEOPLE}: not what MATRIX says of them"
    assert set(MATRIX) == set(names()), "a row of an address that is gone"


@pytest.mark.parametrize("who", PEOPLE)
def test_no_other_method_tells_or_changes_more(place: Registry, image: Pushed, who: str) -> None:
    """HEAD answers as GET does, without a word, or not at all; what is neither that nor POST is refused everywhere."""
    client = Client()
    if who != "visitor":
        client.force_login(User.objects.get(username=who))
    refusals = {302, 401, 403, 404, 405}
    for name in names():
        address = address_of(name, image)
        wanted = int(MATRIX[name][0].split()[PEOPLE.index(who)])
        head = client.head(address)
        assert head.status_code in {302 if wanted == 303 else wanted, 405}, name
        assert head.content == b"", name
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            assert client.generic(method, address).status_code in refusals, (name, method)


@pytest.mark.parametrize("who", ["carol", "visitor"])
def test_what_somebody_may_not_see_is_named_nowhere(place: Registry, image: Pushed, who: str) -> None:
    """Every page that answers, as a page and as a file; visitors may read what Carol may."""
    client = Client()
    if who == "carol":
        client.force_login(User.objects.get(username=who))
    else:
        AccessRule.objects.create(who="visitors", role=Role.READER, pattern="team-b/**", created_at=timezone.now())
    seen = 0
    for name in names():
        address = address_of(name, image)
        for query in ("", "?format=csv", "?format=json", "?q=app", "?in=team-a", "?name=app"):
            response = client.get(address if "?" in address else address + query)
            if response.status_code != 200 or name in NOT_OF_THE_REGISTRY:
                continue
            text = response.getvalue()
            seen += 1
            for hidden in (b"team-a/app", b"prod/api", image.digest.encode()):
                assert hidden not in text, (name, query)
    assert seen > 60
    listed = client.get("/registries/default/").content
    assert b"team-b" in listed
    assert client.get("/registries/default/team-b/web/").status_code == 200
    assert client.get("/search/?q=web").content.count(b"team-b/web") > 0


def test_visitors_are_led_to_sign_in_where_they_may_not_look(place: Registry, image: Pushed) -> None:
    AccessRule.objects.create(who="visitors", role=Role.READER, pattern="team-b/**", created_at=timezone.now())
    page = Client().get("/registries/default/team-b/web/")
    assert page.status_code == 200
    assert b"/accounts/login/?next=/registries/default/team-b/web/" in page.content
    assert b"delete" not in page.content.lower().split(b"</header>")[1]
    for address in ("team-a/app/", "no/such/", "team-b/web/-/delete/?tag=1.0"):
        answer = Client().get(f"/registries/default/{address}")
        assert answer.headers["Location"].startswith("/accounts/login/?next="), address
    assert Client().post("/registries/default/-/storage/scan/").status_code == 302
    assert Client().get("/account/").status_code == 302
