"""Reviews: solved shots to be looked at."""
