"""Tests that share a stack run in one process, one after the other."""

import pytest


@pytest.mark.xdist_group("house")
def test_a_group_of_tests_stays_together(request: pytest.FixtureRequest) -> None:
    """pytest-xdist writes the group into the test's id, which not every version of pytest lets it."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("needs several processes: pytest -n 2 --dist loadgroup")
    assert request.node.nodeid.endswith("@house"), "each process starts every stack: hold pytest back in pyproject"
