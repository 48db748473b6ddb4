"""Small decisions of the image page: instructions, secrets, documents."""

from __future__ import annotations

import json

import pytest

from dashboard.contexts.configuration import variable_of
from dashboard.contexts.documents import pretty_json
from dashboard.contexts.layers import instruction_of
from dashboard.services.inspect import MAX_SHOWN_JSON


@pytest.mark.parametrize(
    ("created_by", "shown"),
    [
        ("/bin/sh -c #(nop) ADD file:abc in / ", ("ADD", "file:abc in /")),
        ("/bin/sh -c #(nop)  CMD [\"sh\"]", ("CMD", '["sh"]')),
        ("/bin/sh -c apt-get update", ("RUN", "apt-get update")),
        ("RUN /bin/sh -c apt-get update # buildkit", ("RUN", "apt-get update")),
        ("COPY . /src # buildkit", ("COPY", ". /src")),
        ("RUN |1 A=b /bin/sh -c make # buildkit", ("RUN", "|1 A=b /bin/sh -c make")),
        ("bazel build", ("", "bazel build")), ("", ("", "")), ("ENV", ("ENV", "")),
    ],
)  # fmt: skip
def test_instruction_as_it_was_written(created_by: str, shown: tuple[str, str]) -> None:
    assert instruction_of(created_by) == shown


@pytest.mark.parametrize(
    "name",
    [
        "PASSWORD",
        "DB_PASSWD",
        "GITHUB_TOKEN",
        "client_secret",
        "ApiKey",
        "API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "SENTRY_DSN",
        "PRIVATE_KEY",
        "passphrase",
    ],
)
def test_names_that_look_like_secrets(name: str) -> None:
    assert variable_of(f"{name}=x").secret is True
    assert variable_of(f"{name}=").secret is False, "nothing to hide"


@pytest.mark.parametrize("name", ["PATH", "LANG", "KEYCHAIN_DIR", "PASTA", "PORT"])
def test_names_that_do_not(name: str) -> None:
    assert variable_of(f"{name}=x").secret is False


def test_value_keeps_its_equals_signs() -> None:
    variable = variable_of("OPTS=-Da=b -Dc=d")
    assert (variable.name, variable.value) == ("OPTS", "-Da=b -Dc=d")


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b'"\\ud800"', b"NaN"])
def test_any_document_can_be_shown(raw: bytes) -> None:
    shown = pretty_json(raw)
    shown.encode()
    assert len(shown) <= MAX_SHOWN_JSON


def test_document_is_indented_and_keeps_its_letters() -> None:
    assert pretty_json('{"a": ["é", 1]}'.encode()) == json.dumps({"a": ["é", 1]}, indent=2, ensure_ascii=False)
