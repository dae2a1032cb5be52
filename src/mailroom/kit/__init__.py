"""Kit: what has no word of the domain in it."""
