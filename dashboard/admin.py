"""Django's admin: people, groups and permissions, until the dashboard has pages of its own for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from dashboard.models import User

if TYPE_CHECKING:
    PeopleBase = UserAdmin[User]
else:
    PeopleBase = UserAdmin


@admin.register(User)
class PeopleAdmin(PeopleBase):
    """Users; where somebody came from is shown and cannot be changed."""

    readonly_fields = ("origin_registry",)
    fieldsets = (*(UserAdmin.fieldsets or ()), (None, {"fields": ("origin_registry",)}))
