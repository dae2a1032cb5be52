"""What is loaded at the start is not looked through for garbage; what comes later is."""

import gc
import weakref

import pytest

from mailroom.kit.memory import loading


class Ring:
    """Garbage that only the collector finds: it holds itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_was_loaded_stays_and_what_comes_later_is_collected() -> None:
    try:
        with loading():
            assert not gc.isenabled()
            loaded = weakref.ref(Ring())
        later = weakref.ref(Ring())
        gc.collect()
        assert (loaded() is not None, later()) == (True, None)
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_a_start_that_fails_leaves_the_collector_at_work() -> None:
    try:
        with pytest.raises(ImportError), loading():
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()
