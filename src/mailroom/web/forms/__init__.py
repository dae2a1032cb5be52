"""Forms: what was sent, checked; what was wrong, shown again."""
