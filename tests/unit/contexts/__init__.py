"""Unit tests of dashboard/contexts."""
