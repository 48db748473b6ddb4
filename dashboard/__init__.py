"""Strata's one Django app: browse, delete from and measure a container registry."""
