"""Alerts: which thresholds of a registry's storage are passed, and telling people outside the dashboard."""

from __future__ import annotations
