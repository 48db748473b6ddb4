"""The deep check: what is damaged is found, what is whole or gone is not; it goes on where it was, at its pace."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from dashboard.storage import hashing
from dashboard.storage.errors import RootUnreadable
from dashboard.storage.hashing import Checked, Damage, Hashing, Pace, Total

UNBOUND = Pace(0)


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    (tmp_path / "blobs").mkdir()
    return tmp_path


def put(v2: Path, content: bytes, algorithm: str = "sha256") -> str:
    """A blob under its true digest; the path of its directory below `blobs`."""
    encoded = hashlib.new(algorithm, content).hexdigest()
    directory = v2 / "blobs" / algorithm / encoded[:2] / encoded
    directory.mkdir(parents=True)
    (directory / "data").write_bytes(content)
    return f"{algorithm}/{encoded[:2]}/{encoded}"


def data(v2: Path, path: str) -> Path:
    return v2 / "blobs" / path / "data"


def check(v2: Path, after: str = "") -> list[Checked]:
    return list(Hashing(str(v2), after=after, pace=UNBOUND, alive=lambda: None))


def damages(found: list[Checked]) -> dict[str, Damage]:
    return {each.path: each.damage for each in found if each.damage}


def test_whole_blobs_of_every_algorithm_are_gone_through_in_order(v2: Path) -> None:
    paths = [put(v2, bytes([n]) * n) for n in range(40)] + [put(v2, b"x", "sha384"), put(v2, b"x", "sha512")]

    found = check(v2)

    assert [each.path for each in found] == sorted(paths)
    assert damages(found) == {}
    assert sum(each.bytes for each in found) == sum(range(40)) + 2
    assert Hashing(str(v2), pace=UNBOUND, alive=lambda: None).total() == Total(42, sum(range(40)) + 2)
    assert found[0].digest == found[0].path.split("/")[0] + ":" + found[0].path.split("/")[2]


@pytest.mark.parametrize("content", [b"X" + b"a" * 2_999_999, b"a" * 10, b"", b"a" * 3_000_001])
def test_one_flipped_byte_a_short_and_a_long_blob_are_damaged(v2: Path, content: bytes) -> None:
    path = put(v2, b"a" * 3_000_000)
    whole = put(v2, b"whole")
    data(v2, path).write_bytes(content)

    found = check(v2)

    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert damages(found) == {path: Damage(hashing.MISMATCH, digest, len(content))}
    assert whole in {each.path for each in found}


def test_what_is_whole_at_the_second_reading_is_no_finding(v2: Path) -> None:
    path = put(v2, b"arrives late")
    data(v2, path).write_bytes(b"arrives")

    def arrive() -> None:
        data(v2, path).write_bytes(b"arrives late")

    reading = Hashing(str(v2), pace=UNBOUND, alive=arrive)
    assert damages(list(reading)) == {}


def test_what_vanishes_is_no_finding(v2: Path) -> None:
    first, second = sorted((put(v2, b"first"), put(v2, b"second")))
    found = []
    for each in Hashing(str(v2), pace=UNBOUND, alive=lambda: None):
        found.append(each.path)
        data(v2, second).unlink(missing_ok=True)

    assert found == [first]


def test_a_mismatch_that_vanishes_before_its_second_reading_is_none(v2: Path) -> None:
    path = put(v2, b"whole")
    data(v2, path).write_bytes(b"damaged")

    assert list(Hashing(str(v2), pace=UNBOUND, alive=lambda: data(v2, path).unlink(missing_ok=True))) == []


def test_neither_links_nor_fifos_nor_directories_are_read(v2: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data").write_bytes(b"not ours")
    paths = [put(v2, bytes([n])) for n in range(4)]
    for path in paths:
        data(v2, path).unlink()
    data(v2, paths[0]).symlink_to(outside / "data")
    data(v2, paths[1]).parent.rmdir()
    data(v2, paths[1]).parent.symlink_to(outside)
    os.mkfifo(data(v2, paths[2]))
    data(v2, paths[3]).mkdir()
    (v2 / "blobs" / "sha256" / "zz").mkdir()  # no fan-out
    fan = v2 / "blobs" / "sha256" / "00"
    fan.symlink_to(outside)

    found = damages(check(v2))

    assert {path: damage.code for path, damage in found.items()} == {
        "sha256/00": "symlink", paths[0]: "symlink", paths[1]: "symlink", paths[2]: "not-a-file",
        paths[3]: "not-a-file",
    }  # fmt: skip


def test_what_cannot_be_read_is_tried_twice_and_told(v2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(v2, b"on a bad sector")
    tries = []

    def broken(*_: object) -> int:
        tries.append(1)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "readv", broken)

    assert damages(check(v2)) == {path: Damage(hashing.UNREADABLE)}
    assert len(tries) == 2


def test_a_file_that_grows_without_end_is_left(v2: Path) -> None:
    path = put(v2, b"small")

    def grow() -> None:
        with data(v2, path).open("ab") as file:
            file.write(b"x" * hashing.CHUNK_BYTES)

    found = damages(list(Hashing(str(v2), pace=UNBOUND, alive=grow)))

    assert found[path].code == hashing.MISMATCH


def test_it_goes_on_behind_any_place_where_it_was_broken_off(v2: Path) -> None:
    paths = sorted([put(v2, bytes([n, n])) for n in range(30)] + [put(v2, b"x", "sha512")])

    for number, path in enumerate(paths):
        assert [each.path for each in check(v2, after=path)] == paths[number + 1 :]
    assert [each.path for each in check(v2, after="sha256/80")] == [path for path in paths if path > "sha256/80"]


def test_alive_ends_it_in_the_middle_of_a_blob(v2: Path) -> None:
    put(v2, b"a" * (3 * hashing.CHUNK_BYTES))
    calls = []

    def alive() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyError

    with pytest.raises(KeyError):
        list(Hashing(str(v2), pace=UNBOUND, alive=alive))


def test_a_storage_that_goes_away_is_an_error_and_no_clean_bill(v2: Path, tmp_path: Path) -> None:
    put(v2, b"one")
    put(v2, b"two")
    reading = iter(Hashing(str(v2), pace=UNBOUND, alive=lambda: None))
    next(reading)
    (v2 / "blobs").rename(tmp_path / "moved")
    with pytest.raises(RootUnreadable):
        list(reading)

    (v2 / "blobs").mkdir()
    with pytest.raises(RootUnreadable):
        check(v2 / "nowhere")


# The pace


class Clock:
    """A clock that only sleeping moves, and what was slept."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_the_pace_holds_on_average_whatever_the_pieces() -> None:
    clock = Clock()
    pace = Pace(1000, clock, clock.sleep)

    for count in (1000, 1, 499, 1500, 7000):
        pace.spend(count)

    assert clock.now == pytest.approx(100 + 10.0)


def test_slow_reading_is_not_slowed_further_and_a_pause_is_not_made_up_for() -> None:
    clock = Clock()
    pace = Pace(1000, clock, clock.sleep)
    pace.spend(1000)
    clock.now += 60
    clock.slept.clear()

    pace.spend(2000)

    assert clock.slept == [pytest.approx(2.0)]


def test_a_check_reads_no_faster_than_its_pace(v2: Path) -> None:
    sizes = [3 * hashing.CHUNK_BYTES + 17, 5, 0, 900_000]
    for number, size in enumerate(sizes):
        put(v2, bytes([number]) * size)
    clock = Clock()

    list(Hashing(str(v2), pace=Pace(hashing.CHUNK_BYTES, clock, clock.sleep), alive=lambda: None))

    assert clock.now - 100 == pytest.approx(sum(sizes) / hashing.CHUNK_BYTES)


def test_without_a_bound_it_never_sleeps() -> None:
    clock = Clock()
    Pace(0, clock, clock.sleep).spend(10**12)
    assert clock.slept == []
