"""Unit tests of dashboard/services."""
