"""Reports: what is shown of a model."""
