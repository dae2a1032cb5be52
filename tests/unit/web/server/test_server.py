import gc

from mailroom.web.server import server as serving


def test_what_stays_is_not_looked_through_for_garbage_again_and_again() -> None:
    before, full = gc.get_threshold(), gc.get_stats()[2]["collections"]
    serving._spare_full_collections()
    try:
        kept = [[number] for number in range(500_000)]
        assert gc.get_stats()[2]["collections"] == full + 1  # the one at the start
        del kept
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
