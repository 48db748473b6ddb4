"""A registry in memory, for tests of pages: answers as Distribution 2.8 or 3.1 does, and can be made to fail.

It passes the same contract suite as the real ones, so it cannot lie. A request it does not know is answered 500, kept
in `unknown`, and fails the test when the `with` block ends.

    with FakeRegistry("2.8") as fake:
        fake.push_image("team/app", "1.0", "latest", layers=[b"base", b"app"])
        session = fake.client().session()
"""

from __future__ import annotations

from .faults import Fault
from .registry import FakeRegistry, Recorded

__all__ = ["FakeRegistry", "Fault", "Recorded"]
