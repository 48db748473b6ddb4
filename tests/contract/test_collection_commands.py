"""The ready commands, with the real registries: the gate keeps its rules, systemd's script asks for what it says."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gates import ROOT, Gate, gate, wait_for
from tests.support.registries import KINDS, Kind, binary, missing
from tests.unit.storage.test_storage_registry import Pusher


@pytest.fixture(params=KINDS)
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gate]:
    kind: Kind = request.param
    if binary(kind) is None:
        pytest.skip(missing(kind))
    with gate(kind, tmp_path / "registry") as started:
        yield started


def say(running: Gate, word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([running.command, word], capture_output=True, text=True, timeout=60, check=False)


def begin_upload(running: Gate) -> tuple[int, str]:
    request = urllib.request.Request(f"{running.url}/v2/app/blobs/uploads/", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers.get_content_type()


def test_stopped_it_is_read_only_and_pulls_go_on(running: Gate) -> None:
    push = Pusher(running.url)
    image = push.image("app", [push.blob("app", b"layer")], "v")
    assert say(running, "stop").returncode == 0
    wait_for(running.url)
    assert begin_upload(running) == (405, "text/plain")
    with urllib.request.urlopen(f"{running.url}/v2/app/blobs/{image_layer()}", timeout=5) as answer:
        assert answer.read() == b"layer"
    assert say(running, "start").returncode == 0
    wait_for(running.url)
    assert begin_upload(running)[0] == 202
    assert image


def image_layer() -> str:
    return f"sha256:{hashlib.sha256(b'layer').hexdigest()}"


def test_it_collects_only_when_stopped(running: Gate) -> None:
    Pusher(running.url).blob("app", b"an orphan")
    for word in ("dry-run", "collect"):
        refused = say(running, word)
        assert refused.returncode == 1
        assert "the registry takes writes" in refused.stdout
    say(running, "stop")
    assert "1 blobs and 0 manifests eligible for deletion" in say(running, "dry-run").stdout
    assert say(running, "collect").returncode == 0
    assert not list(running.root.glob("docker/registry/v2/blobs/sha256/*/*/data"))


@pytest.mark.parametrize("word", ["", "stop; rm -r /", "start\nstop", "garbage-collect"])
def test_other_words_are_refused(running: Gate, word: str) -> None:
    assert say(running, word).returncode == 2
    assert begin_upload(running)[0] == 202


def test_what_is_written_there_by_hand_is_no_command(running: Gate) -> None:
    (running.directory / "gate" / "request").write_text("../../x stop\n")
    wait_for(running.url)
    assert begin_upload(running)[0] == 202


def test_a_registry_that_ends_ends_its_gate(running: Gate) -> None:
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    registry = next(pid for pid in children if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(int(registry), 9)
    assert running.process.wait(timeout=10) != 0


def test_systemd_s_script_asks_sudo_for_what_its_first_lines_allow(tmp_path: Path) -> None:
    said = tmp_path / "said"
    for name, code in (("sudo", 0), ("systemctl", 3)):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\n[ {name} = systemctl ] || echo "$*" >>{said}\nexit {code}\n')
        program.chmod(0o755)
    path = ROOT / "deploy" / "gc-systemd"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    for word in ("stop", "dry-run", "collect", "start"):
        subprocess.run([path, word], env=environment, check=True, timeout=10)
    assert subprocess.run([path, "rm"], env=environment, check=False, timeout=10, capture_output=True).returncode == 2
    asked = [re.sub(r"^-n (-u \S+ )?", "", line) for line in said.read_text().splitlines()]
    allowed = re.findall(r"NOPASSWD: (.+)", path.read_text())
    assert sorted(asked) == sorted(each for line in allowed for each in line.split(", "))


def test_systemd_s_script_never_collects_while_the_service_runs(tmp_path: Path) -> None:
    for name in ("sudo", "systemctl"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / "deploy" / "gc-systemd", "collect"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        check=False,
        timeout=10,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "is running" in done.stderr
