"""Forms of rules: which tags are protected, and who has which role where."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _

from dashboard.models import AccessRule, Registry, Role, TagRule, User
from dashboard.registry import patterns
from dashboard.services import access_rules, protection
from dashboard.services.administration import Administration


class TagPatternForm(forms.Form):
    """A rule that protects tags of one repository: a glob and a note."""

    tag_pattern = forms.CharField(
        label=_("Tags"),
        max_length=TagRule.MAX_PATTERN,
        help_text=_(
            "For example latest, v* or release-*. A * stands for any characters, ? for one, [0-9] for one of these; "
            "upper and lower case differ."
        ),
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=TagRule.MAX_NOTE,
        required=False,
        help_text=_("Why, or whom to ask; shown here alone."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "field"
            if name != "note":
                field.widget.attrs |= {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}

    def clean_tag_pattern(self) -> str:
        """Only what can be like a tag."""
        pattern = str(self.cleaned_data["tag_pattern"])
        if not protection.is_tag_pattern(pattern):
            raise forms.ValidationError(_("No tag can be like that: letters, digits, . - _ and * ? [ ] are possible."))
        return pattern


class TagRuleForm(TagPatternForm):
    """A rule that protects tags of the repositories of a glob."""

    repository_pattern = forms.CharField(
        label=_("Repositories"),
        max_length=TagRule.MAX_PATTERN,
        initial="*",
        required=False,
        help_text=_("A single * is all of them. It stands for / too: team/* is team/app as well as team/web/api."),
    )

    def clean_repository_pattern(self) -> str:
        """Only what can be like a repository's name; all of them where it is left empty."""
        pattern = str(self.cleaned_data["repository_pattern"]) or "*"
        if not protection.is_repository_pattern(pattern):
            raise forms.ValidationError(
                _("No repository can be like that: lower-case letters, digits, / . - _ and * ? [ ] are possible.")
            )
        return pattern


class AccessRuleForm(forms.Form):
    """A rule of access: for whom, which role, in which repositories of which registry. `wanted` once it is valid."""

    who = forms.ChoiceField(label=_("For"), choices=AccessRule.Who.choices)
    name = forms.CharField(
        label=_("Name"),
        max_length=150,
        required=False,
        help_text=_("Of the user or the group; empty for everybody and for visitors."),
    )
    role = forms.TypedChoiceField(label=_("Role"), choices=Role.choices, coerce=int)
    pattern = forms.CharField(
        label=_("Repositories"),
        max_length=patterns.MAX_PATTERN,
        initial=patterns.EVERY,
        help_text=_(
            "** is all of them, team-a/** all below team-a, team-a/* those right below it, team-*/api one of several."
        ),
    )
    registry = forms.ModelChoiceField(
        label=_("Registry"), queryset=Registry.objects.all(), required=False, empty_label=_("every registry")
    )

    def __init__(self, *args: Any, administration: Administration, **kwargs: Any) -> None:
        """Offers what somebody with this `administration` may give."""
        super().__init__(*args, **kwargs)
        if not administration.everything:
            self._offer(administration)
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "field"
            if name in ("name", "pattern"):
                field.widget.attrs |= {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}

    def _offer(self, administration: Administration) -> None:
        who, registry = self.fields["who"], self.fields["registry"]
        assert isinstance(who, forms.ChoiceField)
        assert isinstance(registry, forms.ModelChoiceField)
        who.choices = [choice for choice in AccessRule.Who.choices if choice[0] != AccessRule.Who.VISITORS]
        registry.queryset = administration.registries()
        registry.required = not administration.every_registry
        registry.empty_label = _("every registry") if administration.every_registry else None
        role = self.fields["role"]
        assert isinstance(role, forms.TypedChoiceField)
        role.choices = [choice for choice in Role.choices if administration.may_give(Role(choice[0]))]
        self.fields["pattern"].initial = administration.scopes[0].pattern

    def clean_pattern(self) -> str:
        """The pattern as it is kept."""
        try:
            return patterns.parse_pattern(self.cleaned_data["pattern"])
        except patterns.InvalidPattern:
            raise forms.ValidationError(
                _(
                    "No repository can be like that: names in lower case, at most one * in each part, "
                    "and ** as the last part alone."
                )
            ) from None

    def clean(self) -> dict[str, Any]:
        """That the user or group is there, and that visitors only read."""
        data = super().clean() or self.cleaned_data
        who, name = data.get("who"), data.get("name", "")
        if who == AccessRule.Who.USER and not (user := User.objects.like(name).first()):
            self.add_error("name", _("There is no user of that name."))
        elif who == AccessRule.Who.USER:
            data["user"] = user
        elif who == AccessRule.Who.GROUP and not (group := Group.objects.filter(name=name).first()):
            self.add_error("name", _("There is no group of that name."))
        elif who == AccessRule.Who.GROUP:
            data["group"] = group
        if who == AccessRule.Who.VISITORS and data.get("role", Role.READER) != Role.READER:
            self.add_error("role", _("Visitors may only read."))
        return data

    @property
    def wanted(self) -> access_rules.Wanted:
        """What was asked for."""
        data = self.cleaned_data
        return access_rules.Wanted(
            who=AccessRule.Who(data["who"]),
            role=Role(data["role"]),
            user=data.get("user"),
            group=data.get("group"),
            registry=data["registry"],
            pattern=data["pattern"],
        )
