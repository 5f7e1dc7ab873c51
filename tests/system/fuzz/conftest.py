"""How many mutants are drawn, and with which seed."""

import random

import pytest

from tests.support.fuzzing import Fuzz

CASES, LONG = 200, 5_000


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, long: bool) -> Fuzz:
    """Return a fuzz run of the ordinary or of the long form."""
    given = request.config.getoption("--fuzz-seed")
    if given is not None:
        return Fuzz(int(given), LONG if long else CASES)
    if long:
        return Fuzz(random.SystemRandom().randrange(10**9), LONG)
    return Fuzz(0, CASES)
