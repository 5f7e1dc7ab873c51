"""How many mutants are drawn, and with which seed."""

import random

import pytest

from tests.support.fuzzing import Fuzz

CASES, LONG = 200, 5_000


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, long: bool) -> Fuzz:
    """Return a fuzz run of the ordinary or of the long form."""
    seed = request.config.getoption("--fuzz-seed")
    if seed is None:
        seed = random.SystemRandom().randrange(10**9) if long else 0
    return Fuzz(seed, request.config.getoption("--fuzz-cases") or (LONG if long else CASES))
