"""The API: what programs, and the pages' own script, read."""
