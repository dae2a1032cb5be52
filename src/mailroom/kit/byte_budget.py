"""How many octets of messages and bodies a process holds at a time; clients beyond that are told to come back."""

from collections.abc import Iterator
from contextlib import contextmanager


class TooMuch(Exception):
    """The budget is used up; it is free again once others' messages are stored."""


class Share:
    """What one message takes of a budget."""

    def __init__(self, budget: "Budget") -> None:
        self._budget = budget
        self.taken = 0

    def take(self, octets: int) -> None:
        """Take so many more. Raises `TooMuch`; then nothing more was taken."""
        self._budget.take(octets)
        self.taken += octets

    def give_back(self) -> None:
        """Give back what was taken."""
        self._budget.taken -= self.taken
        self.taken = 0


class Budget:
    """Octets that messages on their way in may take together."""

    def __init__(self, octets: int) -> None:
        self._octets = octets
        self.taken = 0

    def take(self, octets: int) -> None:
        """Take so many. Raises `TooMuch`."""
        if self.taken + octets > self._octets:
            raise TooMuch
        self.taken += octets

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Lend a share that is given back at the end of the block."""
        share = Share(self)
        try:
            yield share
        finally:
            share.give_back()
