"""What `make bench` runs: each module makes its own data and compares within one run."""
