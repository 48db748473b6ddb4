"""Forms of registries as administrators set them: the row, thresholds, users of the password file, groups."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from dashboard.models import Registry, Thresholds, User
from dashboard.registry import htpasswd
from dashboard.services import registries

from .account import CredentialForm, without_colon

HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
MAX_REFRESH_MINUTES = 7 * 24 * 60
GIB = 1024**3
MAX_GIB = Decimal(1024**2)
MAX_SCAN_HOURS = 365 * 24


class RegistryForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker alone
    """A registry as an administrator describes it. Its slug is chosen once; the password is written, never read."""

    password = forms.CharField(
        label=_("Password or token"),
        required=False,
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "new-password"}),
    )

    class Meta:
        model = Registry
        fields = (
            "slug", "url", "public_host", "ca_file", "storage_root", "storage_url", "act_with", "sign_in",
            "refresh_minutes", "default_username", "allow_removal", "allow_upload_removal",
        )  # fmt: skip
        labels = {
            "slug": _("Name in addresses"),
            "url": _("Address"),
            "public_host": _("Host in pull commands"),
            "ca_file": _("Certificate authority"),
            "storage_root": _("Storage"),
            "storage_url": _("Bucket"),
            "act_with": _("People act with"),
            "sign_in": _("People may sign in here with their name and password on this registry"),
            "allow_removal": _("Administrators may remove the directories of emptied repositories from the storage"),
            "allow_upload_removal": _("Administrators may remove abandoned uploads from the storage"),
            "refresh_minutes": _("Minutes between refreshes"),
            "default_username": _("User name"),
        }
        help_texts = {
            "slug": _("Lower-case letters and digits, parts joined by single hyphens. It cannot be changed later."),
            "url": _(
                "Where the dashboard reaches it: what stands before /v2/, for example https://registry.example.com"
            ),
            "public_host": _("Where people reach it, with the port if there is one; the address' own if left empty."),
            "ca_file": _("A file here with the PEM certificates of a private authority, trusted besides the system's."),
            "storage_root": _("The directory that holds docker/registry/v2, as mounted here; read-only is enough."),
            "storage_url": _(
                "In place of a directory: s3://bucket/prefix, where the registry keeps its storage in S3. "
                "Credentials for it come only from the dashboard's environment or its machine's role."
            ),
            "sign_in": "",
            "allow_removal": "",
            "allow_upload_removal": "",
            "refresh_minutes": _("How often its index is brought up to date, besides its notifications."),
            "default_username": "",
        }
        error_messages = {"slug": {"unique": _("There is a registry of that name already.")}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["slug"]
        for name, field in self.fields.items():
            if name not in ("sign_in", "allow_removal", "allow_upload_removal"):
                field.widget.attrs["class"] = "field"
            if isinstance(field, forms.CharField):
                field.widget.attrs |= {"autocapitalize": "none", "spellcheck": "false"}
        self.fields["act_with"] = forms.ChoiceField(
            label=self.fields["act_with"].label, choices=Registry.ActWith.choices, widget=forms.RadioSelect
        )
        self.fields["public_host"].required = False
        self.fields["default_username"].widget.attrs["autocomplete"] = "off"
        self.fields["refresh_minutes"] = forms.IntegerField(
            label=self.fields["refresh_minutes"].label,
            help_text=self.fields["refresh_minutes"].help_text,
            min_value=1,
            max_value=MAX_REFRESH_MINUTES,
            widget=forms.NumberInput(attrs={"class": "field"}),
        )

    def clean_slug(self) -> str:
        """A word of our addresses; /settings/registries/new/ is a page."""
        slug = str(self.cleaned_data["slug"])
        if not registries.is_slug(slug):
            raise forms.ValidationError(_("Only lower-case letters and digits, parts joined by single hyphens."))
        if slug == "new":
            raise forms.ValidationError(_("“new” is an address of this page. Choose another name."))
        return slug

    def clean_url(self) -> str:
        """As the client takes it."""
        url = str(self.cleaned_data["url"]).rstrip("/")
        if not registries.is_address(url):
            raise forms.ValidationError(
                _("Not a plain http or https address. Leave out user name, password and what follows /v2/.")
            )
        return url

    def clean_public_host(self) -> str:
        """A host and perhaps its port: it becomes part of commands."""
        host = str(self.cleaned_data["public_host"])
        if host and not HOST.fullmatch(host):
            raise forms.ValidationError(_("A host name, and a port after a colon if there is one; nothing else."))
        return host

    def clean_ca_file(self) -> str:
        """A file that is here."""
        path = str(self.cleaned_data["ca_file"])
        if path and not registries.is_ca_file(path):
            raise forms.ValidationError(_("That file cannot be read here as PEM certificates."))
        return path

    def clean_storage_root(self) -> str:
        """A directory that is here."""
        path = str(self.cleaned_data["storage_root"])
        if path and not registries.is_storage_root(path):
            raise forms.ValidationError(_("There is no such directory here. Mount the registry's storage first."))
        return path

    def clean_storage_url(self) -> str:
        """An address of a bucket; credentials are not a part of it."""
        url = str(self.cleaned_data["storage_url"])
        if url and not registries.is_storage_url(url):
            raise forms.ValidationError(_("Not an address such as s3://bucket/prefix; no credential belongs into it."))
        return url

    def clean_default_username(self) -> str:
        """A colon would end the name in HTTP Basic."""
        return without_colon(str(self.cleaned_data["default_username"]))

    def clean(self) -> dict[str, Any]:
        """Name and password belong together; the host falls back to the address'."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("storage_root") and found.get("storage_url"):
            self.add_error("storage_url", _("The storage is either a directory or a bucket. Leave one of them empty."))
        if "url" in found and not found.get("public_host"):
            found["public_host"] = urlsplit(found["url"]).netloc
        name, password = found.get("default_username"), found.get("password")
        if name == "" and password:
            self.add_error("default_username", _("Whose password is it?"))
        if name and not password and name != self.initial.get("default_username", ""):
            self.add_error("password", _("Enter the password of that name."))
        return found


