"""Suggestions: which footage to track next, so that a model gains most."""
