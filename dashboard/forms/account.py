"""Forms of one's own account: signing in, the password, registry credentials."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, SetPasswordForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.utils.translation import gettext_lazy as _

from dashboard.registry import docker_config


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


class ConfirmForm(forms.Form):
    """The password of whoever is signed in, once more."""

    password = forms.CharField(
        label=_("Password"),
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "current-password", "autofocus": True}),
    )


class PasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # generic for the type checker alone
    """The old password, and a new one twice, held against the password rules."""

    field_order = ("old_password", "new_password1", "new_password2")
    old_password = forms.CharField(
        label=_("Password until now"),
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "field"
        # Django's own help is a list in HTML; ours is a sentence.
        self.fields["new_password1"].help_text = " ".join(password_validators_help_texts())


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
        return without_colon(str(self.cleaned_data["username"]))


class DockerConfigForm(forms.Form):
    """Docker's config.json, as a file or pasted. What was given never comes back in the page."""

    file = forms.FileField(label=_("File"), required=False, max_length=255, allow_empty_file=True)
    text = forms.CharField(
        label=_("or its content"),
        required=False,
        max_length=docker_config.MAX_BYTES,
        widget=forms.Textarea(attrs={"class": "field mono", "rows": 6, "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean(self) -> dict[str, Any]:
        """The content of whichever was given."""
        data = super().clean() or self.cleaned_data
        given = data.get("file")
        if given:
            if given.size > docker_config.MAX_BYTES:
                raise forms.ValidationError({"file": _("The file is too large.")})
            try:
                data["text"] = given.read().decode()
            except UnicodeDecodeError:
                raise forms.ValidationError({"file": _("The file is no text.")}) from None
        if not data.get("text") and not self.errors:
            raise forms.ValidationError({"text": _("Choose the file, or paste its content.")})
        return data


def without_colon(name: str) -> str:
    """The name on a registry as it is: a colon would end it in HTTP Basic. Raises ValidationError."""
    if ":" in name:
        raise forms.ValidationError(_("A registry's user name has no colon."))
    return name
