"""Rate limits: which there are, and where they are counted."""
