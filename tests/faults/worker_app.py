"""A worker with kinds of mail that only faults need; wired over the real ones, with their words.

`held` waits for a person where it is uncertain; `slow` stands still while it is rendered, and `poison` ends its
worker there, until the file in FAULTS_MEND exists.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailroom.bootstrap import services as wiring
from mailroom.bootstrap.worker import create_worker
from mailroom.mail.kinds import Kinds, MailKind, MailRow

LIKE = "confirm_sign_up"


class TestKinds(Kinds):
    """The real kinds and ours."""

    __test__ = False

    def __getitem__(self, name: str) -> MailKind:
        if name == "held":
            return replace(super().__getitem__(LIKE), on_uncertain="hold")
        if name in {"slow", "poison"}:
            kind = super().__getitem__(LIKE)
            return replace(kind, variables=_with(stand_still if name == "slow" else crash, kind.variables))
        return super().__getitem__(name)


def stand_still() -> None:
    """Stand still until mended."""
    while not Path(os.environ["FAULTS_MEND"]).exists():
        time.sleep(0.05)


def crash() -> None:
    """End the process, as a bug in a library written in C would."""
    os._exit(9)


def _with(act: Callable[[], None], usual: Callable[[MailRow], Mapping[str, str]]) -> Callable[..., Any]:
    def variables(row: MailRow) -> Mapping[str, str]:
        act()
        return usual(row)

    return variables


@contextlib.contextmanager
def with_test_kinds() -> Iterator[None]:
    """Wire `wiring.mail_kinds` our way for the length of the block."""
    usual = wiring.mail_kinds
    wiring.mail_kinds = lambda *arguments: TestKinds(usual(*arguments))
    try:
        yield
    finally:
        wiring.mail_kinds = usual


if os.environ.get("FAULTS_MEND"):  # a worker is being started; tests only borrow the kinds
    _kinds = contextlib.ExitStack()
    _kinds.enter_context(with_test_kinds())
    app = create_worker()
