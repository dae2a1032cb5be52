"""The language that nobody speaks is there for every test of this folder."""

from tests.pseudo_language import pseudo, pseudo_catalogue, unmarked

__all__ = ["pseudo", "pseudo_catalogue", "unmarked"]
