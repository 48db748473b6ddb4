"""Every error has a sentence of its own for people, made of what happened, where and as whom."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

from dashboard.contexts import errors
from dashboard.contexts.errors import operation_name, problem_of, storage_problem
from dashboard.registry import errors as registry_errors
from dashboard.registry.errors import Diagnostic, Forbidden, RegistryError, Unauthorized
from dashboard.storage import errors as storage_errors


def below(kind: type[RegistryError]) -> list[type[RegistryError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))]


TREE = [kind for kind in below(RegistryError) if kind.__module__ == registry_errors.__name__]


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.code)
@pytest.mark.parametrize("user", ["", "robot"])
def test_every_error_is_a_whole_sentence(kind: type[RegistryError], user: str) -> None:
    error = kind("tags", "registry.test", user=user, status=499, reason="the reason", subject="team/app")
    problem = problem_of(error)
    assert "registry.test" in problem.title + problem.sentence
    assert "%(" not in problem.title + problem.sentence + problem.advice
    assert problem.sentence.endswith(".") or problem.sentence == "the reason"
    assert 400 <= problem.status <= 599
    assert problem.code == kind.code


def test_every_error_that_is_raised_has_words_of_its_own() -> None:
    """Only the two that gather others may fall back."""
    assert {kind.code for kind in TREE} - set(errors._REGISTRY) == {"unavailable"}
    assert set(errors._REGISTRY) <= {kind.code for kind in TREE}


def test_missing_parameters_leave_no_hole() -> None:
    problem = problem_of(registry_errors.ConnectionFailed("ping", "registry.test"))
    assert problem.sentence == "No connection could be made (—)."
    assert problem.user == ""


@pytest.mark.parametrize("kind", [Unauthorized, Forbidden])
def test_refusal_names_who_was_refused(kind: type[RegistryError]) -> None:
    assert "as robot" in problem_of(kind("tags", "registry.test", user="robot", status=401)).sentence


def test_nobody_is_told_that_nothing_was_sent() -> None:
    problem = problem_of(Unauthorized("tags", "registry.test", status=401))
    assert "none was sent" in problem.sentence
    assert problem.advice == "Set a credential for it."


@pytest.mark.parametrize(
    ("kind", "reason", "operation", "opens"),
    [
        (Unauthorized, "insufficient_scope", "repositories", True), (Forbidden, "", "repositories", True),
        (registry_errors.Unsupported, "", "repositories", True), (registry_errors.NotFound, "", "repositories", True),
        (Unauthorized, "credential-refused", "repositories", False),
        (Unauthorized, "insufficient_scope", "tags", False),
        (registry_errors.TimedOut, "", "repositories", False),
    ],
)  # fmt: skip
def test_list_kept_back_is_told_from_a_wrong_credential(
    kind: type[RegistryError], reason: str, operation: str, opens: bool
) -> None:
    problem = problem_of(kind(operation, "registry.test", user="cat", reason=reason))
    assert problem.opens_by_name is opens
    assert ("does not list its repositories" in problem.title) is opens


def test_every_operation_of_the_client_has_a_name() -> None:
    source = "".join(path.read_text() for path in (settings.BASE_DIR / "dashboard" / "registry").glob("*.py"))
    written = set(re.findall(r'(?:(?:Call|_call|_get_manifest)\(\s*|_begun\(exchange, )"([a-z ]+)"', source))
    assert {"tags", "repositories", "ping", "get manifest", "head manifest", "read blob", "begin upload"} <= written
    assert {operation for operation in written if operation_name(operation) == operation} == set()


def test_words_of_the_registry_stand_apart() -> None:
    said = (Diagnostic("DENIED", "<b>no</b>", "detail"),)
    problem = problem_of(Forbidden("tags", "registry.test", diagnostics=said))
    assert problem.diagnostics == said
    assert "<b>" not in problem.title + problem.sentence + problem.advice


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (storage_errors.RootMissing, "does not exist"),
        (storage_errors.RootUnreadable, "/data: Permission denied."),
        (storage_errors.NotAStorage, "docker/registry/v2"),
    ],
)
def test_storage_problems(kind: type[storage_errors.StorageError], part: str) -> None:
    error = kind("/data", "Permission denied")
    problem = problem_of(error)
    assert part in problem.sentence
    assert "/data" in problem.sentence
    assert problem.status == 503
    assert storage_problem(error.code, error.parameters) == problem


def test_percent_in_a_name_is_no_format() -> None:
    problem = problem_of(registry_errors.ManifestUnknown("tags", "registry.test", subject="100%(x)s"))
    assert "100%(x)s" in problem.sentence
