"""What a collector prints, read without trust."""

from __future__ import annotations

import pytest

from dashboard.storage import dry_run
from dashboard.storage.dry_run import Parser, Void

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")

TWO = f"""\
team/app
team/app: marking manifest {A} 
team/app: marking blob {B}
manifest eligible for deletion: {C}
other

3 blobs marked, 1 blobs and 1 manifests eligible for deletion
blob eligible for deletion: {C}
"""  # noqa: W291  (2.8 prints that blank)

THREE = f"""\
team/app
team/app: marking manifest {A} 
manifest eligible for deletion: {{team/app {C} [latest 1.0]}}
manifest eligible for deletion: {{team/app {B} []}}

1 blobs marked, 2 blobs and 2 manifests eligible for deletion
blob eligible for deletion: {C}
blob eligible for deletion: {B}
team/app: layer link eligible for deletion: {B}
"""  # noqa: W291


def test_both_formats_are_read() -> None:
    two, three = dry_run.read([TWO.encode()], 0), dry_run.read([THREE.encode()], 0)

    assert (two.marked, two.blobs, two.manifests) == (3, {C}, [("team/app", C)])
    assert (three.marked, three.blobs, three.manifests) == (1, {B, C}, [("team/app", C), ("team/app", B)])


def test_pieces_may_be_cut_anywhere() -> None:
    whole = dry_run.read([TWO.encode()], 0)
    for size in (1, 7, 64):
        pieces = [TWO.encode()[start : start + size] for start in range(0, len(TWO), size)]
        assert dry_run.read(pieces, 0) == whole


@pytest.mark.parametrize(
    ("output", "code", "why"),
    [
        (TWO, 1, "exit-code"),
        ("", 0, "no-summary"),
        (TWO.replace("3 blobs", "3 blob"), 0, "no-summary"),
        (TWO + f"blob eligible for deletion: {A}\n", 0, "counts"),
        (TWO.rpartition("blob eligible")[0], 0, "counts"),
        (TWO + "\n0 blobs marked, 1 blobs and 1 manifests eligible for deletion\n", 0, "counts"),
        (THREE.replace("[]}", "[]"), 0, None),
        (TWO.replace(f"deletion: {C}\nother", "deletion: sha256:short\nother"), 0, "counts"),
    ],
)
def test_what_cannot_be_relied_on_is_void(output: str, code: int, why: str | None) -> None:
    if why is None:
        dry_run.read([output.encode()], code)
        return
    with pytest.raises(Void) as refused:
        dry_run.read([output.encode()], code)
    assert refused.value.code == why


def test_a_line_without_an_end_is_not_kept() -> None:
    parser = Parser()
    for _ in range(200):
        parser.feed(b"x" * 65536)
    parser.feed(b"\n" + TWO.encode())
    assert len(parser._rest) < 65536
    assert parser.end(0).blobs == {C}


def test_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "MAX_BLOBS", 1)
    with pytest.raises(Void) as refused:
        dry_run.read([THREE.encode()], 0)
    assert refused.value.code == "too-long"
