"""Memory that runs out at any place of training: no trial is lost, none ends in another outcome, and no run is another one."""

import pytest

from hpsearch.training.fused.group import FusedGroup
from hpsearch.training.groups import Plan
from tests.support.allocations import check_memory
from tests.support.cohorts import varied_spec
from tests.support.small import small_data


@pytest.mark.slow
def test_memory_may_run_out_anywhere() -> None:
    """Whichever allocation of opening, training, scoring or copying weights finds no memory, once, all runs are the undisturbed ones."""
    specs = [varied_spec(small_data(), number, dropout=0.2, batch_size=7, evaluate_at=(1, 2)) for number in range(2)]
    check_memory(Plan("fused", "", 2, FusedGroup), specs, slots=2, apart=17)
