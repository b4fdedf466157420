"""Checks: what is wrong with a production before GPU time is spent."""
