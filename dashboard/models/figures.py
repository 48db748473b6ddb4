"""Sums that all processes count together, for the metrics: requests to registries, and jobs that are forgotten."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry


class RequestTally(models.Model):
    """Requests to a registry by operation, outcome and time taken: a bar of a histogram.

    `outcome` is "ok" or an error's code. `within_ms` is the bar's upper bound in milliseconds, 0 for no bound; each
    request is in one bar only. `seconds` is the sum of their times.
    """

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+", db_index=False)
    operation = models.CharField(max_length=40)
    outcome = models.CharField(max_length=40)
    within_ms = models.PositiveIntegerField()
    requests = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0)

    class Meta:
        verbose_name = _("tally of requests")
        verbose_name_plural = _("tallies of requests")
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "operation", "outcome", "within_ms"], name="one_tally_of_requests"
            )
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.outcome} {self.requests}"


class JobTally(models.Model):
    """How many jobs of a kind (of Job.Kind) ended so (of Job.State), among those whose rows are forgotten."""

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=20)
    state = models.CharField(max_length=10)
    jobs = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("tally of jobs")
        verbose_name_plural = _("tallies of jobs")
        constraints = [models.UniqueConstraint(fields=["registry", "kind", "state"], name="one_tally_of_jobs")]

    def __str__(self) -> str:
        return f"{self.kind} {self.state} {self.jobs}"
