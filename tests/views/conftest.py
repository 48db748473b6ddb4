"""Every page that a test renders is held to this: no template names a variable that is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.template import engines


class Undefined(str):
    """Stands where a template's variable is not there; remembers which."""

    __slots__ = ("names",)

    def __new__(cls) -> Undefined:
        text = super().__new__(cls, "%s")
        text.names = []
        return text

    def __mod__(self, name: object) -> str:
        self.names.append(str(name))
        return ""


@pytest.fixture(autouse=True)
def defined_variables(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test whose pages printed a variable that nobody defined.

    Django's own admin does so by design: tests of its pages carry @pytest.mark.usefixtures("admin_templates").
    """
    if "admin_templates" in request.fixturenames:
        yield
        return
    engine = engines["django"].engine
    guard, kept = Undefined(), engine.string_if_invalid
    engine.string_if_invalid = guard
    yield
    engine.string_if_invalid = kept
    assert not guard.names, f"templates printed undefined variables: {sorted(set(guard.names))}"


@pytest.fixture
def admin_templates() -> None:
    """Asked for by tests that render Django's own admin."""
