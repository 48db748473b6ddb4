"""Layers of the demo: real archives that unpack, and the same bytes each time."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dashboard.registry.references import digest_of
from dashboard.services.demo.layers import File, Packing, layer, noise, removed, tar


def unpacked(packing: Packing, content: bytes) -> bytes:
    if packing is Packing.GZIP:
        return gzip.decompress(content)
    if packing is Packing.ZSTD:
        return zstandard.ZstdDecompressor().decompress(content)
    return content


@pytest.mark.parametrize("packing", list(Packing))
def test_a_layer_unpacks_to_the_files_it_was_made_of_and_its_diff_id_is_that_of_the_archive_inside(
    packing: Packing,
) -> None:
    files = [File("usr/bin/tool", b"\x7fELF tool", 0o755), File("etc/motd", b"hello"), File("bin", link_to="usr/bin")]
    made = layer(files, packing)
    plain = unpacked(packing, made.content)
    assert made.diff_id == digest_of(plain)
    assert made.digest == digest_of(made.content)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert archive.getnames() == ["bin", "etc", "etc/motd", "usr", "usr/bin", "usr/bin/tool"]
        tool = archive.extractfile("usr/bin/tool")
        assert tool is not None
        assert tool.read() == b"\x7fELF tool"
        assert archive.getmember("usr/bin/tool").mode == 0o755
        assert archive.getmember("bin").linkname == "usr/bin"
        assert archive.getmember("etc").isdir()


def test_packed_layers_hold_no_time_so_that_their_digests_stay() -> None:
    packed = layer([File("a", b"x" * 5000)]).content
    assert packed[:2] == b"\x1f\x8b"
    assert packed[4:8] == b"\0\0\0\0", "gzip's header names a time of packing"
    assert packed == layer([File("a", b"x" * 5000)]).content


def test_the_archive_is_the_same_on_every_machine() -> None:
    # The tar level is ours alone (no compression library), so its digest may be written down.
    files = [File("etc/hosts", b"127.0.0.1 localhost\n"), File("opt/data.bin", noise("fixed", 1000))]
    assert digest_of(tar(files)) == "sha256:5b89feeb0d8d6914bb27750463106bdc3af267dbed5f3d17c8edf624814a1f3c"
    assert tar(files) == tar(reversed(files))


def test_a_removed_file_is_an_empty_whiteout_beside_where_it_was() -> None:
    assert removed("var/cache/apt") == File("var/cache/.wh.apt", b"")


@given(name=st.text(max_size=20), size=st.integers(0, 4096))
def test_noise_has_its_size_and_depends_on_its_name_alone(name: str, size: int) -> None:
    assert len(noise(name, size)) == size
    assert noise(name, size) == noise(name, 4096)[:size]


def test_noise_does_not_compress() -> None:
    content = noise("model", 50_000)
    assert len(gzip.compress(content)) > 49_900
