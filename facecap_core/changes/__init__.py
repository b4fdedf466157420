"""Changes: what another model makes of footage that was solved before."""
