"""Evaluation: how near a result comes to its target, in space and in time."""
