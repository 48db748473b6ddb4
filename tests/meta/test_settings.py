"""Settings: wrong ones are system checks with an id and a fix; bootstrap stops on them, and may be run again."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import override_settings

from dashboard.models import Registry, User
from registryui import env
from tests.support.tls import make_certificates

GOOD: dict[str, Any] = {
    "SECRET_KEY": "k" * 64, "CREDENTIAL_KEYS": [Fernet.generate_key().decode()],
    "BASE_URL": "https://strata.example.com",
    "REGISTRY_URL": "https://registry.example.com", "REGISTRY_SLUG": "main", "REGISTRY_ACT_WITH": "default",
    "REGISTRY_CA_FILE": "", "STORAGE_ROOT": "", "STORAGE_URL": "",
    "STORAGE_ENDPOINT": "", "REGISTRY_PUBLIC_HOST": "", "REGISTRY_SIGN_IN": False,
    "SUPERUSER_USERNAME": "", "SUPERUSER_PASSWORD": "",
}  # fmt: skip


@pytest.fixture(autouse=True)
def good() -> Any:
    """Settings that hold."""
    with override_settings(**GOOD):
        yield


def ids() -> list[str]:
    return [str(message.id) for message in run_checks() if str(message.id).startswith("dashboard.")]


# Checks


def test_good_settings_pass() -> None:
    assert ids() == []


WRONG = [
    ("E001", {"SECRET_KEY": ""}), ("E001", {"SECRET_KEY": "short"}),
    ("E002", {"CREDENTIAL_KEYS": []}), ("E002", {"CREDENTIAL_KEYS": ["no key"]}),
    ("E002", {"CREDENTIAL_KEYS": [Fernet.generate_key().decode(), "x" * 44]}),
    ("E003", {"REGISTRY_URL": "registry.example.com"}), ("E003", {"REGISTRY_URL": "ftp://registry.example.com"}),
    ("E003", {"REGISTRY_URL": "https://"}), ("E003", {"REGISTRY_URL": "https://me:secret@registry.example.com"}),
    ("E003", {"REGISTRY_URL": "https://registry.example.com/?a=b"}),
    ("E003", {"REGISTRY_URL": "https://r.example.com/#x"}),
    ("E003", {"REGISTRY_URL": "https://registry.example.com:99999"}), ("E003", {"REGISTRY_URL": "http://[::1"}),
    ("E004", {"REGISTRY_SLUG": "Main"}), ("E004", {"REGISTRY_SLUG": "a--b"}), ("E004", {"REGISTRY_SLUG": "main\n"}),
    ("E005", {"REGISTRY_ACT_WITH": "both"}),
    ("E006", {"REGISTRY_CA_FILE": "/nowhere/ca.pem"}), ("E006", {"REGISTRY_CA_FILE": __file__}),
    ("E007", {"STORAGE_ROOT": "/nowhere"}), ("E007", {"STORAGE_ROOT": __file__}),
    ("E012", {"STORAGE_URL": "/var/lib/registry"}), ("E012", {"STORAGE_URL": "s3://me:secret@bucket/x"}),
    ("E012", {"STORAGE_URL": "s3://bucket", "STORAGE_ROOT": "/"}),
    ("E012", {"STORAGE_URL": "s3://bucket", "STORAGE_ENDPOINT": "minio:9000"}),
    ("E008", {"BASE_URL": "strata.example.com"}), ("E008", {"BASE_URL": "http://[::1"}),
    ("E009", {"ALERT_WEBHOOK_URL": "hooks.example.com/secret@x"}),
    ("E009", {"ALERT_WEBHOOK_URL": "https://me:secret@hooks.example.com/"}),
    ("E010", {"ALERT_EMAILS": ["ops@example.com", "ops"]}),
    ("E011", {"GC_COMMAND": "gc-compose"}), ("E011", {"GC_COMMAND": "/nowhere/gc"}), ("E011", {"GC_COMMAND": __file__}),
    ("W001", {"REGISTRY_URL": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("number", "wrong"), WRONG)
def test_wrong_setting_is_named_with_its_fix(number: str, wrong: dict[str, Any]) -> None:
    with override_settings(**wrong):
        assert ids() == [f"dashboard.{number}"]
        (message,) = (m for m in run_checks() if m.id == f"dashboard.{number}")
    assert message.hint
    assert "secret@" not in f"{message.msg} {message.hint}"


def test_every_check_is_tried_here() -> None:
    source = (settings.BASE_DIR / "dashboard" / "checks.py").read_text()
    written = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and str(node.value).startswith("dashboard.") and len(str(node.value)) == 14
    }
    assert written == {f"dashboard.{number}" for number, _ in WRONG}


def test_several_faults_are_all_told() -> None:
    with override_settings(SECRET_KEY="", REGISTRY_SLUG="Main", BASE_URL="x"):
        assert sorted(ids()) == ["dashboard.E001", "dashboard.E004", "dashboard.E008"]


def test_private_authority_is_accepted(tmp_path: Path) -> None:
    with override_settings(REGISTRY_CA_FILE=str(make_certificates(tmp_path).authority), STORAGE_ROOT=str(tmp_path)):
        assert ids() == []


# Bootstrap


def bootstrap() -> list[str]:
    out = io.StringIO()
    call_command("bootstrap", stdout=out)
    return [line for line in out.getvalue().splitlines() if line != "static files collected"]


@pytest.mark.django_db
@pytest.mark.parametrize(("number", "wrong"), [case for case in WRONG if case[0] != "W001"])
def test_bootstrap_stops_on_a_wrong_setting(number: str, wrong: dict[str, Any]) -> None:
    with override_settings(**wrong), pytest.raises(CommandError, match=f"dashboard.{number}"):
        bootstrap()
    assert not Registry.objects.exists()


@pytest.mark.django_db
def test_bootstrap_makes_registry_and_administrator_once() -> None:
    with override_settings(SUPERUSER_USERNAME="root", SUPERUSER_PASSWORD="first password", REGISTRY_SIGN_IN=True):
        assert bootstrap() == ["registry: https://registry.example.com", "administrator root created"]
        assert bootstrap() == ["registry: https://registry.example.com"]
    row = Registry.objects.get()
    assert (row.slug, row.url, row.public_host) == ("main", "https://registry.example.com", "registry.example.com")
    assert (row.act_with, row.sign_in, row.from_environment) == ("default", True, True)
    user = User.objects.get()
    assert (user.username, user.is_superuser, user.check_password("first password")) == ("root", True, True)


@pytest.mark.django_db
def test_bootstrap_never_resets_a_password_nor_raises_a_rank() -> None:
    User.objects.create_user("Root", password="chosen meanwhile")
    with override_settings(SUPERUSER_USERNAME="root", SUPERUSER_PASSWORD="of the environment"):
        assert bootstrap() == ["registry: https://registry.example.com"]
    user = User.objects.get()
    assert (user.username, user.is_superuser, user.check_password("chosen meanwhile")) == ("Root", False, True)


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["SUPERUSER_USERNAME", "SUPERUSER_PASSWORD"])
def test_bootstrap_makes_no_administrator_of_half_a_name(missing: str) -> None:
    with override_settings(**{"SUPERUSER_USERNAME": "root", "SUPERUSER_PASSWORD": "secret", missing: ""}):
        bootstrap()
    assert not User.objects.exists()


@pytest.mark.django_db
def test_bootstrap_follows_the_environment() -> None:
    bootstrap()
    with override_settings(
        REGISTRY_URL="https://moved.example.com", REGISTRY_PUBLIC_HOST="pull.example.com", REGISTRY_ACT_WITH="own"
    ):
        bootstrap()
    row = Registry.objects.get()
    assert (row.url, row.public_host, row.act_with) == ("https://moved.example.com", "pull.example.com", "own")
    with override_settings(REGISTRY_SLUG="second"):
        bootstrap()
    assert dict(Registry.objects.values_list("slug", "from_environment")) == {"main": False, "second": True}
    with override_settings(REGISTRY_URL=""):
        assert bootstrap()[0] == "registry: none configured"
    assert not Registry.objects.filter(from_environment=True).exists(), "and no default credential belongs to it"


# The environment


def test_secret_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("TESTED_FILE", str(tmp_path / "key"))
    assert env.secret("TESTED") == "from a file"
    monkeypatch.setenv("TESTED", "besides")
    with pytest.raises(ImproperlyConfigured, match=r"Both TESTED and TESTED_FILE are set"):
        env.secret("TESTED")


def test_secret_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TESTED_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(ImproperlyConfigured, match=r"TESTED_FILE names .*nowhere, which cannot be read: No such file"):
        env.secret("TESTED")


@pytest.mark.parametrize(
    ("value", "read"), [("true", True), ("YES", True), ("1", True), ("off", False), ("", False), ("0", False)]
)
def test_switch(monkeypatch: pytest.MonkeyPatch, value: str, read: bool) -> None:
    monkeypatch.setenv("TESTED", value)
    assert env.switch("TESTED") is read


@pytest.mark.parametrize(
    ("reader", "value", "said"),
    [
        (env.switch, "maybe", "true or false"),
        (lambda name: env.number(name, 1), "many", "a whole number"),
        (lambda name: env.number(name, 1, minimum=1), "0", "at least 1"),
    ],
)
def test_nonsense_is_refused_with_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, reader: Any, value: str, said: str
) -> None:
    monkeypatch.setenv("TESTED", value)
    with pytest.raises(ImproperlyConfigured, match=f"TESTED must be .*{said}"):
        reader("TESTED")


def settings_of(*names: str, **variables: str) -> Any:
    """Settings as a fresh process reads them from these variables and nothing else."""
    clean = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "registryui.settings"}
    code = f"from django.conf import settings; print([getattr(settings, name) for name in {list(names)!r}])"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(
        command, env=clean | variables, check=True, capture_output=True, text=True, cwd=settings.BASE_DIR
    ).stdout
    return ast.literal_eval(shown)


def test_defaults_are_safe() -> None:
    names = ("DEBUG", "ALLOWED_HOSTS", "TRUSTED_PROXIES", "REGISTRY_SIGN_IN", "USE_X_FORWARDED_HOST")
    assert settings_of(*names) == [False, ["127.0.0.1", "localhost"], 0, False, False]


def test_https_address_makes_cookies_secure_and_the_path_a_prefix() -> None:
    names = ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "CSRF_TRUSTED_ORIGINS", "FORCE_SCRIPT_NAME", "STATIC_URL"]
    names += ["SECURE_PROXY_SSL_HEADER", "ALLOWED_HOSTS"]
    variables = {"DASHBOARD_BASE_URL": "https://example.com/strata/", "DASHBOARD_TRUSTED_PROXIES": "1"}
    assert settings_of(*names, **variables) == [
        True, True, ["https://example.com"], "/strata", "/strata/static/", ("HTTP_X_FORWARDED_PROTO", "https"),
        ["127.0.0.1", "example.com", "localhost"],
    ]  # fmt: skip


def test_a_malformed_address_is_left_to_the_check_that_names_it() -> None:
    assert settings_of("BASE_URL", DASHBOARD_BASE_URL="http://[::1") == ["http://[::1"]


def test_mail_server_is_an_address() -> None:
    names = ["EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "EMAIL_USE_TLS", "EMAIL_USE_SSL"]
    assert settings_of(*names) == ["localhost", 25, "", "", False, False]
    url = "smtp+tls://me%40example.com:a%2Fb@mail.example.com"
    assert settings_of(*names, EMAIL_URL=url) == ["mail.example.com", 587, "me@example.com", "a/b", True, False]
    assert settings_of(*names, EMAIL_URL="smtps://mail.example.com:4650")[1:] == [4650, "", "", False, True]
    assert settings_of("DEFAULT_FROM_EMAIL", DASHBOARD_BASE_URL="https://strata.example.com") == [
        "strata@strata.example.com"
    ]


@pytest.mark.parametrize("url", ["mail.example.com", "http://mail.example.com", "smtp://", "smtp://u:hidden@h:x"])
def test_nonsense_for_a_mail_server_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("EMAIL_URL", url)
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL must be like smtp://") as caught:
        env.mail_server("EMAIL_URL")
    assert "hidden" not in str(caught.value)
