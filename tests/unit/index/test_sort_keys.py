"""Sort keys are bytes that every database orders as `natural_key` orders names."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from dashboard.services.index.sort_keys import MAX_NAME_KEY, MAX_TAG_KEY, name_key, tree_key
from dashboard.services.ordering import natural_key

TAGS = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,40}", fullmatch=True) | st.from_regex(
    r"v?[0-9]{1,3}(\.[0-9]{1,3}){0,2}([-.]?(alpha|beta|a|b|rc|pre|dev)[0-9]{0,2})?", fullmatch=True
)
REPOSITORIES = st.from_regex(r"[a-z0-9]{1,4}([-._/][a-z0-9]{1,3}){0,3}", fullmatch=True)


@given(TAGS, TAGS)
@example("1.10", "1.9")
@example("1.2-rc1", "1.2")
@example("1.2-rc.2", "1.2-rc.10")
@example("a", "a-b")
@example("1" * 29, "1" * 30)
@example("2" * 40, "1" * 41)
@example("v01", "v1alpha")
@example("2" * 40 + "a", "1" * 41 + "b")
def test_keys_order_tags_as_people_do(one: str, other: str) -> None:
    assert (name_key(one) < name_key(other)) == (natural_key(one) < natural_key(other))
    assert (name_key(one) == name_key(other)) == (one == other)


@given(TAGS, st.text("abcZ019._-", min_size=1, max_size=5))
def test_what_a_name_begins_comes_after_it_unless_it_is_a_pre_release(name: str, more: str) -> None:
    """Prefix-safe: the end of a name sorts below every character, or above only where `natural_key` says so."""
    assert (name_key(name) < name_key(name + more)) == (natural_key(name) < natural_key(name + more))


@given(REPOSITORIES, REPOSITORIES)
def test_keys_order_repositories_as_people_do(one: str, other: str) -> None:
    assert (name_key(one) < name_key(other)) == (natural_key(one) < natural_key(other))


@given(st.lists(REPOSITORIES, unique=True, max_size=12))
def test_repositories_of_a_namespace_stand_together(names: list[str]) -> None:
    namespaces = [name.rpartition("/")[0] for name in sorted(names, key=tree_key)]
    runs = [space for n, space in enumerate(namespaces) if n == 0 or namespaces[n - 1] != space]
    assert len(runs) == len(set(runs))


@given(st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{127}", fullmatch=True))
@example("1a" * 64)
@example("_1" * 64)
def test_the_longest_tags_have_keys_that_fit_and_differ(tag: str) -> None:
    assert len(name_key(tag)) <= MAX_TAG_KEY
    assert len(name_key(tag + "/" + tag[:126])) <= MAX_NAME_KEY
    assert name_key(tag) != name_key(tag[:-1])
