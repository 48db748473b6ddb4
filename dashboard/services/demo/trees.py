"""File trees inside the demo's layers: a small system, a language runtime, an application, a site.

Names are those one finds in such images; sizes are chosen, contents are noise or generated text. Nothing in them runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from .layers import File, noise, removed

KIB = 1024
MIB = 1024 * KIB

_WORDS = (
    "queue",
    "value",
    "result",
    "parse",
    "node",
    "request",
    "buffer",
    "index",
    "handler",
    "config",
    "layer",
    "state",
)


def program(name: str, size: int) -> bytes:
    """Bytes that look like a program: an ELF header, then noise."""
    header = b"\x7fELF\x02\x01\x01".ljust(64, b"\0")
    return header + noise(name, max(0, size - len(header)))


def source(name: str, lines: int) -> bytes:
    """Python-like text of so many lines; compresses as source does."""
    picks = noise(name, lines * 3)
    text = [f'"""{name}."""', ""]
    for line in range(lines):
        first, second, third = (_WORDS[byte % len(_WORDS)] for byte in picks[line * 3 : line * 3 + 3])
        indent = "    " * (line % 3)
        text.append(f"{indent}{first}_{line} = {second}({third!r}, {picks[line * 3]})")
    return "\n".join(text).encode() + b"\n"


def spread(prefix: str, names: tuple[str, ...], size: int, *, mode: int = 0o644) -> Iterator[File]:
    """Files under `prefix` of together `size` bytes, each about half as big as the one before it."""
    left = size
    for position, name in enumerate(names):
        part = left if position == len(names) - 1 else left // 2
        left -= part
        path = f"{prefix}/{name}"
        yield File(path, program(path, part) if mode & 0o111 or ".so" in name else noise(path, part), mode)


def system(name: str, codename: str, version: str, size: int) -> Iterator[File]:
    """A small Debian-like root file system; `name` tells one build or architecture from another."""
    yield File("etc/os-release", f'PRETTY_NAME="Debian GNU/Linux {version} ({codename})"\nID=debian\n'.encode())
    yield File("etc/debian_version", f"{version}.8\n".encode())
    yield File("etc/passwd", b"root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n")
    yield File(
        "etc/apt/sources.list.d/debian.sources", b"Types: deb\nSuites: " + codename.encode() + b"\nComponents: main\n"
    )
    yield File("bin", link_to="usr/bin")
    yield File("lib", link_to="usr/lib")
    yield File("usr/bin/sh", link_to="dash")
    yield File("usr/bin/passwd", program(f"{name} passwd", 60 * KIB), 0o4755)
    yield File("usr/share/common-licenses/GPL-3", source(f"{name} licence", 600))
    yield File("var/lib/dpkg/status", source(f"{name} packages", 3000))
    libraries = ("libc.so.6", "libcrypto.so.3", "libstdc++.so.6", "libssl.so.3", "libz.so.1")
    for file in spread("usr/lib/x86_64-linux-gnu", libraries, size * 6 // 10):
        yield File(file.path, program(f"{name} {file.path}", len(file.content)), 0o755)
    programs = ("perl5.36.0", "bash", "dpkg", "gpgv", "dash", "tar", "grep", "ls")
    for file in spread("usr/bin", programs, size * 3 // 10, mode=0o755):
        yield File(file.path, program(f"{name} {file.path}", len(file.content)), 0o755)


def certificates(name: str, size: int) -> Iterator[File]:
    """What `apt-get install ca-certificates tzdata` adds; it clears the package cache behind itself."""
    yield from spread("usr/share/zoneinfo", ("tzdata.zi", "Europe/Berlin", "America/New_York", "UTC"), size // 3)
    yield File("etc/ssl/certs/ca-certificates.crt", noise(f"{name} certificates", size - size // 3))
    yield removed("var/cache/apt/archives")


def python(version: str, size: int) -> Iterator[File]:
    """A Python under /usr/local."""
    yield from spread("usr/local/bin", (f"python{version}", "pip"), size // 3, mode=0o755)
    yield File("usr/local/bin/python3", link_to=f"python{version}")
    modules = ("argparse", "asyncio/events", "collections/__init__", "dataclasses", "email/message", "http/client")
    for module in modules:
        yield File(f"usr/local/lib/python{version}/{module}.py", source(f"{version} {module}", 900))
    extensions = ("_ssl.so", "_sqlite3.so", "_ctypes.so", "_lzma.so", "_bz2.so")
    yield from spread(f"usr/local/lib/python{version}/lib-dynload", extensions, size * 2 // 3)


def site_packages(prefix: str, name: str, size: int) -> Iterator[File]:
    """Installed libraries: some code, some compiled extensions."""
    for library in ("django", "httpx", "psycopg", "celery", "pydantic"):
        for module in ("__init__", "core", "client", "errors"):
            yield File(f"{prefix}/{library}/{module}.py", source(f"{name} {library} {module}", 400))
    extensions = ("pydantic_core/_core.so", "cryptography/_rust.so", "psycopg_binary/libpq.so", "uvloop/loop.so")
    for file in spread(prefix, extensions, size):
        yield File(file.path, program(f"{name} {file.path}", len(file.content)), 0o755)


def application(name: str, release: str, size: int) -> Iterator[File]:
    """A team's own code under /app."""
    yield File("app/VERSION", f"{release}\n".encode())
    yield File("app/pyproject.toml", f'[project]\nname = "{name}"\nversion = "{release}"\n'.encode())
    for module in ("__init__", "settings", "urls", "models", "views", "tasks", "serializers"):
        yield File(f"app/{name}/{module}.py", source(f"{name} {release} {module}", 350))
    yield File("app/entrypoint.sh", b'#!/bin/sh\nset -e\nexec "$@"\n', 0o755)
    yield from spread(f"app/{name}/static", (f"bundle.{release}.js", "app.css", "logo.svg"), size)


def site(release: str, size: int) -> Iterator[File]:
    """A built front end."""
    yield File("usr/share/nginx/html/index.html", f"<!doctype html><title>Web {release}</title>\n".encode())
    names = (f"assets/index-{release}.js", f"assets/vendor-{release}.js", "assets/index.css", "assets/inter.woff2")
    yield from spread("usr/share/nginx/html", names, size)
    yield File("usr/share/nginx/html/assets/app.js.map", source(f"web {release}", 9000))
