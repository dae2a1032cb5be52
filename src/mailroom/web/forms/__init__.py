"""Forms: what was sent is checked, and shown again if something is wrong."""
