"""Forms: signing in, and a person's own registry credential."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _


class SignInForm(AuthenticationForm):
    """Name and password; the error does not tell which was wrong."""

    error_messages = {
        "invalid_login": _("That name and password do not belong together."),
        "inactive": _("That name and password do not belong together."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "field"


class CredentialForm(forms.Form):
    """Name and password on a registry."""

    username = forms.CharField(
        label=_("User name on the registry"),
        max_length=255,
        widget=forms.TextInput(
            attrs={"class": "field", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    password = forms.CharField(
        label=_("Password or token"),
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "new-password"}),
    )

    def clean_username(self) -> str:
        """A colon would end the name in HTTP Basic."""
        name = str(self.cleaned_data["username"])
        if ":" in name:
            raise forms.ValidationError(_("A registry's user name has no colon."))
        return name
