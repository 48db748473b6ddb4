"""The PostgreSQL of the tests: a cluster that nobody else reaches, gone afterwards, and never a reason to fail."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from tools import debian, packages, postgres
from tools.common import SetupProblem


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real ones, which the system or `make setup` put here."""
    found = packages.postgresql()
    if found is None:
        pytest.skip("no PostgreSQL here: apt install postgresql")
    return found


def answers(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_cluster_is_reached_by_its_socket_alone_and_is_gone_afterwards(programs: Path) -> None:
    with postgres.cluster() as url:
        place = Path(unquote(urlsplit(url).netloc).rpartition("@")[2])
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        with psycopg.connect(host=str(place), user="strata", dbname="postgres") as connection:
            said = {
                name: connection.execute(f"SHOW {name}").fetchone()
                for name in ("listen_addresses", "fsync", "lc_collate", "server_encoding")
            }
        server = int((place / "data" / "postmaster.pid").read_text().split()[0])
        assert Path(f"/proc/{server}").stat().st_uid != 0
    assert said == {"listen_addresses": ("",), "fsync": ("off",), "lc_collate": ("C",), "server_encoding": ("UTF8",)}
    assert not place.exists()
    assert not answers(server)


def test_a_server_that_does_not_start_is_told_with_its_last_words(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, owner = list[Path](), postgres._other_user
    monkeypatch.setattr(postgres, "_other_user", lambda directory: made.append(directory) or owner(directory))  # type: ignore[func-returns-value]
    monkeypatch.setattr(postgres, "HASTE", ("fsync=perhaps",))
    with (
        pytest.raises(SetupProblem, match=r'did not start: (.|\n)*"fsync" requires a Boolean value'),
        postgres.cluster(),
    ):
        pass
    assert [directory.exists() for directory in made] == [False]


def test_without_postgresql_the_count_names_what_was_not_run_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(postgres, "postgresql", lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert postgres.main([]) == 0
    said = capsys.readouterr().out
    assert "tests of each kind" in said
    assert "on PostgreSQL              0 (not run: PostgreSQL is not here" in said
    assert "apt install postgresql" in said


@pytest.mark.parametrize(("name", "code"), [("there", 0), ("elsewhere", 1)])
def test_the_tests_get_the_clusters_address_and_their_failure_is_ours(
    name: str, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @contextmanager
    def cluster() -> Iterator[str]:
        yield "postgres://there"

    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    test = tmp_path / "test_it.py"
    test.write_text(f"import os\ndef test_it(): assert os.environ['TEST_DATABASE_URL'] == 'postgres://{name}'\n")
    monkeypatch.setattr(postgres, "cluster", cluster)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(postgres, "TESTS", ("-q", "-c", str(tmp_path / "pytest.ini"), "-p", "no:django"))
    assert postgres.main([str(test)]) == code


def test_unpacked_programs_are_brought_to_where_the_other_user_can_run_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unpacked, directory = tmp_path / "closed" / "postgresql", tmp_path / "cluster"
    programs = unpacked / "usr/lib/postgresql/15/bin"
    programs.mkdir(parents=True)
    (programs / "initdb").write_text("")
    (unpacked / "usr/lib/libpq.so.5").write_text("")
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.setattr(postgres, "UNPACKED_POSTGRESQL", unpacked)
    monkeypatch.setattr(postgres, "is_root", lambda: False)
    assert postgres._reachable(programs, directory) == (programs, str(unpacked / "usr/lib"))
    monkeypatch.setattr(postgres, "is_root", lambda: True)
    copied, libraries = postgres._reachable(programs, directory)
    assert copied.is_relative_to(directory)
    assert (copied / "initdb").exists()
    assert libraries == str(directory / "programs/usr/lib")


def test_debians_package_is_unpacked_and_never_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = iter([None, tmp_path])
    unpacked = []
    monkeypatch.setattr(packages, "postgresql", lambda: next(found))
    monkeypatch.setattr(packages, "is_root", lambda: True)
    monkeypatch.setattr(debian, "is_debian", lambda: True)
    monkeypatch.setattr(debian, "install", lambda *_: pytest.fail("its package starts a service"))
    monkeypatch.setattr(debian, "unpack", lambda name, dependencies: unpacked.append((name, dependencies)))
    packages._fetch_postgresql()
    assert unpacked == [("postgresql", True)]
