"""Protected tags: the rules that administrators set, and what moved or deleted such a tag behind our back."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .index import MAX_DIGEST
from .registry import Registry


class TagRule(models.Model):
    """Tags of one registry that this dashboard neither deletes nor moves: globs over repository and tag.

    `*` stands for any characters, `/` in a repository's name among them, `?` for one, `[0-9]` for one of these; case
    matters. `created_by` is the name of whoever set it.
    """

    MAX_PATTERN, MAX_NOTE = 200, 200

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+", db_index=False)
    repository_pattern = models.CharField(max_length=MAX_PATTERN, default="*")
    tag_pattern = models.CharField(max_length=MAX_PATTERN)
    note = models.CharField(max_length=MAX_NOTE, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = _("protection of tags")
        verbose_name_plural = _("protections of tags")
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "repository_pattern", "tag_pattern"], name="protection_once_per_registry"
            )
        ]

    def __str__(self) -> str:
        return self.tag_pattern if self.repository_pattern == "*" else f"{self.repository_pattern}:{self.tag_pattern}"


class ProtectedMove(models.Model):
    """A protected tag that somebody else moved from `before` to `after` ("": deleted); open until it is dismissed.

    One row while it is open, however often the tag moves on: `before` is what it pointed to while all was well. `rule`
    is the rule's text as it was, `by` whoever pushed where a notification told it, "" where nobody knows.
    `dismissed_by` is "" where the tag came back by itself.
    """

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+")
    repository = models.CharField(max_length=255)
    tag = models.CharField(max_length=128)
    rule = models.CharField(max_length=2 * TagRule.MAX_PATTERN + 1)
    before = models.CharField(max_length=MAX_DIGEST)
    after = models.CharField(max_length=MAX_DIGEST, blank=True)
    at = models.DateTimeField()
    by = models.CharField(max_length=255, blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)
    dismissed_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = _("move of a protected tag")
        verbose_name_plural = _("moves of protected tags")
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "repository", "tag"],
                condition=models.Q(dismissed_at=None),
                name="one_open_move_per_protected_tag",
            )
        ]

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"
