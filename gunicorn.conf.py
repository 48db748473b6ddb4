"""How gunicorn serves the dashboard: `gunicorn -c gunicorn.conf.py registryui.wsgi`.

Threads, because a page waits for the registry. No preload, so that the HTTP clients and database connections are made
after the fork. WEB_CONCURRENCY sets the number of processes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

bind = f"127.0.0.1:{os.environ.get('PORT') or 8000}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or min(2, len(os.sched_getaffinity(0))))
threads = 8
timeout = 60
graceful_timeout = 8
keepalive = 5
preload_app = False

# A socket in the home directory that takes commands; nothing here uses it.
control_socket_disable = True

# In memory where that is: on a slow disk the heartbeat of a busy process would be taken for silence.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (gunicorn opens an unlinked file there)

# Scheme, host and client address behind a proxy are the dashboard's business (DASHBOARD_TRUSTED_PROXIES).
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}

# The path without its query, which may hold what somebody searched for.
accesslog = "-"
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms'
errorlog = "-"


def when_ready(server: Any) -> None:
    """Before the workers begin: no line tells what is secret in an address."""
    from registryui.logging import Masked  # the project is on the path only by now

    for handler in (*server.log.error_log.handlers, *server.log.access_log.handlers):
        handler.addFilter(Masked())
