"""Views: one module per page, each a dozen lines. Errors of registry and storage become pages in problems.py."""
