"""Forms about people: new ones, what is changed of them, their passwords, groups."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from dashboard.models import Registry, User

MAX_NAME, MAX_PASSWORD, MAX_CODE = 150, 4096, 100
_AS_IT_STANDS = {"autocapitalize": "none", "spellcheck": "false"}


def _name_field() -> forms.CharField:
    return forms.CharField(
        label=_("User name"),
        max_length=MAX_NAME,
        validators=[User.username_validator],
        help_text=_("Letters, digits and @ . + - _ only. It cannot be changed later."),
        widget=forms.TextInput(attrs={"class": "field", "autocomplete": "off", **_AS_IT_STANDS}),
    )


def _free_name(name: str) -> str:
    name = User.normalize_username(name)
    if User.objects.like(name).exists():
        raise ValidationError(_("There is somebody of that name, or of one that reads the same."))
    return name


class PersonForm(forms.Form):
    """What may be changed of somebody: full name, groups, whether he administers everything."""

    full_name = forms.CharField(
        label=_("Full name"),
        max_length=MAX_NAME,
        required=False,
        widget=forms.TextInput(attrs={"class": "field", "autocomplete": "off"}),
    )
    groups = forms.ModelMultipleChoiceField(
        label=_("Groups"),
        queryset=Group.objects.order_by("name"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    administers = forms.BooleanField(label=_("Administrator of everything"), required=False)


class NewPersonForm(PersonForm):
    """Somebody who is invited."""

    username = _name_field()
    registry_user = forms.BooleanField(label=_("Also make a user of the registry, of the same name"), required=False)
    administers = None  # type: ignore[assignment]  # how a form leaves a field of its base out
    field_order = ("username", "full_name", "groups", "registry_user")

    def __init__(self, data: Any = None, *, registry: Registry | None) -> None:
        """`registry`: the one whose users are made here; None for none."""
        super().__init__(data, initial={"registry_user": registry and registry.act_with == Registry.ActWith.OWN})
        if registry is None:
            del self.fields["registry_user"]

    def clean_username(self) -> str:
        """Nobody else's, also to the eye."""
        return _free_name(str(self.cleaned_data["username"]))


class NewPasswordForm(forms.Form):
    """A new password, twice, held against the rules for passwords."""

    password = forms.CharField(
        label=_("Password"),
        max_length=MAX_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=_("Password again"),
        max_length=MAX_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "new-password"}),
    )

    def __init__(self, data: Any, *, user: User | None = None) -> None:
        super().__init__(data)
        self._user = user

    def clean(self) -> dict[str, Any]:
        """The same twice, and no password that is easily guessed."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        password, again = found.get("password"), found.get("again")
        if password and again and password != again:
            self.add_error("again", _("The two are not the same."))
        elif password:
            try:
                validate_password(password, self.whose(found))
            except ValidationError as error:
                self.add_error("password", error)
        return found

    def whose(self, _found: dict[str, Any]) -> User | None:
        """Whose password it becomes: it must not be like his name."""
        return self._user

    @property
    def rules(self) -> list[str]:
        """The rules for passwords, in sentences."""
        return [str(text) for text in password_validators_help_texts()]


class SetUpForm(NewPasswordForm):
    """The code of the first start, and the administrator."""

    code = forms.CharField(
        label=_("Code"),
        max_length=MAX_CODE,
        help_text=_("Printed at the start, in the output or the log of bootstrap."),
        widget=forms.TextInput(attrs={"class": "field mono", "autocomplete": "off", **_AS_IT_STANDS}),
    )
    username = _name_field()
    field_order = ("code", "username", "password", "again")

    def clean_username(self) -> str:
        """As Django keeps it."""
        return _free_name(str(self.cleaned_data["username"]))

    def whose(self, found: dict[str, Any]) -> User | None:
        """The administrator to be."""
        return User(username=found.get("username") or "")


class GroupForm(forms.Form):
    """A group's name."""

    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_NAME,
        widget=forms.TextInput(attrs={"class": "field", "autocomplete": "off", **_AS_IT_STANDS}),
    )
