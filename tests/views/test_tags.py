"""The tags of a repository: order, aliases, platforms, sizes, kinds, and what a page of them costs."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import Content, IndexedTag, Registry
from dashboard.registry import media_types
from tests.fake_registry import FakeRegistry
from tests.fake_registry.faults import TRUNCATED_JSON
from tests.support.images import Pushed, descriptor

from .page import Page, look, part, words

APP = "/registries/default/team/app/"


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "2.8"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


def names(page: Page) -> list[str]:
    return page.texts("table.tags th[scope=row] .name")


def cell(page: Page, tag: str, selector: str) -> str:
    return words(page.row(tag).css_first(selector))


# Order, filter, pages


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", ["latest", "1.10", "1.9", "1.9-rc2", "1.9-rc1", "1.9-beta1", "1.2-alpine", "1.2"]),
        ("?sort=-name", ["latest", "1.10", "1.9", "1.9-rc2", "1.9-rc1", "1.9-beta1", "1.2-alpine", "1.2"]),
        ("?sort=name", ["1.2", "1.2-alpine", "1.9-beta1", "1.9-rc1", "1.9-rc2", "1.9", "1.10", "latest"]),
        ("?sort=size", ["latest", "1.10", "1.9", "1.9-rc2", "1.9-rc1", "1.9-beta1", "1.2-alpine", "1.2"]),
    ],
)
def test_versions_stand_in_their_order_both_ways(
    browser: Client, fake: FakeRegistry, query: str, order: list[str]
) -> None:
    fake.push_image("team/app", "1.9", "1.10", "1.9-rc1", "1.9-rc2", "1.9-beta1", "latest", "1.2", "1.2-alpine")
    page = look(browser, APP + query)
    assert names(page) == order
    turned = "-name" if query == "?sort=name" else "name"
    assert page.attributes("thead th a", "href")[0] == f"{APP}?sort={turned}"
    assert page.title == "team/app · registry.test:5000 · Strata"


def test_filter_acts_on_every_tag_and_stands_in_the_links(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", *(f"build-{n}" for n in range(120)), "1.0")
    page = look(browser, f"{APP}?name=BUILD-")
    assert page.text("caption").startswith("Tags 1–50 of 120, ")
    assert page.links(".pagination a")["Next"] == f"{APP}?name=BUILD-&page=2"
    nothing = look(browser, f"{APP}?name=zzz")
    assert "No tag contains “zzz”" in nothing.text("#list")
    assert "121 tags were searched." in nothing.text("#list")
    assert nothing.links("#list a") == {"Clear the filter": APP}


@pytest.mark.parametrize(
    ("page", "first"), [("3", "t001"), ("99", "t001"), ("x", "t101"), ("-2", "t101"), ("٣", "t101")]
)
def test_pages_and_nonsense(browser: Client, fake: FakeRegistry, page: str, first: str) -> None:
    fake.push_image("team/app", *(f"t{n:03}" for n in range(1, 102)))
    shown = look(browser, f"{APP}?page={page}")
    assert names(shown)[0] == first
    assert shown.text(".pagination").startswith("101–101 of 101" if first == "t001" else "1–50 of 101")


def test_htmx_gets_the_list_alone(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", "2.0")
    part = look(browser, f"{APP}?name=2", HX_Request="true")
    assert part.html.lstrip().startswith('<div id="list"')
    assert names(part) == ["2.0"]
    assert part.title == "team/app · registry.test:5000 · Strata"
    assert part.node("#list").attributes["data-say"] == "1 tag"
    assert "HX-Request" in part.headers["Vary"]


def test_repository_without_a_tag_shows_how_to_push_one(browser: Client, fake: FakeRegistry) -> None:
    fake.empty_repository("team/app")
    page = look(browser, APP)
    assert page.text("h2") == "team/app holds no tag"
    assert page.text(".command code") == "docker push registry.test:5000/ team/app:latest"


def test_links_lead_to_image_namespace_and_repositories(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    page = look(browser, APP)
    assert page.links("table.tags th[scope=row] a") == {"1.0": f"{APP}-/tags/1.0/"}
    assert page.links("h1 a") == {
        "registry.test:5000": "/registries/default/", "team": "/registries/default/?namespace=team",
    }  # fmt: skip
    assert page.attributes("h1 [data-copy]", "data-copy") == ["registry.test:5000/team/app"]


def test_pull_commands_name_the_public_host(browser: Client, fake: FakeRegistry) -> None:
    Registry.objects.update(public_host="images.example.com")
    pushed = fake.push_image("team/app", "1.0")
    commands = {code.attributes["class"]: words(code) for code in look(browser, APP).tree.css(".pull code")}
    assert commands["docker-tag"] == "docker pull images.example.com/ team/app:1.0"
    assert commands["podman-digest"] == f"podman pull images.example.com/ team/app@{pushed.digest}"
    assert commands["skopeo-tag"] == "skopeo copy docker://images.example.com/ team/app:1.0 oci:app"
    assert commands["crane-tag"] == "crane pull images.example.com/ team/app:1.0 app.tar"
    assert len(commands) == 10


# Aliases and braces


def test_aliases_are_told_though_the_filter_leaves_them_out(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.14", "1.14.2", "latest", layers=[b"one"])
    fake.push_image("team/app", "1.13", layers=[b"two"])
    page = look(browser, f"{APP}?name=1.14.2")
    assert cell(page, "1.14.2", ".also") == "also latest , 1.14"
    assert page.links(".also a") == {"latest": f"{APP}-/tags/latest/", "1.14": f"{APP}-/tags/1.14/"}
    assert not look(browser, f"{APP}?name=1.13").has(".also")


def test_aliases_are_all_known_however_many_tags_there_are(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", *(f"t{n:02}" for n in range(60)))
    row = look(browser, APP).row("t59")
    assert words(row.css_first(".also")) == "also t58 , t57 , t56 , t55 +55"


def test_neighbours_of_one_digest_are_joined_and_the_repeated_digest_is_dimmed(
    browser: Client, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "4", "3", "2", layers=[b"one"])
    fake.push_image("team/app", "1", layers=[b"two"])
    page = look(browser, f"{APP}?sort=-name")
    classes = {name: (page.row(name).attributes.get("class") or "").split() for name in names(page)}
    assert classes == {"4": ["brace-start"], "3": ["brace-middle"], "2": ["brace-end"], "1": []}
    assert [page.row(name).css_first(".digest.dim") is not None for name in ("4", "3", "2", "1")] == [
        False,
        True,
        True,
        False,
    ]


# Platforms, sizes, kinds


def test_platforms_in_one_box_with_the_missing_one_struck_through(browser: Client, fake: FakeRegistry) -> None:
    amd = fake.push_image("team/app", layers=[b"amd" * 100])
    arm = fake.push_image("team/app", layers=[b"arm" * 200], platform="linux/arm64/v8")
    win = fake.push_image("team/app", layers=[b"win" * 300], platform="windows/amd64")
    fake.push_index("team/app", "1.0", children=[amd, arm, win])
    fake.remove_manifest("team/app", arm.digest)
    page = look(browser, APP)
    box = part(page.row("1.0"), ".plats")
    assert [(words(part), part.attributes.get("class") or "") for part in box.iter()] == [
        ("linux", "system"), ("amd64", ""), ("arm64 (not in the registry)", "missing"),
        ("windows", "system"), ("amd64", ""),
    ]  # fmt: skip
    assert cell(page, "1.0", ".partial") == "*"


def test_size_of_an_index_is_the_union_of_what_its_children_hold(browser: Client, fake: FakeRegistry) -> None:
    base, config = b"b" * 50_000, {"created": "2026-01-01T00:00:00Z"}
    one = fake.push_image("team/app", layers=[base, b"1" * 1000], config=config)
    two = fake.push_image("team/app", layers=[base, b"2" * 2000], platform="linux/arm64", config=config)
    fake.push_index("team/app", "all", children=[one, two])
    sizes: dict[str, int] = {d["digest"]: d["size"] for image in (one, two) for d in _contents(image)}
    assert len(sizes) == 5
    data = part(look(browser, APP).row("all"), ".f-size data")
    assert int(str(data.attributes["value"])) == sum(sizes.values())
    assert data.attributes["title"] == f"{sum(sizes.values()):,} bytes"


def _contents(image: Pushed) -> list[dict[str, Any]]:
    document = json.loads(image.raw)
    return [document["config"], *document["layers"]]


def test_kinds_that_are_no_image_say_what_they_are(browser: Client, fake: FakeRegistry) -> None:
    fake.push_artifact(
        "team/app",
        "chart",
        config=b'{"name": "app"}',
        config_type=media_types.HELM_CONFIG,
        layers=[(media_types.HELM_CHART, b"tgz")],
    )
    fake.push_image("team/app", "image")
    signature = f"sha256-{'0' * 64}.sig"
    fake.push_artifact(
        "team/app", signature, config_type=media_types.OCI_CONFIG, layers=[(media_types.COSIGN_SIGNATURE, b"{}")]
    )
    fake.push_artifact(
        "team/app", "sbom", artifact_type="application/spdx+json", layers=[("application/spdx+json", b"{}")]
    )
    fake.push_artifact("team/app", "thing", artifact_type="application/vnd.example.thing")
    fake.put_manifest("team/app", "old", media_types.DOCKER_SCHEMA1_SIGNED, b'{"schemaVersion": 1, "fsLayers": []}')  # type: ignore[arg-type]
    fake.put_manifest("team/app", "strange", "application/vnd.example.unheard-of+json", b'{"x": 1}')  # type: ignore[arg-type]
    page = look(browser, APP)
    short = f"sha256-{'0' * 12}….sig"
    kinds = {name: page.row(name).css_first(".f-plat") for name in names(page)}
    assert {name: words(found) for name, found in kinds.items()} == {
        "chart": "Helm chart", "image": "linux amd64", short: "Signature", "sbom": "SBOM", "thing": "Artifact",
        "old": "Legacy image", "strange": "Unknown",
    }  # fmt: skip
    assert page.attributes(f'a[href="{APP}-/tags/{signature}/"]', "title") == [signature]


@pytest.mark.parametrize(
    ("media_type", "raw"),
    [
        (
            media_types.DOCKER_SCHEMA1_SIGNED,
            b'{"schemaVersion": 1, "fsLayers": [{"blobSum": "sha256:%s"}]}' % (b"a" * 64),
        ),
        ("application/vnd.example.unheard-of+json", b"not even JSON"),
    ],
)
def test_size_that_nobody_told_is_a_dash_and_not_zero(
    browser: Client, fake: FakeRegistry, media_type: str, raw: bytes
) -> None:
    fake.put_manifest("team/app", "1.0", media_type, raw)  # type: ignore[arg-type]
    assert cell(look(browser, APP), "1.0", ".f-size") == "—"


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        ("2026-01-02T03:04:05Z", "2 January 2026, 03:04:05 UTC"),
        ("2026-01-02T03:04:05.123456789+02:00", "2 January 2026, 01:04:05 UTC"),
        ("1970-01-01T00:00:00Z", None),
        ("1980-01-01T00:00:01Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
    ],
)
def test_created_is_not_told_where_it_is_no_date(
    browser: Client, fake: FakeRegistry, created: str, shown: str | None
) -> None:
    fake.push_image("team/app", "1.0", config={"created": created})
    told = look(browser, APP).row("1.0").css_first(".f-made time")
    assert (told.attributes["title"] if told else None) == shown


def test_layers_are_drawn_to_one_scale_for_the_page(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "big", layers=[b"x" * 90_000])
    fake.push_image("team/app", "half", layers=[b"y" * 45_000])
    page = look(browser, APP)
    widths = {
        tag: [float(str(rect.attributes["width"]).rstrip("%")) for rect in page.row(tag).css("rect")]
        for tag in ("big", "half")
    }
    assert widths["big"][0] > 94
    assert abs(widths["half"][0] * 2 - widths["big"][0]) < 1


# What goes wrong with one row


def test_row_that_could_not_be_read_says_so_and_the_others_stand(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "good", layers=[b"good"])
    bad = fake.push_image("team/app", "bad", layers=[b"bad"])
    fake.fail_next(f"GET /v2/team/app/manifests/{bad.digest}", status=200, body=TRUNCATED_JSON, times=None)
    fake.fail_next("HEAD /v2/team/app/manifests/gone", status=503, times=None)
    fake.move_tag("team/app", "gone", "sha256:" + "0" * 64)
    page = look(browser, f"{APP}?sort=name")
    assert "sent content that is not what was asked for" in words(page.row("bad"))
    assert "registry.test:5000 has a fault." in words(page.row("gone"))
    assert [a.attributes["href"] for row in ("bad", "gone") for a in page.row(row).css(".row-problem a")] == [
        f"{APP}?sort=name"
    ] * 2
    assert cell(page, "good", ".f-plat") == "linux amd64"
    assert Content.objects.filter(digest=bad.digest).count() == 0, "what is not that digest is never kept as it"
    fake.heal()
    assert cell(look(browser, APP), "bad", ".f-plat") == "linux amd64", "Retry asks again"


# Layers, and what belongs to an image


def test_layers_are_solid_where_only_this_image_holds_them(browser: Client, fake: FakeRegistry) -> None:
    base = b"b" * 20_000
    fake.push_image("team/app", "1", layers=[base, b"1" * 9000])
    fake.push_image("other/app", "1", layers=[base, b"2" * 500])
    look(browser, "/registries/default/other/app/")
    row = look(browser, APP).row("1")
    assert [rect.attributes["class"] for rect in row.css("rect")] == ["seg shared", "seg own"]
    label = part(row, "svg.strata").attributes["aria-label"]
    assert label is not None
    assert label.replace("\xa0", " ") == "1: 8.8 KiB only in this image, 19.5 KiB also in other images"


def test_what_the_platforms_of_one_image_share_is_its_own(browser: Client, fake: FakeRegistry) -> None:
    base = b"b" * 20_000
    one = fake.push_image("team/app", layers=[base, b"1" * 9000])
    two = fake.push_image("team/app", layers=[base, b"2" * 9000], platform="linux/arm64")
    fake.push_index("team/app", "all", "alias", children=[one, two])
    row = look(browser, APP).row("all")
    assert [rect.attributes["class"] for rect in row.css("rect")] == ["seg own"] * 3


def test_what_belongs_to_an_image_is_folded_under_it(browser: Client, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0", "latest")
    hexes = image.digest.removeprefix("sha256:")
    gone = "0" * 64
    for name, kind in (
        (f"sha256-{hexes}.sig", "signature"),
        (f"sha256-{hexes}.sbom", "sbom"),
        (f"sha256-{gone}.sig", "x"),
    ):
        fake.push_artifact("team/app", name, artifact_type="application/vnd.example", config=kind.encode())
    page = look(browser, APP)
    assert sorted(names(page)) == ["1.0", "latest", f"sha256-{gone[:12]}….sig"]
    folded = part(page.row("1.0"), "details.attached")
    assert words(folded.css_first("summary")) == "SBOM, Signed"
    assert [words(item).split()[:2] for item in folded.css("li")] == [
        [f"sha256-{hexes[:12]}….sbom", "SBOM"], [f"sha256-{hexes[:12]}….sig", "Signature"],
    ]  # fmt: skip
    assert part(folded, "li a").attributes["href"] == f"{APP}-/tags/sha256-{hexes}.sbom/"
    assert page.texts("dl.figures dd")[0] == "5"
    assert "3 tags, " in page.text("caption")


# Freshness and files


def test_page_says_what_was_checked(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", *(f"t{n:02}" for n in range(60)))
    look(browser, APP)
    page = look(browser, APP)
    assert "The rows shown were checked just now" in page.text(".tab-actions")
    assert page.links(".tab-actions a") == {"Refresh": APP}
    fake.push_image("team/few", "1")
    look(browser, "/registries/default/team/few/")
    assert "Checked with the registry just now" in look(browser, "/registries/default/team/few/").text(".tab-actions")


def test_tag_pushed_since_is_there_at_the_next_view(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    look(browser, APP)
    fake.push_image("team/app", "2.0", layers=[b"new"])
    assert sorted(names(look(browser, APP))) == ["1.0", "2.0"]


def test_registry_that_does_not_answer_is_shown_as_it_was_read(
    browser: Client, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    fake.push_image("team/app", "1.0")
    index()
    look(browser, APP)
    fake.fail_next("/v2/team/app/", status=503, times=None)
    page = look(browser, APP)
    assert names(page) == ["1.0"]
    assert "Shown as it was read just now . registry.test:5000 has a fault." in page.text("main .notice.warning")
    assert "hecked" not in page.text(".tab-actions")


@pytest.mark.parametrize(
    ("key", "order"),
    [
        ("size", ["b", "c", "a"]), ("-size", ["a", "c", "b"]), ("created", ["c", "a", "b"]),
        ("-created", ["a", "c", "b"]), ("pulled", ["a", "b", "c"]), ("-pulled", ["a", "c", "b"]),
        ("pushed", ["b", "a", "c"]), ("-pushed", ["c", "a", "b"]),
    ],
)  # fmt: skip
def test_every_column_sorts_and_what_is_unknown_comes_last(
    browser: Client, fake: FakeRegistry, key: str, order: list[str]
) -> None:
    for n, name in enumerate("abc"):
        fake.push_image("team/app", name, layers=[name.encode() * (n + 1)])
    look(browser, APP)
    day = dt.timedelta(days=1)
    now = timezone.now()
    for name, size, created, pulled, since in (
        ("a", 1, now - 9 * day, now, now - 2 * day), ("b", 3, None, None, now), ("c", 2, now, None, now - 5 * day),
    ):  # fmt: skip
        IndexedTag.objects.filter(name=name).update(bytes=size, created_at=created, pulled_at=pulled, since=since)
    if key in ("pulled", "-pulled"):
        order = ["a", "c", "b"]
    assert names(look(browser, f"{APP}?sort={key}")) == order


def test_filter_by_platform(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "arm", platform="linux/arm64")
    fake.push_image("team/app", "amd")
    page = look(browser, APP)
    assert page.texts("#f-pl option") == ["Every platform", "linux/amd64", "linux/arm64"]
    assert names(look(browser, f"{APP}?platform=linux/arm64")) == ["arm"]


def test_whole_list_as_csv_and_json(browser: Client, fake: FakeRegistry) -> None:
    pushed = fake.push_image("team/app", *(f"t{n:02}" for n in range(60)), "other")
    page = look(browser, f"{APP}?name=t&sort=name")
    links = page.links(".exports a")
    rows = list(csv.DictReader(browser.get(links["CSV"]).getvalue().decode().splitlines()))
    assert [row["tag"] for row in rows] == ["other", *(f"t{n:02}" for n in range(60))]
    assert {(row["repository"], row["digest"], row["platforms"]) for row in rows} == {
        ("team/app", pushed.digest, "linux/amd64")
    }
    records = json.loads(browser.get(links["JSON"]).getvalue())
    assert [record["tag"] for record in records] == [row["tag"] for row in rows]
    assert records[0]["bytes"] == IndexedTag.objects.get(name="other").bytes


def test_delete_buttons_are_for_those_who_may(
    registry: Registry, as_jonas: Client, as_maria: Client, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "1.0")
    assert look(as_maria, APP).attributes(".f-act a", "href") == [f"{APP}-/delete/?tag=1.0"]
    assert "delete" not in look(as_jonas, APP).text("table.tags").lower()


# Cost


def test_page_costs_one_list_and_one_head_for_each_of_its_rows(
    browser: Client, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    for number in range(120):
        fake.push_image("team/app", f"t{number:03}", layers=[b"%d" % number], config={"author": str(number)})
    index()
    for page, heads in (("", 50), ("?page=2", 50), ("?page=3", 20)):
        fake.forget_requests()
        look(browser, APP + page)
        assert (fake.count("GET", "/tags/list"), fake.count("HEAD", "/manifests/")) == (1, heads)
        assert len(fake.requests) == 1 + heads + (page == ""), "and the greeting, once a minute"


def test_queries_do_not_grow_with_the_rows(browser: Client, fake: FakeRegistry) -> None:
    counts = []
    for count in (1, 3, 50):
        for number in range(count):
            fake.push_image("team/app", f"t{number}", layers=[b"%d" % number], config={"author": str(number)})
        look(browser, APP)
        look(browser, APP)
        with CaptureQueriesContext(connection) as queries:
            assert len(names(look(browser, APP))) == count
        counts.append(len(queries))
    assert counts[0] == counts[1] == counts[2]


def test_index_with_an_entry_of_no_platform(browser: Client, fake: FakeRegistry) -> None:
    child = fake.push_artifact("team/app", config_type="application/vnd.example")
    fake.push_index("team/app", "1.0", children=[descriptor(child.media_type, child.digest, len(child.raw))])
    assert cell(look(browser, APP), "1.0", ".f-plat") == "Index"
