"""What made a layer: the step in the history of an image that has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dashboard.models import Content, ManifestBlob, Registry
from dashboard.registry.manifests import parse_config
from dashboard.services.access import Visible
from dashboard.services.index.uses import below


def made_by(registry: Registry, visible: Visible, digests: Iterable[str]) -> Mapping[str, str]:
    """Of each blob that is a layer of an image somebody may see: the `created_by` of its step. Two queries."""
    rows = ManifestBlob.objects.filter(
        below(visible.filter, "manifest__holders__repository"),
        blob__digest__in=list(digests),
        is_layer=True,
        manifest__holders__repository__registry=registry,
    ).exclude(manifest__config_digest="")
    fields = ("blob__digest", "position", "manifest__config_digest")
    where: dict[str, tuple[int, str]] = {}
    for digest, position, config in rows.order_by("manifest").values_list(*fields).distinct()[:2000]:
        where.setdefault(digest, (position, config))
    wanted = {config for _, config in where.values()}
    configs = {row.digest: parse_config(bytes(row.raw)) for row in Content.objects.filter(digest__in=wanted)}
    found: dict[str, str] = {}
    for digest, (position, config) in where.items():
        if config in configs:
            makers = [entry for entry in configs[config].history if not entry.empty_layer]
            if position <= len(makers) == len(configs[config].diff_ids):
                found[digest] = makers[position - 1].created_by
    return found
