"""Tests that share a stack run in one process, one after the other."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="needs several processes: pytest -n 2")
@pytest.mark.xdist_group("house")
def test_a_group_of_tests_stays_together(request: pytest.FixtureRequest) -> None:
    """pytest-xdist writes the group into the test's id, which not every version of pytest lets it."""
    assert request.node.nodeid.endswith("@house"), "each process starts every stack: hold pytest back in pyproject"
