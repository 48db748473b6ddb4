"""A command of manage.py beside `make run`: with the settings, secrets and registry of that start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import manage, run
from tools.common import SetupProblem


def test_it_is_told_what_the_last_start_told_its_children(tmp_path: Path) -> None:
    given = {"DASHBOARD_STATE_DIR": str(tmp_path)}
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "port").write_text("5017\n")
    first, again = run.of_last_start(given).environment, run.of_last_start(given).environment
    assert first["DASHBOARD_REGISTRY_URL"] == "http://127.0.0.1:5017"
    assert first["DASHBOARD_STORAGE_ROOT"] == str(tmp_path / "demo" / "storage")
    assert Path(first["SECRET_KEY_FILE"]).read_text() == Path(again["SECRET_KEY_FILE"]).read_text()
    assert Path(first["SECRET_KEY_FILE"]).is_relative_to(tmp_path)


def test_a_registry_that_is_named_is_that_registry(tmp_path: Path) -> None:
    given = {"DASHBOARD_STATE_DIR": str(tmp_path), "DASHBOARD_REGISTRY_URL": "https://registry.example.com"}
    started = run.of_last_start(given)
    assert started.environment["DASHBOARD_REGISTRY_URL"] == "https://registry.example.com"
    assert "DASHBOARD_STORAGE_ROOT" not in started.environment


def test_where_nothing_was_started_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SetupProblem):
        run.of_last_start({"DASHBOARD_STATE_DIR": str(tmp_path)})
    monkeypatch.setenv("DASHBOARD_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("DASHBOARD_REGISTRY_URL", raising=False)
    assert manage.main(["check"]) == 1
    assert "Nothing was started here yet" in capsys.readouterr().err


def test_the_exit_code_is_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHBOARD_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DASHBOARD_REGISTRY_URL", "http://127.0.0.1:1")
    assert manage.main(["storage_report", str(tmp_path / "nowhere")]) == 2
