"""The metrics, from our database alone: no registry is asked, and whichever process answers says the same.

Names and labels are listed in docs/metrics.md. Labels are bounded: slugs, which administrators choose, and words of
this program; never the name of a repository, a tag or a person.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from django.conf import settings
from django.db.models import Count, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from dashboard.models import Alert, DeletionItem, IndexedRepository, IndexState, Job, JobTally, Registry, RequestTally
from registryui import __version__

from . import figures
from .figures import Figures
from .request_tally import BOUNDS_MS

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_CLASSES = {
    "tagged_exclusive": "tagged_exclusive",
    "tagged_shared": "tagged_shared",
    "untagged": "untagged",
    "orphans": "orphan",
    "uploads": "upload",
}
"""Part of a report to the value of the label `class`."""


def is_set_up() -> bool:
    """Whether there is a token that metrics are given out for."""
    return bool(settings.METRICS_TOKEN)


def may_read(authorization: str) -> bool:
    """Whether an Authorization header carries the token of the metrics."""
    scheme, _, given = authorization.partition(" ")
    # Compared as hashes, so that not even its length shows. WSGI hands out a header's octets as Latin-1 characters.
    expected = hashlib.sha256(str(settings.METRICS_TOKEN).encode()).digest()
    is_right = hmac.compare_digest(hashlib.sha256(given.strip().encode("latin-1", "replace")).digest(), expected)
    return is_set_up() and is_right and scheme.lower() == "bearer"


def exposition() -> bytes:
    """All metrics in Prometheus' text format. However many registries there are, it takes as many queries."""
    collectors = CollectorRegistry(auto_describe=False)
    collectors.register(_Collector())
    return generate_latest(collectors)


class _Collector(Collector):
    """Reads everything anew at each look."""

    def collect(self) -> Iterator[Metric]:
        registries = list(Registry.objects.order_by("slug"))
        slugs = {registry.pk: registry.slug for registry in registries}
        yield _gauge("strata_build_info", "The version of the dashboard.", ["version"], [([__version__], 1)])
        yield from _storage(slugs, figures.latest(registries))
        yield from _index(slugs)
        yield from _requests(slugs)
        yield from _jobs(slugs)
        yield from _trash(slugs)
        yield _alerts(slugs)


_Samples = Sequence[tuple[Sequence[str], float]]


