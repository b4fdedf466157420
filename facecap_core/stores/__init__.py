"""Arrays and folders of a production, which appear whole or not at all."""
