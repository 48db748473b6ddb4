"""What the demo holds: repositories, tags and what happened to them, in the order in which it is pushed.

Every case that the pages know is here once, marked by a comment beginning with *Case*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from dashboard.registry.references import RepositoryName

from . import trees
from .images import (
    AMD64,
    ARM64,
    ARM_V7,
    WINDOWS,
    Base,
    Blob,
    Dialect,
    Document,
    Step,
    artifact,
    attestation,
    chart,
    image,
    index,
    referrers,
    signature,
)
from .layers import File, Packing, compress, layer, noise, tar
from .trees import KIB, MIB

NIGHTLIES = 200
LAST_NIGHT = date(2026, 11, 20)


@dataclass(frozen=True, slots=True)
class Push:
    """A document under some tags; without any it is pushed by digest and stays untagged."""

    repository: RepositoryName
    document: Document
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remove:
    """A manifest deleted by digest, and with it every tag that names it."""

    repository: RepositoryName
    document: Document


@dataclass(frozen=True, slots=True)
class Interrupt:
    """An upload that is begun and never finished."""

    repository: RepositoryName
    content: bytes


Event = Push | Remove | Interrupt


def events() -> Iterator[Event]:
    """The whole demo, made piece by piece so that little of it is in memory at a time."""
    debian = _debian_base()
    python = _python_base(debian)
    yield from _library(debian, python)
    yield from _app(python)
    yield from _web(debian)
    yield from _gateway()
    yield from _nightly()
    yield from _charts()
    yield from _data(python)
    yield from _sandbox(debian)


def _name(text: str) -> RepositoryName:
    return RepositoryName(text)


def _debian_base(build: str = "amd64 20261102", size: int = 3584 * KIB) -> Base:
    rootfs = layer(trees.system(f"bookworm {build}", "bookworm", "12", size))
    made_by = Step(
        "/bin/sh -c #(nop) ADD file:4b1be1de1a1e5aa608c688cad2824587d21f2b4f9ed6ae8b8ac2a4ee2c8ce1b6 in / ", rootfs
    )
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return Base((made_by,), {"Env": [path]}).then(Step('/bin/sh -c #(nop)  CMD ["bash"]'), Cmd=["bash"])


def _python_base(debian: Base, version: str = "3.11", size: int = 4 * MIB, build: str = "amd64") -> Base:
    certificates = layer(trees.certificates(f"{version} {build}", 900 * KIB))
    runtime = layer(trees.python(version, size))
    return debian.then(
        Step("ENV LANG=C.UTF-8"),
        Step(
            "RUN /bin/sh -c set -eux; apt-get update; apt-get install -y --no-install-recommends "
            "ca-certificates netbase tzdata; rm -rf /var/lib/apt/lists/* # buildkit",
            certificates,
        ),
        Step(f"ENV PYTHON_VERSION={version}.9"),
        Step(
            "RUN /bin/sh -c set -eux; ./configure --enable-optimizations --with-lto --enable-shared; "
            'make -j "$(nproc)"; make install # buildkit',
            runtime,
        ),
        Step('CMD ["python3"]'),
        Env=["LANG=C.UTF-8", f"PYTHON_VERSION={version}.9"],
        Cmd=["python3"],
    )


def _library(debian: Base, python: Base) -> Iterator[Event]:
    """Base images in Docker's own media types. *Case*: images that share base layers; one digest under many tags."""
    repository = _name("library/debian")
    before = image(_debian_base("amd64 20261005", 3 * MIB), created="2026-10-05T00:00:00Z", dialect=Dialect.DOCKER)
    yield Push(repository, before, ("bookworm-20261005",))
    now = image(debian, created="2026-11-02T00:00:00Z", dialect=Dialect.DOCKER)
    yield Push(repository, now, ("12", "12.8", "bookworm", "bookworm-20261102", "latest"))

    repository = _name("library/python")
    yield Push(repository, image(python, created="2026-11-04T18:22:31Z"), ("3.11", "3.11.9", "3.11-bookworm"))
    newer = _python_base(debian, "3.12", 3 * MIB)
    yield Push(repository, image(newer, created="2026-11-04T19:03:12Z"), ("3.12", "3.12.9", "3", "latest"))

    # Case: a Docker manifest list; images without history, from a builder that sets all times to 1970.
    repository = _name("library/busybox")
    platforms = []
    for platform in (AMD64, ARM64, ARM_V7):
        name = f"busybox {platform['architecture']}"
        rootfs = layer([File("bin/busybox", trees.program(name, 400 * KIB), 0o755), File("bin/sh", link_to="busybox")])
        base = Base((Step("", rootfs),), {"Cmd": ["sh"]})
        platforms.append(
            image(base, created="1970-01-01T00:00:00Z", platform=platform, dialect=Dialect.DOCKER, with_history=False)
        )
    yield Push(repository, index(platforms, dialect=Dialect.DOCKER), ("1.36", "1.36.1", "latest"))


