"""Corrections: frames of solved shots as artists put them right."""
