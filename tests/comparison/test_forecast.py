"""The time that is left of a comparison: one for all its stages, said once every batch size has shown how long its runs take."""

import os

import pytest

from hpsearch.comparison.arms import make_arms
from hpsearch.comparison.escape import TESTS
from hpsearch.comparison.forecast import (
    ESCAPES,
    MEASURING,
    PATHS,
    PRODUCTS,
    REFINING,
    REPLICATES,
    TIMING,
    TUNING,
    Forecast,
    RunPace,
    Stage,
    comparison_stages,
    escape_stages,
    look_seconds,
)
from hpsearch.config import MinimaSection, check_config
from hpsearch.progress import Compiler, PhaseProgress
from tests.support.observers import RecordingObserver
from tests.support.small import small_data


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def trained(seconds: dict[str, float], rounds: int) -> tuple[RunPace, Clock]:
    """Return the pace of so many rounds of runs, one of each arm after another, and its clock."""
    clock = Clock()
    pace = RunPace(Compiler(clock))
    pace.begin_stage(list(seconds))
    for number in range(rounds):
        for arm, taken in seconds.items():
            pace.begin(number, arm)
            clock.now += taken
            pace.end(number, whole=True)
    return pace, clock


def test_each_arm_has_its_own_pace() -> None:
    """Ten waiting runs of two arms that take 1 s and 9 s take 50 s, and ten of each afterwards 100 s."""
    pace, _ = trained({"sgd/1": 9.0, "sgd/full": 1.0}, 3)
    assert pace.left(10) == pytest.approx(50.0)
    assert pace.of_whole_runs(["sgd/1", "sgd/full"], 10) == pytest.approx(100.0)


def test_nothing_is_said_before_every_arm_has_ended_a_run() -> None:
    """The first run is no evidence, since it loads and compiles; an arm without a run leaves all unknown."""
    pace, _ = trained({"sgd/1": 9.0}, 1)
    assert pace.left(10) is None
    pace, _ = trained({"sgd/1": 9.0}, 2)
    assert pace.left(10) == pytest.approx(90.0)
    pace.begin_stage(["sgd/1", "sgd/full"])
    assert pace.left(10) is None
    assert pace.of_whole_runs(["sgd/1", "sgd/full"], 1) is None


def test_runs_beside_each_other_share_the_time() -> None:
    """With two slots six runs of 4 s take 12 s, of which those in training have done a part; the last run is waited for."""
    pace, clock = trained({"sgd/1": 4.0}, 2)
    pace.begin(10, "sgd/1")
    pace.begin(11, "sgd/1")
    clock.now += 1.0
    assert pace.left(6) == pytest.approx((4 * 4.0 + 2 * 3.0) / 2)
    pace.end(10, whole=True)
    assert pace.left(1) == pytest.approx(1.5), "the mean is 2.5 s now, of which the last run has done 1 s"


def test_a_run_that_diverged_says_nothing_of_the_winners() -> None:
    """Tuning goes on as it went, with runs that diverge early; a winner does not diverge."""
    pace, clock = trained({"sgd/1": 8.0}, 2)
    pace.begin(5, "sgd/1")
    clock.now += 2.0
    pace.end(5, whole=False)
    assert pace.left(10) == pytest.approx(50.0)
    assert pace.of_whole_runs(["sgd/1"], 10) == pytest.approx(80.0)


def test_all_stages_are_counted() -> None:
    """What is left is that of the present stage and of all that follow, also where one is skipped; a stage's own steps say it better."""
    clock = Clock()
    observer = RecordingObserver()
    stages = [Stage(name, lambda seconds=seconds: seconds) for name, seconds in (("a", 60.0), ("b", 90.0), ("c", 10.0))]  # type: ignore[misc]
    forecast = Forecast(observer, stages, RunPace(Compiler(clock)))
    for name, done in (("a", 0), ("a", 1), ("a", 4), ("c", 0)):
        forecast.phase(PhaseProgress(name, done, 10))
        clock.now += 10.0
    assert [progress.left for progress in observer.phases] == [160.0, 150.0, 130.0, 10.0]


def test_a_stage_of_which_nothing_is_known_leaves_all_unknown() -> None:
    """No time left is said while one of the stages to come cannot be told."""
    observer = RecordingObserver()
    forecast = Forecast(observer, [Stage("a", lambda: 60.0), Stage("b", lambda: None)])
    forecast.phase(PhaseProgress("a", 0, 10))
    assert observer.phases[0].left is None


def test_parts_of_one_name_follow_each_other() -> None:
    """The parts of an escape test have one name: where the count begins anew, the next part has begun."""
    clock = Clock()
    observer = RecordingObserver()
    stages = [Stage("test", lambda: 5.0), Stage("test", lambda: 50.0)]
    forecast = Forecast(observer, stages, RunPace(Compiler(clock)))
    for done in (0, 2, 1):
        forecast.phase(PhaseProgress("test", done, 100))
    assert [progress.left for progress in observer.phases] == [55.0, 55.0, 50.0]


def test_the_stages_are_those_of_the_comparison() -> None:
    """A comparison has its stages in the order in which they run; without measured runs and a second stage it has fewer."""
    raw = {
        "study": {"name": "small"},
        "data": {"name": "iris"},
        "space": {"depth": 1, "width": 8, "optimizer": "sgd", "learning_rate": 0.1},
        "compare": {"batch_sizes": [1, "full"], "trials": 3, "seeds": 4, "measured": 2, "refine": 2},
    }
    config = check_config(raw, "small")
    data = small_data()
    arms = make_arms(config, len(data.training))
    pace = RunPace()
    assert config.compare is not None
    found = list(comparison_stages(config.compare, MinimaSection(), arms, data, pace))
    names = [stage.name for stage in found]
    assert names[:6] == [TUNING, REFINING, REPLICATES, MEASURING, TIMING, PATHS]
    assert all(name.startswith(ESCAPES) for name in names[6:])
    assert found[1].seconds() is None, "nothing has trained"
    bare = config.compare.model_copy(update={"measured": 0, "refine": 0})
    assert [stage.name for stage in comparison_stages(bare, None, arms, data, pace)] == [TUNING, REPLICATES]
    assert 0 < look_seconds(arms[0], data) < 1


def test_every_escape_test_has_its_expected_time() -> None:
    """The expected times are of the tests that there are, and grow with the runs that are asked for."""
    assert list(PRODUCTS) == list(TESTS)
    few, many = (
        sum(stage.seconds() or 0.0 for stage in escape_stages(MinimaSection(seeds=seeds, starts=seeds)))
        for seeds in (10, 1_000)
    )
    assert few * (os.cpu_count() or 1) > 0
    assert many > 10 * few