class ThresholdsForm(forms.Form):
    """When people are told about a registry's storage; bytes in GiB. What is left empty is not watched."""

    free_percent = forms.IntegerField(label=_("Free space below, in per cent of the disk"), min_value=1, max_value=99)
    free_gib = forms.DecimalField(label=_("Free space below, in GiB"))
    growth_gib = forms.DecimalField(
        label=_("Growth above, in GiB a day"), help_text=_("Over the last seven days; it takes two scans a day apart.")
    )
    orphans_percent = forms.IntegerField(
        label=_("Orphans above, in per cent of the data"),
        min_value=1,
        max_value=99,
        help_text=_("From 100 MiB on: fewer are no reason to collect."),
    )
    orphans_gib = forms.DecimalField(label=_("Orphans above, in GiB"))
    scan_hours = forms.IntegerField(label=_("Last scan older than, in hours"), min_value=1, max_value=MAX_SCAN_HOURS)

    def __init__(self, data: QueryDict | None, *, row: Thresholds) -> None:
        initial = {
            "free_percent": row.free_percent,
            "free_gib": _gib(row.free_bytes),
            "growth_gib": _gib(row.growth_bytes),
            "orphans_percent": row.orphans_percent,
            "orphans_gib": _gib(row.orphans_bytes),
            "scan_hours": row.scan_hours,
        }
        super().__init__(data, initial=initial)
        self._row = row
        for name, field in self.fields.items():
            field.required = False
            field.widget.attrs["class"] = "field"
            if name.endswith("_gib"):
                self.fields[name] = forms.DecimalField(
                    label=field.label,
                    help_text=field.help_text,
                    required=False,
                    min_value=Decimal("0.001"),
                    max_value=MAX_GIB,
                    decimal_places=3,
                    widget=forms.NumberInput(attrs={"class": "field", "step": "any"}),
                )

    def apply(self) -> Thresholds:
        """The row with what was entered; not saved."""
        found, row = self.cleaned_data, self._row
        row.free_percent, row.free_bytes = found["free_percent"], _bytes(found["free_gib"])
        row.growth_bytes = _bytes(found["growth_gib"])
        row.orphans_percent, row.orphans_bytes = found["orphans_percent"], _bytes(found["orphans_gib"])
        row.scan_hours = found["scan_hours"]
        return row


class RegistryUserForm(forms.Form):
    """A user of a registry's password file. Without a password one is generated."""

    username = forms.CharField(label=_("Name"), max_length=htpasswd.MAX_NAME_BYTES)
    password = forms.CharField(
        label=_("Password"),
        required=False,
        max_length=htpasswd.MAX_PASSWORD_BYTES,
        strip=False,
        help_text=_("At most 72 bytes: bcrypt takes no more. Left empty, one is generated and shown once."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs |= {"class": "field", "autocapitalize": "none", "spellcheck": "false"}
        self.fields["username"].widget.attrs["autocomplete"] = "off"

    def clean_username(self) -> str:
        """What can stand in the file."""
        return _registry_name(str(self.cleaned_data["username"]))

    def clean_password(self) -> str:
        """What bcrypt takes whole."""
        password = str(self.cleaned_data["password"])
        if password and not htpasswd.is_password(password):
            raise forms.ValidationError(
                _("At most 72 bytes, without control characters; letters with accents take several bytes.")
            )
        return password


class MapForm(forms.Form):
    """A registry user made for somebody who signs in here; by the same name where none is given."""

    person = forms.ModelChoiceField(label=_("Person"), queryset=User.objects.none(), to_field_name="pk")
    username = forms.CharField(
        label=_("Name on the registry"),
        required=False,
        max_length=htpasswd.MAX_NAME_BYTES,
        help_text=_("The person's name here, if left empty."),
    )

    def __init__(self, data: QueryDict | None = None, *, people: QuerySet[User]) -> None:
        super().__init__(data, auto_id="map_%s")
        self.fields["person"].queryset = people  # type: ignore[attr-defined]  # of this very field
        for field in self.fields.values():
            field.widget.attrs["class"] = "field"
        self.fields["username"].widget.attrs |= {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}

    def clean(self) -> dict[str, Any]:
        """The name falls back to the person's."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if "person" in found and "username" in found:
            try:
                found["username"] = _registry_name(found["username"] or found["person"].username)
            except forms.ValidationError as error:
                self.add_error("username", error)
        return found


class GroupCredentialForm(CredentialForm):
    """A group, and its name and password on a registry."""

    group = forms.ModelChoiceField(label=_("Group"), queryset=Group.objects.order_by("name"))

    field_order = ("group", "username", "password")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["group"].widget.attrs["class"] = "field"


def _registry_name(name: str) -> str:
    if not htpasswd.is_name(name):
        raise forms.ValidationError(
            _("A name without colon and control characters, that does not begin with #; at most 255 bytes.")
        )
    return name


def _gib(count: int | None) -> Decimal | None:
    return None if count is None else Decimal(f"{(Decimal(count) / GIB).quantize(Decimal('0.001')).normalize():f}")


def _bytes(gib: Decimal | None) -> int | None:
    return None if gib is None else int(gib * GIB)
