"""A deletion that broke off anywhere is finished or put back, by the worker, with the credential that began it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from dashboard.models import Deletion, DeletionItem, Registry, TrashedManifest
from dashboard.registry.client import RegistrySession
from dashboard.registry.references import RepositoryName, parse_repository
from dashboard.services import credentials
from dashboard.services.audit import Actor
from dashboard.services.deletion import carry_out, execute
from dashboard.services.deletion.recover import recover_all
from tests.fake_registry import FakeRegistry
from tests.support.deleting import Desk, desk_at

pytestmark = pytest.mark.django_db

REPOSITORY = parse_repository("team/app")
CHANGES = ("upload_blob", "put_manifest", "delete_tag", "delete_manifest")


class Crash(BaseException):
    """The process dies here."""


class Mortal:
    """A session whose process dies at its n-th changing request: before it is sent, or before its answer is heard."""

    def __init__(self, session: RegistrySession, dies_at: int, *, sent: bool) -> None:
        self._session = session
        self._left = dies_at
        self._sent = sent

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._session, name)
        if name not in CHANGES:
            return method

        def change(*arguments: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                if self._sent:
                    method(*arguments)
                raise Crash
            return method(*arguments)

        return change


@pytest.fixture
def desk(fake: FakeRegistry) -> Iterator[Desk]:
    """A desk at the fake registry."""
    client = fake.client()
    with desk_at(client, fake.url, client.session()) as desk:
        yield desk


def _dies(desk: Desk, tag: str, method: str, dies_at: int, *, sent: bool, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Deletes with a process that dies at its `dies_at`-th change; whether it died at all."""
    made = desk.plan(REPOSITORY, tag)
    real = carry_out.carry_out

    def mortal(row: Deletion, session: RegistrySession, **more: Any) -> None:
        real(row, Mortal(session, dies_at, sent=sent), **more)  # type: ignore[arg-type]  # stands in for one

    with monkeypatch.context() as patch:
        patch.setattr(execute, "carry_out", mortal)
        try:
            desk.confirm(made, method)
        except Crash:
            return True
    return False


def _let_the_lease_run_out() -> None:
    Deletion.objects.filter(state=Deletion.State.IN_PROGRESS).update(
        lease_until=timezone.now() - dt.timedelta(seconds=1)
    )


