"""Names of people: what looks the same is the same person, whoever made the row."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from dashboard.models import User
from dashboard.models.people import canonical_name


@pytest.mark.parametrize(
    "name", ["admin", "Admin", "ADMIN", "ａｄｍｉｎ", "ＡＤＭＩＮ", " admin ", "admin\u3000", "ᴬdmin", "ⓐdmin"]
)
def test_names_that_a_person_takes_for_the_same(name: str) -> None:
    assert canonical_name(name) == "admin"


@pytest.mark.parametrize(("one", "other"), [("straße", "STRASSE"), ("ſtaff", "staff"), ("ﬁsh", "FISH"), ("ά", "Ά")])
def test_case_is_folded_not_lowered(one: str, other: str) -> None:
    assert canonical_name(one) == canonical_name(other)


@pytest.mark.parametrize("name", ["admin2", "a dmin", "amin", "administrator"])
def test_other_names_stay_apart(name: str) -> None:
    assert canonical_name(name) != "admin"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Admin", "ａｄｍｉｎ", "admin "])
def test_no_two_people_of_one_name(name: str) -> None:
    User.objects.create_user("admin")
    assert User.objects.like(name).get().username == "admin"
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username=name)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(username=name, canonical_username=canonical_name(name))])


@pytest.mark.django_db
def test_renamed_person_is_found_by_the_new_name() -> None:
    user = User.objects.create_user("ada")
    user.username = "Grace"
    user.save()
    assert User.objects.like("grace").get() == user
    assert not User.objects.like("ada").exists()


@pytest.mark.django_db
def test_renamed_with_update_fields_too() -> None:
    """As Django's admin and scripts may save."""
    user = User.objects.create_user("ada")
    user.username = "Grace"
    user.save(update_fields=["username"])
    assert User.objects.like("grace").get() == user
