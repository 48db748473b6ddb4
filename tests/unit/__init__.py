"""Tests of pure packages: no database, milliseconds."""
