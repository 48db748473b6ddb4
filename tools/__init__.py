"""Set-up and the supervisor behind the Makefile's commands.

`environment` and `packages` run before anything is installed and use the standard library only.
"""

from __future__ import annotations
