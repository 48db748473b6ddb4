"""Addresses of the dashboard's pages. `/-/` separates a repository's name from what follows (no component is `-`)."""

from __future__ import annotations

from django.urls import path, register_converter

from dashboard.views import (
    access,
    accounts,
    activity,
    blob,
    collection,
    confirm,
    deep_check,
    delete,
    docker_config,
    events,
    group_credentials,
    groups,
    health,
    history,
    home,
    image,
    jobs,
    metrics,
    oidc,
    people,
    point,
    protection,
    registry_users,
    repositories,
    repository_removal,
    repository_storage,
    search,
    sessions,
    settings_registries,
    status,
    storage,
    tags,
    thresholds,
    trash,
    untagged,
    uploads,
    ways_in,
)


class RepositoryConverter:
    """Any text up to the next `/-/`; the grammar is checked by the view, so that a malformed name gets our 404."""

    regex = r"(?:(?!-/).)+?"

    def to_python(self, value: str) -> str:
        """The text as it stands."""
        return value

    def to_url(self, value: str) -> str:
        """The text as it stands."""
        return value


class SegmentConverter(RepositoryConverter):
    """One segment of the path: a tag or a digest, checked by the view."""

    regex = r"[^/]+"


register_converter(RepositoryConverter, "repository")
register_converter(SegmentConverter, "segment")

REGISTRY = "registries/<slug:slug>/"
REPOSITORY = "registries/<slug:slug>/<repository:repository>/"

urlpatterns = [
    path("", home.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("events/<slug:slug>/", events.events, name="events"),
    path("accounts/login/", accounts.SignIn.as_view(), name="login"),
    path("accounts/logout/", accounts.SignOut.as_view(), name="logout"),
    path("accounts/oidc/", oidc.begin, name="oidc"),
    path("accounts/oidc/callback/", oidc.callback, name="oidc-callback"),
    path("search/", search.results, name="search"),
    path("account/", accounts.account, name="account"),
    path("account/confirm/", confirm.confirm, name="confirm"),
    path("account/password/", accounts.password, name="password"),
    path("account/theme/", accounts.theme, name="theme"),
    path("account/docker-config/", docker_config.take_over, name="docker-config"),
    path("account/credentials/<slug:slug>/", accounts.credential, name="credential"),
    path("settings/access/", access.rules, name="access-rules"),
    path("settings/access/check/", access.check, name="access-check"),
    path("account/sessions/", sessions.own, name="sessions"),
    path("set-up/", ways_in.first_start, name="set-up"),
    path("invitations/<str:token>/", ways_in.invitation, name="invitation"),
    path("settings/people/", people.listed, name="people"),
    path("settings/people/new/", people.new, name="new-person"),
    path("settings/people/<int:pk>/", people.person, name="person"),
    path("settings/people/<int:pk>/delete/", people.delete, name="delete-person"),
    path("settings/groups/", groups.listed, name="groups"),
    path("settings/groups/<int:pk>/", groups.group, name="group"),
    path("settings/groups/<int:pk>/delete/", groups.delete, name="delete-group"),
    path("settings/registries/", settings_registries.listed, name="registries"),
    path("settings/registries/new/", settings_registries.new, name="new-registry"),
    path("settings/registries/<slug:slug>/", settings_registries.edit, name="edit-registry"),
    path("settings/registries/<slug:slug>/remove/", settings_registries.remove, name="remove-registry"),
    path("settings/registries/<slug:slug>/groups/", group_credentials.group_credentials, name="group-credentials"),
    path("settings/registries/<slug:slug>/protection/", protection.rules, name="protection"),
    path("settings/registries/<slug:slug>/users/", registry_users.users, name="registry-users"),
    path("settings/registries/<slug:slug>/thresholds/", thresholds.thresholds, name="thresholds"),
    path(REGISTRY, repositories.repositories, name="repositories"),
    path(f"{REGISTRY}-/checking/", repositories.checking, name="repositories-checking"),
    path(f"{REGISTRY}-/open/", repositories.open_by_name, name="open-repository"),
    path(f"{REGISTRY}-/refresh/", repositories.refresh, name="refresh"),
    path(f"{REGISTRY}-/storage/", storage.storage, name="storage"),
    path(f"{REGISTRY}-/collection/", collection.collection, name="collection"),
    path(f"{REGISTRY}-/collection/run/", collection.collect, name="run-collection"),
    path(f"{REGISTRY}-/storage/scan/", storage.scan, name="scan"),
    path(f"{REGISTRY}-/storage/repositories/", storage.repositories, name="storage-repositories"),
    path(f"{REGISTRY}-/storage/layers/", storage.layers, name="storage-layers"),
    path(f"{REGISTRY}-/storage/problems/", storage.problems, name="storage-problems"),
    path(f"{REGISTRY}-/deep-check/", deep_check.page, name="deep-check"),
    path(f"{REGISTRY}-/deep-check/start/", deep_check.start, name="start-deep-check"),
    path(f"{REGISTRY}-/activity/", activity.of_registry, name="activity"),
    path(f"{REGISTRY}-/status/", status.status, name="status"),
    path(f"{REGISTRY}-/untagged/", untagged.of_registry, name="registry-untagged"),
    path(f"{REGISTRY}-/uploads/", uploads.uploads, name="uploads"),
    path(f"{REGISTRY}-/uploads/remove/", uploads.remove, name="remove-uploads"),
    path(f"{REGISTRY}-/trash/", trash.trash, name="trash"),
    path(f"{REGISTRY}-/trash/restore/", trash.restore_chosen, name="restore"),
    path(f"{REGISTRY}-/jobs/", jobs.jobs, name="jobs"),
    path(f"{REGISTRY}-/jobs/refresh/", jobs.refresh, name="refresh-now"),
    path(f"{REGISTRY}-/jobs/<uuid:job>/cancel/", jobs.cancel, name="cancel-job"),
    path(f"{REGISTRY}-/protected/<int:move>/dismiss/", protection.dismiss, name="dismiss-move"),
    path(f"{REPOSITORY}-/tags/<segment:tag>/", image.tag, name="tag"),
    path(f"{REPOSITORY}-/manifests/<segment:digest>/", image.manifest, name="manifest"),
    path(f"{REPOSITORY}-/blobs/<segment:digest>/", blob.blob, name="blob"),
    path(f"{REPOSITORY}-/delete/", delete.delete, name="delete"),
    path(f"{REPOSITORY}-/delete/choose/", delete.choose, name="choose"),
    path(f"{REPOSITORY}-/deletions/<uuid:deletion>/", delete.deleted, name="deletion"),
    path(f"{REPOSITORY}-/deletions/<uuid:deletion>/resume/", delete.resume, name="resume-deletion"),
    path(f"{REPOSITORY}-/deletions/<uuid:deletion>/abandon/", delete.abandon, name="abandon-deletion"),
    path(f"{REPOSITORY}-/protection/", protection.of_repository, name="repository-protection"),
    path(f"{REPOSITORY}-/point/", point.point, name="point"),
    path(f"{REPOSITORY}-/remove-directory/", repository_removal.remove, name="remove-directory"),
    path(f"{REPOSITORY}-/untagged/", untagged.of_repository, name="untagged"),
    path(f"{REPOSITORY}-/storage/", repository_storage.of_repository, name="repository-storage"),
    path(f"{REPOSITORY}-/history/", history.history, name="history"),
    path(f"{REPOSITORY}-/activity/", activity.of_repository, name="repository-activity"),
    path(REPOSITORY, tags.tags, name="tags"),
]
