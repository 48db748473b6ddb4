"""Addresses of the whole site: the dashboard, and Django's admin for users and groups below /settings/."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from dashboard.views import accounts

urlpatterns = [
    path("settings/people/login/", accounts.admin_sign_in),
    path("settings/people/", admin.site.urls),
    path("", include("dashboard.urls")),
]