def _app_image(python: Base, name: str, release: str, created: str, platform: dict[str, str], size: int) -> Document:
    """An application with everything a config can hold. *Case*: labels, environment with a secret, ports, volumes."""
    build = platform["architecture"]
    requirements = layer(trees.site_packages("usr/local/lib/python3.11/site-packages", f"app 1 {build}", size))
    code = layer(trees.application(name, release, 90 * KIB))
    is_worker = name == "worker"
    base = python.then(
        Step("ARG RELEASE"),
        Step(f"LABEL org.opencontainers.image.version={release}"),
        Step("ENV DJANGO_SETTINGS_MODULE=app.settings DATABASE_PASSWORD=change-me"),
        Step("WORKDIR /app", layer([File("app/.keep")])),
        Step("RUN /bin/sh -c pip install --no-cache-dir --require-hashes -r requirements.txt # buildkit", requirements),
        Step("COPY . /app # buildkit", code),
        Step("USER app"),
        *([] if is_worker else [Step("EXPOSE map[8000/tcp:{} 9090/tcp:{}]")]),
        Step("VOLUME [/data]"),
        Step(
            'HEALTHCHECK &{["CMD-SHELL" "curl -f http://localhost:8000/healthz || exit 1"] '
            '"30s" "5s" "0s" "0s" \'\\x03\'}'
        ),
        Step('ENTRYPOINT ["/app/entrypoint.sh"]'),
        Env=["DJANGO_SETTINGS_MODULE=app.settings", "DATABASE_PASSWORD=change-me", f"RELEASE={release}"],
        Labels={
            "org.opencontainers.image.title": f"Team {name}",
            "org.opencontainers.image.version": release,
            "org.opencontainers.image.source": "https://git.example.com/team/app",
            "org.opencontainers.image.revision": noise(f"revision {release}", 20).hex(),
            "org.opencontainers.image.licenses": "Apache-2.0",
            "com.example.team": "platform",
        },
        User="app",
        WorkingDir="/app",
        Entrypoint=["/app/entrypoint.sh"],
        Cmd=["celery", "worker"] if is_worker else ["gunicorn", "app.wsgi", "--bind", "0.0.0.0:8000"],
        Volumes={"/data": {}},
        Healthcheck={
            "Test": ["CMD-SHELL", "curl -f http://localhost:8000/healthz || exit 1"],
            "Interval": 30_000_000_000,
            "Timeout": 5_000_000_000,
            "Retries": 3,
        },
        StopSignal="SIGTERM",
        **({} if is_worker else {"ExposedPorts": {"8000/tcp": {}, "9090/tcp": {}}}),
    )
    return image(base, created=created, platform=platform, author="Platform team <platform@example.com>")


