"""The locked requirements fit together, and hold nothing of the machine that wrote them."""

from __future__ import annotations

import re

from tools import environment
from tools.common import ROOT


def test_what_is_locked_can_be_installed_together_and_names_no_place_of_one_machine() -> None:
    locked: dict[str, set[str]] = {}
    for name in environment.REQUIREMENTS["development"]:
        text = (ROOT / name).read_text()
        assert not re.search(r"^-", text, re.MULTILINE), f"{name} holds an option"
        for package, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE):
            locked.setdefault(package, set()).add(version)
    assert {package: versions for package, versions in locked.items() if len(versions) > 1} == {}
    assert {"django", "psycopg", "psycopg-binary", "pytest"} <= set(locked)
