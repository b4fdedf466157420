"""Footage: from a video file to cropped luma."""
