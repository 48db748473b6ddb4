"""Every page that a test renders is held to this: no template names a variable that is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.utils import timezone

from dashboard.models import Registry
from dashboard.services.index import refresh


class Undefined(str):
    """Stands where a template's variable is not there; remembers which."""

    __slots__ = ("names",)
    names: list[str]

    def __new__(cls) -> Undefined:
        """Django puts the variable's name in place of the %s."""
        text = super().__new__(cls, "%s")
        text.names = []
        return text

    def __mod__(self, name: object) -> str:
        """Called with the variable's name."""
        self.names.append(str(name))
        return ""


@pytest.fixture(autouse=True)
def defined_variables() -> Iterator[None]:
    """Fails a test whose pages printed a variable that nobody defined."""
    backend = engines["django"]
    assert isinstance(backend, DjangoTemplates)
    engine = backend.engine
    guard, kept = Undefined(), engine.string_if_invalid
    engine.string_if_invalid = guard
    yield
    engine.string_if_invalid = kept
    assert not guard.names, f"templates printed undefined variables: {sorted(set(guard.names))}"


@pytest.fixture
def index(registry: Registry) -> Callable[[], None]:
    """Brings the index up to date when it is called, as the worker does."""

    def brought_up_to_date() -> None:
        refresh.refresh(registry, since=timezone.now(), beat=lambda _done, _total: None)

    return brought_up_to_date
