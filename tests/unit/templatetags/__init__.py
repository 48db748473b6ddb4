"""Unit tests of dashboard/templatetags."""
