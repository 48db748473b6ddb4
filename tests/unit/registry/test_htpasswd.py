"""The password file: every line that is none of ours stays, nothing is ever written that the registry cannot read."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.registry import htpasswd
from dashboard.registry.htpasswd import PasswordFile, Refused, RegistryUser, parse

HASH = "$2y$04$" + "a" * 53
OTHER = "$2y$05$" + "b" * 53
FILE = f"# people\n\nada:{HASH}\n  # indented\nbob:{{SHA}}qUqP5cyxm6YcTAhz05Hph5gvu9M=\r\n\n"


def as_distribution(text: str) -> dict[str, str] | None:
    """Whom Distribution knows by this file (registry/auth/htpasswd/htpasswd.go); None where it reads nothing of it."""
    found: dict[str, str] = {}
    for raw in text.split("\n"):
        if len(raw.encode("utf-8", "surrogateescape")) >= 64 * 1024:
            return None
        line = raw.strip("\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
                         "\u2028\u2029\u202f\u205f\u3000")  # fmt: skip
        if not line or line[0] == "#":
            continue
        name, colon, hashed = line.partition(":")
        if not colon:
            return None
        found[name] = hashed
    return found


def code(change: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        change()
    return caught.value.code


def test_users_are_listed_with_their_state() -> None:
    text = f"{FILE}# disabled: carol:{HASH}\n#dave:{HASH}\n\x07bell:{HASH}\nada:{OTHER}\n:{HASH}"
    assert parse(text).users() == [
        RegistryUser("ada", True, True, True),
        RegistryUser("bob", True, False, True),
        RegistryUser("carol", False, True, True),
        RegistryUser("\x07bell", True, True, False),
        RegistryUser("", True, True, False),
    ]


@pytest.mark.parametrize(
    ("hashed", "taken"),
    [
        (HASH, True), ("$2a$10$" + "." * 53, True), ("$2b$31$" + "/" * 53, True), ("", False), ("plain", False),
        ("$apr1$x$y", False), ("$6$x$y", False), (HASH[:-1], False), (f"{HASH}:more", False),
        ("$2y$03$" + "a" * 53, False), ("$2y$32$" + "a" * 53, False),
    ],
)  # fmt: skip
def test_only_bcrypt_opens_the_door(hashed: str, taken: bool) -> None:
    assert [user.bcrypt for user in parse(f"ada:{hashed}").users()] == [taken]


def test_a_user_is_added_at_the_end() -> None:
    assert parse(FILE).add("zoë", OTHER).text == f"{FILE}zoë:{OTHER}\n"
    assert parse("ada:x").add("bob", OTHER).text == f"ada:x\nbob:{OTHER}\n"
    assert parse("").add("bob", OTHER).text == f"bob:{OTHER}\n"
    assert code(lambda: parse(FILE).add("ada", OTHER)) == htpasswd.EXISTS
    assert code(lambda: parse(f"# disabled: ada:{HASH}").add("ada", OTHER)) == htpasswd.EXISTS
    assert code(lambda: parse(FILE).add("eve:x", OTHER)) == htpasswd.NAME
    assert code(lambda: parse(FILE).add("eve", f"{OTHER}\neve")) == htpasswd.PASSWORD


def test_a_user_is_switched_off_and_on_with_the_same_password() -> None:
    off = parse(FILE).disable("ada")
    assert off.text == FILE.replace("ada:", "# disabled: ada:")
    assert as_distribution(off.text) == {"bob": "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="}
    assert off.disable("ada") == off
    assert off.enable("ada").text == FILE
    assert off.set_hash("ada", OTHER).user("ada") == RegistryUser("ada", False, True, True), "and stays off"


def test_what_counts_of_a_name_that_stands_twice_is_all_that_stays() -> None:
    twice = parse(f"ada:{OTHER}\n# disabled: ada:{OTHER}\nada:{HASH}\n# disabled: ada:{OTHER}\n")
    assert twice.disable("ada").text == f"# disabled: ada:{HASH}\n", "the first line must not come back to life"
    assert twice.remove("ada").users() == []
    assert twice.set_hash("ada", OTHER).text == f"ada:{OTHER}\n"


def test_what_is_not_there_cannot_be_changed() -> None:
    file = parse(FILE)
    for change in (file.disable, file.enable, file.remove, lambda name: file.set_hash(name, HASH)):
        assert code(functools.partial(change, "eve")) == htpasswd.UNKNOWN
        assert code(functools.partial(change, "# people")) == htpasswd.NAME


def test_a_line_without_a_colon_stops_every_change_until_it_is_a_comment() -> None:
    file = parse(f"ada:{HASH}\nnonsense \nbob:{HASH}")
    assert (file.malformed, as_distribution(file.text)) == ((2,), None)
    for change in (file.disable, file.enable, file.remove):
        assert code(functools.partial(change, "ada")) == htpasswd.NOT_READABLE
    assert code(lambda: file.add("eve", HASH)) == htpasswd.NOT_READABLE
    mended = file.mend()
    assert mended.text == f"ada:{HASH}\n# no user: nonsense\nbob:{HASH}"
    assert (mended.malformed, as_distribution(mended.text)) == ((), {"ada": HASH, "bob": HASH})


def test_a_line_that_is_too_long_for_the_registry_is_refused() -> None:
    assert code(lambda: parse("#" * 70_000)) == htpasswd.NOT_READABLE


@pytest.mark.parametrize("name", ["ada", "a b", "zoë", "系统", "a#b", "x" * 255, "robot$ci"])
def test_names(name: str) -> None:
    assert htpasswd.is_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "a:b", "#ada", " ada", "ada ", "ada\n", "a\0b", "\u3000ada", "a\u202eb", "\ufeffada", "\udc80", "x" * 256,
     "系" * 86],
)  # fmt: skip
def test_names_that_cannot_be(name: str) -> None:
    assert not htpasswd.is_name(name)


def test_passwords_are_bounded_by_what_bcrypt_takes() -> None:
    assert htpasswd.is_password("x" * 72)
    assert htpasswd.is_password("pass: # wörd ")
    for wrong in ("", "x" * 73, "ö" * 37, "a\0b", "a\nb", "\udc80"):
        assert not htpasswd.is_password(wrong)
        assert code(functools.partial(htpasswd.hash_password, wrong)) == htpasswd.PASSWORD


def test_a_hash_is_of_the_kind_and_cost_that_the_registry_wants() -> None:
    hashed = htpasswd.hash_password("x" * 72)
    assert hashed.startswith("$2y$10$")
    cheap = htpasswd.hash_password("secret", cost=4)
    assert bcrypt.checkpw(b"secret", cheap.encode())
    assert htpasswd.hash_password("secret", cost=4) != cheap, "a salt of its own"


def test_generated_passwords_are_readable_and_differ() -> None:
    made = {htpasswd.generate_password() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"[a-hj-km-np-z2-9]{5}(-[a-hj-km-np-z2-9]{5}){3}", password) for password in made)


NAMES = st.sampled_from(["ada", "bob", "zoë", "a b", "系统"])
LINES = st.one_of(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n"), max_size=30),
    st.sampled_from(["", "#", " # x", "\r", "no colon", f"ada:{HASH}", f"# disabled: bob:{HASH}", "# disabled: x", ":",
                     "\udcff:x", "\x85", "\x1c", "\x1cada:x", "ada:plain\r"]),
)  # fmt: skip
TEXTS = st.lists(LINES, max_size=12).map("\n".join)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "set_hash", "disable", "enable", "remove", "mend"]), st.one_of(NAMES, st.text())),
    max_size=6,
)


def changed(file: PasswordFile, change: str, name: str) -> PasswordFile:
    arguments = () if change == "mend" else (name, OTHER) if change in {"add", "set_hash"} else (name,)
    try:
        after: PasswordFile = getattr(file, change)(*arguments)
    except Refused:
        return file
    return after


@given(TEXTS)
def test_what_was_read_is_written_as_it_was(text: str) -> None:
    file = parse(text)
    assert file.text == text
    assert (not file.malformed) == (as_distribution(text) is not None)
    known = {user.name for user in file.users() if user.enabled}
    assert file.malformed or known == set(as_distribution(text) or ())


@given(TEXTS, CHANGES)
def test_changes_leave_every_other_line_and_write_nothing_malformed(text: str, changes: list[tuple[str, str]]) -> None:
    file = parse(text)
    for change, name in changes:
        before, file = file, changed(file, change, name)
        assert parse(file.text) == file, "what is written reads as what was meant"
        if file is before:
            continue
        known = as_distribution(file.text)
        assert known is not None, "every change leaves a file that the registry reads"
        kept = [line.raw for line in before.lines if line.name != name and not line.malformed]
        rest = [line.raw for line in file.lines if line.name != name and not line.raw.startswith(htpasswd.MALFORMED)]
        assert [raw for raw in rest if raw.strip()] == [
            raw for raw in kept if raw.strip() and not raw.startswith(htpasswd.MALFORMED)
        ]
        if change != "mend":
            others = {key: value for key, value in (as_distribution(before.text) or {}).items() if key != name}
            assert {key: value for key, value in known.items() if key != name} == others
            assert (name in known) == (
                change in {"add", "enable"} or (change == "set_hash" and name in (as_distribution(before.text) or {}))
            )
