"""`make faults-mutants` takes text out of the source: each text must be there, once, and each test it names."""

import re

import pytest

from tests.faults.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_takes_out_is_in_the_source_once_and_its_test_is_there(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    file, _, name = mutant.test.partition("::")
    tests = re.findall(r"def (test_\w+)", (ROOT / "tests" / "faults" / file).read_text())
    assert [test for test in tests if test.startswith(name)]