def _app(python: Base) -> Iterator[Event]:
    repository = _name("team/app")

    def build(release: str, created: str, platform: dict[str, str] = AMD64, base: Base = python) -> Document:
        return _app_image(base, "app", release, created, platform, 2 * MIB if platform is AMD64 else MIB)

    yield Push(repository, build("1.4.0", "2026-09-14T08:11:40Z"), ("1.4.0",))
    yield Push(repository, build("1.4.1", "2026-10-02T13:45:09Z"), ("1.4.1",))
    # Case: one digest under three tags.
    yield Push(repository, build("1.4.2", "2026-10-21T09:30:55Z"), ("1.4.2", "1.4", "stable"))
    # Case: untagged revisions; `main` moved twice.
    for night, build_time in enumerate(("2026-11-17T02:00:13Z", "2026-11-18T02:00:11Z", "2026-11-19T02:00:12Z")):
        yield Push(repository, build(f"2.1.0-dev.{night}", build_time), ("main",))

    # Case: an index of three platforms with attestation children.
    arm64 = _python_base(_debian_base("arm64 20261102", 2 * MIB), "3.11", 2 * MIB, "arm64")
    arm_v7 = _python_base(_debian_base("arm 20261102", MIB), "3.11", MIB, "arm")
    images = [
        build("2.0.0", "2026-11-12T10:00:00Z"),
        build("2.0.0", "2026-11-12T10:02:20Z", ARM64, arm64),
        build("2.0.0", "2026-11-12T10:05:41Z", ARM_V7, arm_v7),
    ]
    release = index(
        images,
        attestations=[(attestation(child, "team/app@2.0.0"), child) for child in images],
        annotations={"org.opencontainers.image.version": "2.0.0"},
    )
    yield Push(repository, release, ("2.0.0", "2.0", "latest"))

    # Case: an index whose arm64 child is gone.
    candidates = [
        build("2.1.0-rc.1", "2026-11-18T16:20:00Z"),
        build("2.1.0-rc.1", "2026-11-18T16:23:30Z", ARM64, arm64),
    ]
    yield Push(repository, index(candidates), ("2.1.0-rc.1",))
    yield Remove(repository, candidates[1])

    # Case: a cosign-style signature tag, and an SBOM attached by `subject` under the referrers tag.
    hexadecimal = release.digest.removeprefix("sha256:")
    signed = signature(release, "registry.example.com/team/app", noise("signature", 71))
    yield Push(repository, signed, (f"sha256-{hexadecimal}.sig",))
    kind = "application/vnd.cyclonedx+json"
    bill = Blob(kind, b'{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"django","version":"5.2"}]}')
    sbom = artifact(
        kind, [bill], subject=release, annotations={"org.opencontainers.image.created": "2026-11-12T10:09:00Z"}
    )
    yield Push(repository, referrers([(sbom, kind)]), (f"sha256-{hexadecimal}",))

    # Case: a repository inside another.
    repository = _name("team/app/worker")
    for version, created, tags in (
        ("1.4.1", "2026-10-02T13:50:41Z", ("1.4.1",)),
        ("1.4.2", "2026-10-21T09:35:20Z", ("1.4.2", "1.4", "latest")),
    ):
        yield Push(repository, _app_image(python, "worker", version, created, AMD64, 2 * MIB), tags)


def _web(debian: Base) -> Iterator[Event]:
    """*Case*: the same front end with gzip layers, and later with zstd layers."""
    repository = _name("team/web")
    server = debian.then(
        Step("ENV NGINX_VERSION=1.27.3"),
        Step(
            "RUN /bin/sh -c set -x && apt-get install --no-install-recommends -y nginx # buildkit",
            layer(trees.spread("usr/sbin", ("nginx", "nginx-debug"), 1536 * KIB, mode=0o755)),
        ),
        Step("EXPOSE map[80/tcp:{}]"),
        Step("STOPSIGNAL SIGQUIT"),
        Env=["NGINX_VERSION=1.27.3"],
        ExposedPorts={"80/tcp": {}},
        StopSignal="SIGQUIT",
        Cmd=["nginx", "-g", "daemon off;"],
    )
    for release, created, packing, tags in (
        ("3.1.0", "2026-08-19T07:12:00Z", Packing.GZIP, ("3.1.0", "3.1")),
        ("3.2.0", "2026-11-10T07:40:00Z", Packing.ZSTD, ("3.2.0", "3.2", "latest")),
    ):
        pages = layer(trees.site(release, MIB), packing)
        settings = layer([File("etc/nginx/conf.d/default.conf", b"server { listen 80; }\n")], packing)
        top = server.then(
            Step("COPY default.conf /etc/nginx/conf.d/ # buildkit", settings),
            Step("COPY /src/dist /usr/share/nginx/html # buildkit", pages),
            Labels={"org.opencontainers.image.title": "Web", "org.opencontainers.image.version": release},
        )
        yield Push(repository, image(top, created=created), tags)


def _gateway() -> Iterator[Event]:
    """*Case*: static programs for Linux and Windows; a Wasm artifact beside them."""
    repository = _name("infra/gateway")
    for release, created, tags in (
        ("5.0.0", "2026-10-07T11:00:00Z", ("5.0.0",)),
        ("5.0.1", "2026-11-16T11:00:00Z", ("5.0.1", "5.0", "5", "latest")),
    ):
        images = []
        for platform in (AMD64, ARM64, WINDOWS):
            is_windows = platform is WINDOWS
            path = "Files/gateway/gateway.exe" if is_windows else "usr/local/bin/gateway"
            content = trees.program(f"gateway {release} {sorted(platform.items())}", 700 * KIB)
            binary = layer([File(path, content, 0o755)])
            base = Base(
                (
                    Step("COPY gateway /usr/local/bin/ # buildkit", binary),
                    Step("EXPOSE map[8080/tcp:{}]"),
                    Step('ENTRYPOINT ["gateway"]'),
                ),
                {"Entrypoint": ["gateway"], "ExposedPorts": {"8080/tcp": {}}, "User": "65532"},
            )
            images.append(image(base, created=created, platform=platform))
        yield Push(repository, index(images), tags)

    config = Blob(
        "application/vnd.wasm.config.v0+json", b'{"architecture":"wasm","os":"wasip1","created":"2026-11-03T09:00:00Z"}'
    )
    module = Blob("application/wasm", b"\0asm\x01\0\0\0" + noise("rate limit", 180 * KIB))
    yield Push(_name("infra/gateway/filters"), artifact("", [module], config=config), ("rate-limit-0.3.0",))


