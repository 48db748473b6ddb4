"""Connections that fail say why, over real sockets; what is trusted, and what is not sent through a proxy."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dashboard.registry import errors
from dashboard.registry.client import Credential, RegistryClient, Timeouts
from dashboard.registry.references import RepositoryName
from tests.support.tls import make_certificates

APP = RepositoryName("team/app")


@contextmanager
def server(answer: bytes | None, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port where each caller gets these bytes, or silence for None."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with connection if context is None else context.wrap_socket(connection, server_side=True) as talk:
                    talk.recv(65536)
                    if answer is None:
                        stop.wait(5)
                    else:
                        talk.sendall(answer)
                        talk.shutdown(socket.SHUT_WR)
                        talk.recv(65536)
            except OSError:
                continue
            finally:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def tags_of(url: str, ca_file: Path | None = None, **times: float) -> tuple[str, ...]:
    client = RegistryClient(url, ca_file=str(ca_file) if ca_file else None, timeouts=Timeouts(**times))
    try:
        return client.session(budget=5).tags(APP)
    finally:
        client.close()


OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"tags":["1"]}'


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(errors.ConnectionFailed) as caught:
        tags_of(f"http://127.0.0.1:{port}")
    assert (caught.value.reason, caught.value.registry) == ("connection refused", f"127.0.0.1:{port}")


def test_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(errors.ConnectionFailed) as caught:
        tags_of("http://no-such-host.invalid")
    assert caught.value.reason == "host name not found"


def test_silence_times_out() -> None:
    with server(None) as port, pytest.raises(errors.TimedOut) as caught:
        tags_of(f"http://127.0.0.1:{port}", read=0.2, slow_read=0.2)
    assert caught.value.reason == "no answer in time"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "connection broken off"),
        (b"220 mail.test ESMTP\r\n\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", "connection broken off"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "not an HTTP answer"),
    ],
)
def test_what_is_no_whole_answer(sent: bytes, reason: str) -> None:
    with server(sent) as port, pytest.raises(errors.ConnectionFailed) as caught:
        tags_of(f"http://127.0.0.1:{port}")
    assert caught.value.reason == reason


def _context(files: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)  # type: ignore[attr-defined]
    return context


def test_certificate_of_a_private_authority(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    with server(OK, _context(files)) as port:
        url = f"https://127.0.0.1:{port}"
        assert tags_of(url, files.authority) == ("1",)
        with pytest.raises(errors.TlsFailed) as caught:
            tags_of(url)
        assert caught.value.reason == "unable to get local issuer certificate"
        other = make_certificates(tmp_path / "other")
        with pytest.raises(errors.TlsFailed):
            tags_of(url, other.authority)


def test_certificate_for_another_name(tmp_path: Path) -> None:
    files = make_certificates(tmp_path, "registry.other.test")
    with server(OK, _context(files)) as port, pytest.raises(errors.TlsFailed) as caught:
        tags_of(f"https://127.0.0.1:{port}", files.authority)
    assert caught.value.reason.startswith("IP address mismatch")


def test_self_signed_certificate(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    with server(OK, _context(files)) as port:
        chain = tmp_path / "chain.pem"
        chain.write_bytes(files.certificate.read_bytes() + files.authority.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, files.key)
    with server(OK, context) as port, pytest.raises(errors.TlsFailed) as caught:
        tags_of(f"https://127.0.0.1:{port}")
    assert caught.value.reason == "self-signed certificate in certificate chain"


def test_https_to_a_port_without_tls() -> None:
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, pytest.raises(errors.TlsFailed) as caught:
        tags_of(f"https://127.0.0.1:{port}")
    assert caught.value.reason == "the server does not speak TLS"


def test_authority_file_that_is_none_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        RegistryClient("https://registry.test", ca_file=str(tmp_path / "empty.pem"))
    with pytest.raises(FileNotFoundError):
        RegistryClient("https://registry.test", ca_file=str(tmp_path / "missing.pem"))


def test_registry_on_this_machine_is_not_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with server(OK) as port:
        assert tags_of(f"http://127.0.0.1:{port}") == ("1",)


def test_addresses_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.NOTSET)
    with server(OK) as port:
        client = RegistryClient(f"http://127.0.0.1:{port}")
        client.session(Credential("alice", "hunter22")).tags(APP)
        client.close()
    assert str(port) not in caplog.text
    assert "hunter22" not in caplog.text
