"""Madeup: the made-up actor of `farm demo`."""