def _nightly() -> Iterator[Event]:
    """*Case*: a repository with 200 tags; most nights nothing changed, so that neighbours share a digest."""
    repository = _name("infra/ci/nightly")
    tools = layer(trees.spread("opt/ci", ("runner", "cache.db", "rules.json"), 2 * MIB, mode=0o755))
    built: Document | None = None
    for ago in reversed(range(NIGHTLIES)):
        day = LAST_NIGHT - timedelta(days=ago)
        if built is None or day.weekday() in (0, 2, 4):
            size = 4 * KIB + noise(f"size {day}", 1)[0] * 192
            results = layer([File(f"opt/ci/results/{day}.bin", noise(f"night {day}", size))])
            base = Base(
                (
                    Step("COPY opt/ci /opt/ci # buildkit", tools),
                    Step(f"RUN /bin/sh -c ci build --date {day} # buildkit", results),
                    Step('CMD ["/opt/ci/runner"]'),
                ),
                {"Cmd": ["/opt/ci/runner"], "Labels": {"ci.date": str(day)}},
            )
            built = image(base, created=f"{day}T02:15:00Z")
        yield Push(repository, built, (f"{day:%Y.%m.%d}",))


def _charts() -> Iterator[Event]:
    """*Case*: a Helm chart; `+` in a version is written `_` in its tag."""
    repository = _name("charts/platform")
    for version, created, tag in (
        ("0.9.0", "2026-07-01T12:00:00Z", "0.9.0"),
        ("1.0.0", "2026-10-22T12:00:00Z", "1.0.0"),
        ("1.0.1+build.7", "2026-11-13T12:00:00Z", "1.0.1_build.7"),
    ):
        about = {
            "apiVersion": "v2",
            "name": "platform",
            "version": version,
            "appVersion": "2.0.0",
            "description": "App, worker and web of the platform team",
            "type": "application",
            "dependencies": [
                {"name": "postgresql", "version": "15.5.x", "repository": "oci://registry.example.com/charts"}
            ],
        }
        text = f"apiVersion: v2\nname: platform\nversion: {version}\nappVersion: 2.0.0\n".encode()
        archive = tar(
            [
                File("platform/Chart.yaml", text),
                File("platform/values.yaml", b"replicas: 2\nimage:\n  repository: team/app\n  tag: 2.0.0\n"),
                File("platform/templates/deployment.yaml", trees.source(f"chart {version}", 220)),
                File("platform/templates/service.yaml", trees.source(f"service {version}", 60)),
            ]
        )
        yield Push(repository, chart(about, compress(archive, Packing.GZIP), created=created), (tag,))


def _data(python: Base) -> Iterator[Event]:
    """*Case*: big layers that dominate the disk; old months left untagged; an upload that broke off."""
    repository = _name("data/etl")
    for month, created, tags in (
        ("2026-08", "2026-08-31T22:10:00Z", ("2026-08", "current")),
        ("2026-09", "2026-09-30T22:10:00Z", ("current",)),
        ("2026-10", "2026-10-31T22:10:00Z", ("2026-10", "current")),
    ):
        names = (f"embeddings-{month}.bin", "vocabulary.bin", "labels.bin")
        model = layer(trees.spread("opt/models", names, 5 * MIB))
        base = python.then(
            Step("COPY models /opt/models # buildkit", model),
            Step("VOLUME [/var/lib/etl]"),
            Step('CMD ["python3" "-m" "etl"]'),
            Volumes={"/var/lib/etl": {}},
            Cmd=["python3", "-m", "etl"],
            Labels={"org.opencontainers.image.title": "Monthly ETL", "com.example.month": month},
        )
        yield Push(repository, image(base, created=created), tags)
    yield Interrupt(repository, noise("broken off", 2 * MIB))


def _sandbox(debian: Base) -> Iterator[Event]:
    """*Case*: a repository emptied by a deletion; its own layer is an orphan until a garbage collection."""
    repository = _name("sandbox/old")
    trial = layer(trees.spread("opt/trial", ("trial.bin", "notes.txt"), 1536 * KIB))
    tried = image(debian.then(Step("COPY trial /opt/trial # buildkit", trial)), created="2026-06-03T15:00:00Z")
    yield Push(repository, tried, ("try-1", "try-2"))
    yield Remove(repository, tried)
