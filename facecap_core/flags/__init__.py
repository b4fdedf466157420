"""Flags: the frames of solved shots that are worth an artist's hour."""
