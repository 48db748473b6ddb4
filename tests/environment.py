"""The environment that the settings read in tests; a plugin, so that it stands before Django is set up."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

STATE = Path(__file__).resolve().parent.parent / "var" / "tests"
"""Kept between runs, for the static files; nothing else of a test stays."""
STATE.mkdir(parents=True, exist_ok=True)
DATABASES = tempfile.mkdtemp(prefix="strata-tests-")
atexit.register(shutil.rmtree, DATABASES, ignore_errors=True)

for name in [n for n in os.environ if n.startswith(("DASHBOARD_", "DJANGO_SUPERUSER_", "REGISTRY_STORAGE"))]:
    del os.environ[name]

os.environ.update(
    SECRET_KEY="a key for tests alone, of sixty-four characters or a few more of them",
    DASHBOARD_CREDENTIAL_KEYS="dGVzdHMgYWxvbmUsIDMyIGJ5dGVzIGluIGJhc2U2NCE=",
    DASHBOARD_STATE_DIR=str(STATE),
    DASHBOARD_BASE_URL="http://testserver",
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL", f"sqlite:///{DATABASES}/tests.sqlite3"),
)
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in the same thread as the tests
