"""Productions: the user's folder, read and validated."""