def _gauge(name: str, text: str, labels: Sequence[str], samples: _Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _storage(slugs: dict[int, str], found: dict[int, Figures]) -> Iterator[Metric]:
    scanned = [(slugs[pk], figure) for pk, figure in sorted(found.items(), key=lambda item: slugs[item[0]])]
    parts = ["registry", "class"]
    in_bytes: list[tuple[Sequence[str], float]] = []
    in_blobs: list[tuple[Sequence[str], float]] = []
    for slug, figure in scanned:
        for part, label in _CLASSES.items():
            in_bytes.append(([slug, label], figure.parts[part].bytes))
            in_blobs.append(([slug, label], figure.parts[part].count))
        if figure.other_bytes is not None:
            in_bytes += [([slug, "other"], figure.other_bytes), ([slug, "free"], figure.free_bytes)]
            if figure.metadata_bytes is not None:
                in_bytes.append(([slug, "metadata"], figure.metadata_bytes))
    yield _gauge(
        "strata_storage_bytes", "Bytes of the disk by what they are; together the whole disk.", parts, in_bytes
    )
    yield _gauge("strata_storage_blobs", "Blobs (of class upload: uploads) by what they are.", parts, in_blobs)

    def each(name: str, text: str, number: Callable[[Figures], float]) -> GaugeMetricFamily:
        return _gauge(name, text, ["registry"], [([slug], number(figure)) for slug, figure in scanned])

    on_disk = [(slug, figure) for slug, figure in scanned if figure.disk_bytes]

    yield each(
        "strata_storage_in_flight_bytes",
        "Bytes of young orphans, perhaps of a push that is running; contained in class orphan.",
        lambda figure: figure.in_flight.bytes,
    )
    yield each(
        "strata_storage_in_flight_blobs",
        "Young orphans; contained in class orphan.",
        lambda figure: figure.in_flight.count,
    )
    yield _gauge(
        "strata_storage_disk_bytes",
        "Size of the file system.",
        ["registry"],
        [([slug], figure.disk_bytes) for slug, figure in on_disk],
    )
    yield _gauge(
        "strata_storage_free_bytes",
        "Free space of the file system.",
        ["registry"],
        [([slug], figure.free_bytes) for slug, figure in on_disk],
    )
    yield each("strata_storage_repositories", "Repositories on the disk.", lambda figure: figure.repositories)
    yield each("strata_storage_tags", "Tags on the disk.", lambda figure: figure.tags)
    yield each(
        "strata_scan_timestamp_seconds",
        "When the last scan that ended well began, in seconds since the epoch.",
        lambda figure: figure.began_at.timestamp(),
    )
    now = timezone.now()
    yield each(
        "strata_scan_age_seconds",
        "How long ago the last scan that ended well began.",
        lambda figure: max(0.0, (now - figure.began_at).total_seconds()),
    )
    yield each("strata_scan_duration_seconds", "How long that scan took.", lambda figure: figure.seconds)
    yield each("strata_scan_problems", "Problems that that scan found.", lambda figure: figure.problems)


def _index(slugs: dict[int, str]) -> Iterator[Metric]:
    rows = IndexedRepository.objects.exclude(read_at=None).values("registry").annotate(n=Count("pk"), t=Sum("tags"))
    sums = {row["registry"]: (row["n"], row["t"]) for row in rows}
    of_each = [(slug, sums.get(pk, (0, 0))) for pk, slug in slugs.items()]
    yield _gauge(
        "strata_index_repositories", "Repositories in the index.", ["registry"], [([s], n) for s, (n, _) in of_each]
    )
    yield _gauge("strata_index_tags", "Tags in the index.", ["registry"], [([s], tags) for s, (_, tags) in of_each])
    states = IndexState.objects.exclude(refreshed_at=None).values_list("registry", "refreshed_at")
    yield _gauge(
        "strata_index_refresh_timestamp_seconds",
        "When the index was last brought up to date, in seconds since the epoch.",
        ["registry"],
        [([slugs[pk]], when.timestamp()) for pk, when in states if when is not None and pk in slugs],
    )


def _requests(slugs: dict[int, str]) -> Iterator[Metric]:
    outcomes: dict[tuple[str, str, str], int] = defaultdict(int)
    bars: dict[tuple[str, str], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for row in RequestTally.objects.order_by("registry", "operation", "outcome", "within_ms"):
        slug, operation = slugs.get(row.registry_id, ""), row.operation.replace(" ", "_")
        if slug:
            outcomes[slug, operation, row.outcome.replace("-", "_")] += row.requests
            bars[slug, operation][row.within_ms] += row.requests
            seconds[slug, operation] += row.seconds
    counter = CounterMetricFamily(
        "strata_registry_requests",
        "Requests to a registry by operation and outcome: ok, or the code of an error.",
        labels=["registry", "operation", "outcome"],
    )
    for values, number in outcomes.items():
        counter.add_metric(values, number)
    yield counter
    histogram = HistogramMetricFamily(
        "strata_registry_request_duration_seconds",
        "How long requests to a registry took, authorization and the one retry included.",
        labels=["registry", "operation"],
    )
    for place, counts in bars.items():
        buckets, total = [], 0
        for bound in BOUNDS_MS:
            total += counts.get(bound, 0)
            buckets.append((str(bound / 1000), float(total)))
        buckets.append(("+Inf", float(sum(counts.values()))))
        histogram.add_metric(place, buckets, seconds[place])
    yield histogram


def _jobs(slugs: dict[int, str]) -> Iterator[Metric]:
    ended: dict[tuple[int, str, str], int] = defaultdict(int)
    live: dict[tuple[int, str, str], int] = {}
    for pk, kind, state, number in Job.objects.values_list("registry", "kind", "state").annotate(n=Count("pk")):
        if state in Job.LIVE:
            live[pk, kind, state] = number
        else:
            ended[pk, kind, state] += number
    for pk, kind, state, number in JobTally.objects.values_list("registry", "kind", "state", "jobs"):
        ended[pk, kind, state] += number
    counter = CounterMetricFamily(
        "strata_jobs_ended",
        "Jobs that ended, by kind and how: done, failed or cancelled.",
        labels=["registry", "kind", "state"],
    )
    for (pk, kind, state), number in sorted(ended.items()):
        if pk in slugs:
            counter.add_metric([slugs[pk], kind, state], number)
    yield counter
    yield _gauge(
        "strata_jobs_live",
        "Jobs that wait or run.",
        ["registry", "kind", "state"],
        [
            ([slug, kind.value, state.value], live.get((pk, kind.value, state.value), 0))
            for pk, slug in slugs.items()
            for kind in Job.Kind
            for state in Job.LIVE
        ],
    )


def _trash(slugs: dict[int, str]) -> Iterator[Metric]:
    kept = DeletionItem.objects.filter(
        deletion__kept_until__gt=timezone.now(), state=DeletionItem.State.DONE, restored_at=None
    )
    rows = kept.values_list("deletion__registry").annotate(n=Count("pk"), size=Sum("frees"))
    sums = {pk: (number, size or 0) for pk, number, size in rows}
    of_each = [(slug, sums.get(pk, (0, 0))) for pk, slug in slugs.items()]
    yield _gauge(
        "strata_trash_items",
        "Deleted here and kept, so that it can be brought back.",
        ["registry"],
        [([slug], number) for slug, (number, _) in of_each],
    )
    yield _gauge(
        "strata_trash_bytes",
        "Bytes that a collection frees by what is in the trash, as far as they are known.",
        ["registry"],
        [([slug], size) for slug, (_, size) in of_each],
    )


def _alerts(slugs: dict[int, str]) -> Metric:
    open_ones = set(Alert.objects.filter(resolved_at=None).values_list("registry", "code"))
    return _gauge(
        "strata_alert",
        "1 while a threshold that is set in the dashboard is passed, else 0.",
        ["registry", "code"],
        [([slug, code.value], (pk, code.value) in open_ones) for pk, slug in slugs.items() for code in Alert.Code],
    )