@pytest.mark.parametrize("sent", [False, True], ids=["before-it-is-sent", "before-the-answer"])
@pytest.mark.parametrize("method", ["untag", "remove"])
def test_wherever_the_process_dies_the_worker_finishes(
    desk: Desk, fake: FakeRegistry, method: str, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = 0
    for dies_at in range(1, 12):
        amd64 = fake.push_image(REPOSITORY, platform="linux/amd64", layers=[b"%d" % dies_at])
        index = fake.push_index(REPOSITORY, "going", children=[amd64])
        other = fake.push_image(REPOSITORY, "staying", layers=[b"staying"])
        if not _dies(desk, "going", method, dies_at, sent=sent, monkeypatch=monkeypatch):
            break
        died += 1
        assert recover_all() == 0, "a lease that still runs is nobody's business"
        _let_the_lease_run_out()
        assert recover_all() == 1
        row = DeletionItem.objects.latest("pk")
        assert row.state == DeletionItem.State.DONE, (dies_at, row.step, row.outcome_code)
        assert fake.tags(REPOSITORY) == {"staying": other.digest}
        assert fake.has_manifest(REPOSITORY, index.digest) == (method == "untag")
        assert fake.has_manifest(REPOSITORY, amd64.digest) == (method == "untag")
    else:
        pytest.fail("the deletion never got through")
    assert died >= {"untag": 1, "remove": 2}[method]


def test_an_answer_that_never_comes_leaves_it_in_progress_and_the_worker_goes_on(
    desk: Desk, fake: FakeRegistry
) -> None:
    image = fake.push_image(REPOSITORY, "going", "staying")
    made = desk.plan(REPOSITORY, "going")
    fake.fail_next(r"DELETE /v2/team/app/manifests/(?!strata-probe|sha256:[0-9a-f]+$)", exception="timeout")
    fake.fail_next(r"PUT /v2/team/app/manifests/going", exception="timeout")
    row = desk.confirm(made)
    assert (row.state, row.deletion.state) == (DeletionItem.State.WAITING, Deletion.State.IN_PROGRESS)
    assert row.deletion.outcome_code == "timed-out"
    recover_all()
    row.refresh_from_db()
    assert (row.state, row.outcome_code) == (DeletionItem.State.DONE, "untagged")
    assert fake.tags(REPOSITORY) == {"staying": image.digest}


class TestOn28:
    """Registries that delete by digest only: the throw-away manifest."""

    @pytest.fixture
    def version(self) -> str:
        """Only 2.8 needs it."""
        return "2.8"

    def test_a_refused_second_half_puts_the_old_manifest_back(
        self, desk: Desk, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = fake.push_image(REPOSITORY, "going", "staying")
        made = desk.plan(REPOSITORY, "going")
        _refuse_deleting_throwaways(fake, monkeypatch)
        row = desk.confirm(made)
        assert (row.state, row.outcome_code) == (DeletionItem.State.ROLLED_BACK, "put-back")
        assert fake.tags(REPOSITORY) == {"going": image.digest, "staying": image.digest}

    def test_what_the_registry_cannot_take_back_goes_in_the_end(
        self, desk: Desk, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lost = fake.push_image(REPOSITORY, platform="linux/arm64", layers=[b"lost"])
        here = fake.push_image(REPOSITORY, platform="linux/amd64", layers=[b"here"])
        index = fake.push_index(REPOSITORY, "going", "staying", children=[here, lost])
        fake.remove_manifest(REPOSITORY, lost.digest)
        made = desk.plan(REPOSITORY, "going")
        _refuse_deleting_throwaways(fake, monkeypatch)
        row = desk.confirm(made, accepts_loss=True)
        assert (row.state, row.outcome_code) == (DeletionItem.State.DONE, "deleted-late")
        assert fake.tags(REPOSITORY) == {"staying": index.digest}

    def test_the_throwaway_and_the_old_bytes_are_written_down_before_it_is_pushed(
        self, desk: Desk, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = fake.push_image(REPOSITORY, "going", "staying")
        put = RegistrySession.put_manifest
        seen: list[tuple[str, bytes]] = []

        def watched(session: RegistrySession, repository: RepositoryName, reference: str, kind: str, raw: bytes) -> Any:
            row = DeletionItem.objects.get()
            seen.append((row.throwaway_digest, bytes(TrashedManifest.objects.get(deletion=row.deletion).raw)))
            return put(session, repository, reference, kind, raw)

        monkeypatch.setattr(RegistrySession, "put_manifest", watched)
        row = desk.delete(REPOSITORY, "going")
        assert seen == [(row.throwaway_digest, image.raw)]

    def test_two_throwaways_are_never_alike(self, desk: Desk, fake: FakeRegistry) -> None:
        fake.push_image(REPOSITORY, "a", "b", "c")
        rows = [desk.delete(REPOSITORY, tag) for tag in ("a", "b")]
        assert rows[0].throwaway_digest != rows[1].throwaway_digest
        assert list(fake.tags(REPOSITORY)) == ["c"]

    def test_a_push_between_the_halves_survives(
        self, desk: Desk, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake.push_image(REPOSITORY, "going", "staying")
        put = RegistrySession.put_manifest
        newer: list[str] = []

        def overtaken(
            session: RegistrySession, repository: RepositoryName, reference: str, kind: str, raw: bytes
        ) -> Any:
            digest = put(session, repository, reference, kind, raw)
            newer.append(fake.push_image(REPOSITORY, "going", layers=[b"newer"]).digest)
            return digest

        monkeypatch.setattr(RegistrySession, "put_manifest", overtaken)
        row = desk.delete(REPOSITORY, "going")
        assert (row.state, row.outcome_code) == (DeletionItem.State.DONE, "pushed-meanwhile")
        assert fake.tags(REPOSITORY)["going"] == newer[0]

    def test_a_tag_moved_onto_the_digest_at_the_last_moment_is_put_back(
        self, desk: Desk, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = fake.push_image(REPOSITORY, "going", layers=[b"going"])
        fake.push_image(REPOSITORY, "mover", layers=[b"where it was"])
        delete = RegistrySession.delete_manifest

        def overtaken(session: RegistrySession, repository: RepositoryName, digest: Any) -> None:
            if digest == image.digest:
                fake.move_tag(REPOSITORY, "mover", image.digest)
            delete(session, repository, digest)

        made = desk.plan(REPOSITORY, "going")
        monkeypatch.setattr(RegistrySession, "delete_manifest", overtaken)
        row = desk.confirm(made, "remove")
        assert (row.outcome_code, row.outcome["tags"]) == ("siblings-put-back", ["mover"])
        assert fake.tags(REPOSITORY) == {"mover": image.digest}


def test_what_an_index_needs_that_was_pushed_in_the_window_is_put_back(
    desk: Desk, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = fake.push_image(REPOSITORY, platform="linux/amd64", layers=[b"child"])
    index = fake.push_index(REPOSITORY, "going", children=[child])
    delete = RegistrySession.delete_manifest

    def overtaken(session: RegistrySession, repository: RepositoryName, digest: Any) -> None:
        if digest == child.digest:
            fake.push_index(REPOSITORY, "newer", children=[child], annotations={"pushed": "meanwhile"})
        delete(session, repository, digest)

    made = desk.plan(REPOSITORY, "going")
    monkeypatch.setattr(RegistrySession, "delete_manifest", overtaken)
    row = desk.begin(made, "remove")
    assert (row.state, row.outcome) == (Deletion.State.DONE, {"put_back": [child.digest]})
    assert not fake.has_manifest(REPOSITORY, index.digest)
    assert fake.has_manifest(REPOSITORY, child.digest), "the new index can be pulled whole"
    assert list(fake.tags(REPOSITORY)) == ["newer"]


def test_the_credential_that_began_it_finishes_it_or_it_waits() -> None:
    passwords = {"deleter": "secret of deleter", "boss": "secret of boss"}
    with FakeRegistry("2.8", basic=passwords) as fake:
        client = fake.client()
        outside = client.session(fake.credential("boss"))
        with desk_at(client, fake.url, outside) as desk:
            Registry.objects.update(act_with=Registry.ActWith.OWN)
            desk.registry.refresh_from_db()
            credentials.store(user=desk.user, registry=desk.registry, username="deleter", password=passwords["deleter"])
            image = fake.push_image(REPOSITORY, "going", "staying")
            made = desk.plan(REPOSITORY, "going")
            fake.fail_next(r"PUT /v2/team/app/manifests/going", exception="timeout")
            row = desk.begin(made)
            assert (row.acted_with, row.acted_as) == ("own", "deleter")
            credentials.remove(user=desk.user, registry=desk.registry, actor=Actor("admin"))
            fake.forget_requests()
            recover_all()
            row.refresh_from_db()
            assert (row.state, row.outcome_code) == (Deletion.State.IN_PROGRESS, "credential-gone")
            assert fake.requests == [], "nothing is asked as anybody else"
            credentials.store(user=desk.user, registry=desk.registry, username="deleter", password=passwords["deleter"])
            recover_all()
            row.refresh_from_db()
            assert (row.state, row.items.get().outcome_code) == (Deletion.State.DONE, "untagged")
            assert fake.tags(REPOSITORY) == {"staying": image.digest}


def test_one_deletion_at_a_time_in_a_repository(
    desk: Desk, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.push_image(REPOSITORY, "a", "b", "c")
    assert _dies(desk, "a", "untag", 1, sent=False, monkeypatch=monkeypatch)
    with pytest.raises(execute.PlanRefused, match="busy"):
        desk.confirm(desk.plan(REPOSITORY, "b"))
    assert sorted(fake.tags(REPOSITORY)) == ["a", "b", "c"]


def _refuse_deleting_throwaways(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry loses its taste for deletion once the throw-away stands: its first DELETE is 405."""
    put = RegistrySession.put_manifest

    def then_refuse(session: RegistrySession, repository: RepositoryName, reference: str, kind: str, raw: bytes) -> Any:
        digest = put(session, repository, reference, kind, raw)
        if b'layers":[]' in raw:
            body = b'{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}'
            headers = {"Content-Type": "application/json"}
            fake.fail_next(f"DELETE /v2/team/app/manifests/{digest}", status=405, body=body, headers=headers)
        return digest

    monkeypatch.setattr(RegistrySession, "put_manifest", then_refuse)
