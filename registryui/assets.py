"""Static files: the many source files of css/ and js/ joined into app.css and app.js, and the icon sprite.

Joined while `collectstatic` runs, before the names get their hashes; so pages load one stylesheet and one script, and
the sources stay one file per component. Icons come from the lucide package, drawn once into a sprite of symbols.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from lucide.templatetags.lucide import lucide
from whitenoise.storage import CompressedManifestStaticFilesStorage

BUNDLES = {"app.css": "css/*.css", "app.js": "js/*.js"}
"""Joined file, and its sources in the order of their names (01-reset.css, 02-tokens.css …)."""

ICONS = {
    "attested": "badge-check",
    "back": "chevron-left",
    "broken": "unlink",
    "check": "check",
    "clock": "clock",
    "copy": "copy",
    "down": "chevron-down",
    "error": "octagon-alert",
    "eye": "eye",
    "info": "info",
    "key": "key-round",
    "layers": "layers",
    "list": "list",
    "ok": "circle-check",
    "open": "square-arrow-out-up-right",
    "pull": "download",
    "push": "upload",
    "refresh": "refresh-cw",
    "right": "chevron-right",
    "scan": "scan-line",
    "search": "search",
    "shield": "shield",
    "sort": "chevrons-up-down",
    "sort-down": "arrow-down",
    "sort-up": "arrow-up",
    "tag": "tag",
    "trash": "trash-2",
    "tree": "list-tree",
    "undo": "undo-2",
    "user": "user-round",
    "warning": "triangle-alert",
    "wrench": "wrench",
}
"""Our name of each icon, and lucide's."""


class JoinedStaticFiles(CompressedManifestStaticFilesStorage):
    """whitenoise's hashed and compressed storage, with our joined files added before the hashing."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Adds the joined files to `paths`, drops their sources from it, and goes on as usual."""
        if not dry_run:
            for name, pattern in BUNDLES.items():
                folder = pattern.split("/")[0] + "/"
                sources = sorted(
                    path for path in paths if path.startswith(folder) and path.endswith(Path(pattern).suffix)
                )
                self._write(name, "\n".join(self._read(source) for source in sources))
                paths[name] = (self, name)
                for source in sources:
                    del paths[source]
            self._write("icons.svg", icon_sprite())
            paths["icons.svg"] = (self, "icons.svg")
        yield from super().post_process(paths, dry_run, **options)

    def _read(self, name: str) -> str:
        return Path(self.path(name)).read_text(encoding="utf-8")

    def _write(self, name: str, content: str) -> None:
        Path(self.path(name)).write_text(content, encoding="utf-8")


def icon_sprite() -> str:
    """An SVG of symbols, one per entry of `ICONS`; colour and stroke come from the page."""
    symbols = []
    for name, drawn_as in sorted(ICONS.items()):
        drawing = ET.fromstring(lucide(drawn_as))  # noqa: S314 (the package's own drawing, not input)
        shapes = "".join(ET.tostring(shape, encoding="unicode") for shape in drawing)
        symbols.append(f'<symbol id="{name}" viewBox="{drawing.get("viewBox")}">{shapes}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>'
