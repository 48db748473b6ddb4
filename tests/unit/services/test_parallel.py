"""Asking side by side: every key gets its answer or its error, at most so many at once."""

from __future__ import annotations

import threading
import time

import pytest

from dashboard.registry.errors import TimedOut
from dashboard.services.parallel import CONCURRENCY, ahead, each


def test_each_key_once_in_order() -> None:
    asked: list[int] = []
    answers = each([3, 1, 3, 2], lambda key: asked.append(key) or key * 10)  # type: ignore[func-returns-value]
    assert list(answers.items()) == [(3, 30), (1, 10), (2, 20)]
    assert sorted(asked) == [1, 2, 3]


def test_error_of_one_is_an_answer_among_the_others() -> None:
    def ask(key: str) -> str:
        if key == "slow":
            raise TimedOut("tags", "registry.test")
        return key

    answers = each(["a", "slow"], ask)
    assert answers["a"] == "a"
    assert isinstance(answers["slow"], TimedOut)


def test_fault_of_our_own_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        each([0], lambda key: 1 // key)


def test_no_more_at_once_than_said() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def ask(_key: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    each(range(40), ask)
    assert 1 < most <= CONCURRENCY


def test_nothing_to_ask() -> None:
    assert each([], lambda key: key) == {}


def test_the_next_is_asked_while_this_one_is_worked_on() -> None:
    asked = [threading.Event() for _ in range(3)]

    def ask(item: int) -> int:
        asked[item].set()
        return item * 10

    for item, answer in ahead([0, 1, 2], ask):
        assert answer == item * 10
        if item < 2:
            assert asked[item + 1].wait(5)


def test_what_asking_ahead_raises_is_raised_in_its_turn() -> None:
    def ask(item: int) -> int:
        if item == 1:
            raise TimedOut("tags", "registry.test")
        return item

    found = ahead([0, 1, 2], ask)
    assert next(found) == (0, 0)
    with pytest.raises(TimedOut):
        next(found)
