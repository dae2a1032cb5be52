"""The desk: pages for operators and viewers. Nobody else learns that they are there."""
