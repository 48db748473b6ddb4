"""An OpenID Connect provider on loopback (oidc-provider-mock, a program of its own), and what a person does there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from .registries import free_port


@dataclass(frozen=True)
class OidcProvider:
    """Where it runs. Any client name and secret will do there."""

    url: str

    def knows(self, subject: str, **claims: Any) -> None:
        """Somebody with such claims."""
        httpx.put(f"{self.url}/users/{subject}", json=claims).raise_for_status()

    def signs_in(self, address: str, subject: str) -> str:
        """A person gives their name on the page at `address`; where the provider sends the browser then."""
        assert httpx.get(address).status_code == 200
        return self._sent(address, {"sub": subject})

    def denies(self, address: str) -> str:
        """A person does not want to; where the provider sends the browser then."""
        return self._sent(address, {"action": "deny"})

    def _sent(self, address: str, form: dict[str, str]) -> str:
        answer = httpx.post(address, data=form)
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])


@contextmanager
def running(*, token_seconds: int = 3600) -> Iterator[OidcProvider]:
    """The provider while it runs; its tokens last `token_seconds`."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce"]
    command += [f"--token-max-age={token_seconds}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        provider = OidcProvider(f"http://127.0.0.1:{port}")
        _wait(provider, process)
        yield provider
    finally:
        process.terminate()
        process.wait(10)


def _wait(provider: OidcProvider, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{provider.url}/.well-known/openid-configuration").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the provider did not start")
