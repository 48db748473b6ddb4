"""What the index adds to an image's page: other names, who shares its layers, what it is built on; and to a blob's."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.models import Registry
from dashboard.services.index.update import read_again
from tests.fake_registry import FakeRegistry

from .image_page import APP, TAG, lading
from .page import Page, look, part, words

BASE = [b"base one", b"base two"]
DIFF_IDS = ["sha256:" + f"{n}" * 64 for n in range(1, 5)]


@pytest.fixture
def version() -> str:
    """One version: the index is the same whichever filled it."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


def with_layers(count: int) -> dict[str, object]:
    """A config of an image of so many layers; the first ones are those of every other."""
    return {"rootfs": {"type": "layers", "diff_ids": DIFF_IDS[:count]}}


@pytest.fixture
def family(fake: FakeRegistry, registry: Registry) -> FakeRegistry:
    """A base, an image on it, an image on that one, and one on the base's first layer alone."""
    fake.push_image("library/base", "12", "bookworm", layers=BASE, config=with_layers(2))
    fake.push_image("team/app", "1.0", layers=[*BASE, b"app"], config=with_layers(3))
    fake.push_image("team/app", "2.0", layers=[*BASE, b"app", b"more"], config=with_layers(4))
    fake.push_image("team/tiny", "1", layers=BASE[:1], config=with_layers(1))
    read_again(registry=registry, names=["library/base", "team/app", "team/tiny"])
    return fake


def also_in(page: Page) -> list[str]:
    """The last column of the layers."""
    return [words(cell) for cell in page.tree.css("td.shared-in")]


def test_aliases_come_from_the_index(browser: Client, fake: FakeRegistry, registry: Registry) -> None:
    fake.push_image("team/app", "1.0", "1", "latest")
    assert look(browser, TAG).text(".lede") == "Image for one platform", "nobody has read the repository yet"
    read_again(registry=registry, names=["team/app"])
    page = look(browser, TAG)
    assert page.text(".lede") == "Image for one platform; also latest , 1"
    assert page.links(".lede a") == {"latest": f"{APP}-/tags/latest/", "1": f"{APP}-/tags/1/"}


def test_each_layer_says_how_many_other_images_have_it(browser: Client, family: FakeRegistry) -> None:
    page = look(browser, f"{APP}-/tags/2.0/")
    assert also_in(page) == ["in 3 other images", "in 2 other images", "in 1 other image", "only in this image"]
    textures = page.attributes("svg.strata-core rect.seg", "class")
    assert textures == ["seg shared", "seg shared", "seg shared", "seg own"], "words and texture say the same"
    assert lading(page)["Only in this image"].startswith("4 B")


def test_an_image_is_built_on_the_tagged_image_with_the_longest_beginning(
    browser: Client, family: FakeRegistry
) -> None:
    assert lading(look(browser, f"{APP}-/tags/2.0/"))["Built on"].startswith("team/app:1.0 its 3 layers are")
    built = lading(look(browser, TAG))["Built on"]
    assert built.startswith("library/base:"), "not on the image that is only its first layer"
    assert built.endswith("its 2 layers are the beginning of this image; 1 more tag names it")
    assert "Built on" not in lading(look(browser, "/registries/default/team/tiny/-/tags/1/"))


def test_an_image_that_nobody_tags_is_no_base(browser: Client, fake: FakeRegistry, registry: Registry) -> None:
    fake.push_image("library/base", layers=BASE, config=with_layers(2))
    fake.push_image("library/base", "other", layers=[b"else"])
    fake.push_image("team/app", "1.0", layers=[*BASE, b"app"], config=with_layers(3))
    read_again(registry=registry, names=["library/base", "team/app"])
    assert "Built on" not in lading(look(browser, TAG))


def test_an_image_that_is_not_indexed_says_nothing_that_is_not_known(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", layers=BASE)
    page = look(browser, TAG)
    assert not also_in(page)
    assert set(page.attributes("svg.strata-core rect.seg", "class")) == {"seg layer"}
    assert "Only in this image" not in lading(page)


def test_signatures_are_present_and_not_verified(browser: Client, fake: FakeRegistry, registry: Registry) -> None:
    image = fake.push_image("team/app", "1.0")
    signature = f"{image.digest.replace(':', '-')}.sig"
    fake.push_artifact("team/app", signature)
    read_again(registry=registry, names=["team/app"])
    page = look(browser, TAG)
    assert lading(page)["Signed or attested"].endswith("present; Strata does not verify signatures")
    assert f"{APP}-/tags/{signature}/" in page.links("dl.lading a").values()


def test_a_blob_names_every_tag_that_has_it(browser: Client, family: FakeRegistry) -> None:
    digest = look(browser, TAG).attributes("td.f-digest [data-copy]", "data-copy")[0]
    page = look(browser, f"{APP}-/blobs/{digest}/")
    rows = {words(row.css_first("th")): words(part(row, "td")) for row in page.tree.css("tbody tr")}
    assert rows == {"library/base": "12 , bookworm", "team/app": "1.0 , 2.0", "team/tiny": "1"}
    assert "5 tags whose images have this blob" in page.text("main")


def test_costs_do_not_grow_with_who_shares(browser: Client, family: FakeRegistry, registry: Registry) -> None:
    counts = []
    for number in (1, 3, 50):
        for n in range(number):
            family.push_image(f"many/r{n}", "t", layers=[*BASE, b"%d" % n], config=with_layers(2))
        read_again(registry=registry, names=[f"many/r{n}" for n in range(number)])
        look(browser, TAG)
        with CaptureQueriesContext(connection) as queries:
            assert f"in {number + 2} other images" in also_in(look(browser, TAG))
        counts.append(len(queries))
    assert len(set(counts)) == 1, counts
