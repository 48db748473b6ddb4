"""Addresses of the whole site: the dashboard, and Django's admin for users and groups below /settings/."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("settings/people/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("settings/people/", admin.site.urls),
    path("", include("dashboard.urls")),
]
