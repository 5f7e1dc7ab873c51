"""The search: a function of (study, seed, lag), resumable anywhere, and honest about failure."""

from typing import Any

import pytest
from optuna.trial import TrialState

from hpsearch.searching.sampler_view import SamplerView
from hpsearch.space import Choice, Real, SearchSpace
from hpsearch.testing import CrashError, ScriptedEngine
from hpsearch.trial import Budget, TrialSpec
from tests.support import scripted
from tests.support.observers import RecordingObserver
from tests.support.scripted import SMALL, SPACE, Stage, hill

GRID = SearchSpace({"depth": Choice((1, 2, 3)), "learning_rate": Real(1e-3, 1e-1, log=True, grid=3)})


@pytest.mark.parametrize("pruner", ["none", "median", "halving", "hyperband"])
def test_places_change_nothing(pruner: str) -> None:
    """The same trials come out with 1 place and with 4 in flight that end in any order (contract 3)."""
    alone = Stage(pruner=pruner)
    alone.run()
    assert (TrialState.PRUNED in [trial[1] for trial in alone.trials()]) == (pruner != "none")
    for seed in range(3):
        crowd = Stage(pruner=pruner)
        crowd.run(room=4, seed=seed)
        assert crowd.trials() == alone.trials()


def test_lag_is_part_of_the_study() -> None:
    """With another lag the sampler knows other results and proposes other trials: the test above is not blind."""
    near, far = Stage(lag=1), Stage(lag=12)
    near.run()
    far.run()
    assert near.trials() != far.trials()


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "cmaes"])
@pytest.mark.parametrize("pruner", ["none", "median", "hyperband"])
def test_resumes_exactly(sampler: str, pruner: str) -> None:
    """A study interrupted again and again, at any evaluation, ends with the trials of an unbroken one (contract 9)."""
    whole = Stage(sampler=sampler, pruner=pruner)
    whole.run()
    broken = Stage(sampler=sampler, pruner=pruner)
    for crash in (0, 5, 17, 31, 2, 44):
        with pytest.raises(CrashError):
            broken.run(room=3, seed=crash, crash_after=crash)
    broken.run(room=2)
    assert broken.trials() == whole.trials()


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_long_curves_resume_exactly(pruner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed study replays to the pruner the rungs of its stored curves and no other evaluation of them."""
    monkeypatch.setattr(scripted, "BUDGET", Budget("epochs", 150, 150, patience=40, reduction_factor=3))
    whole, broken = Stage(space=SMALL, pruner=pruner), Stage(space=SMALL, pruner=pruner)
    replayed: list[int] = []

    def noted(view: SamplerView, number: int, evaluation: int, metric: float, prune: Any = SamplerView.prune) -> bool:
        replayed.append(evaluation)
        return bool(prune(view, number, evaluation, metric))

    monkeypatch.setattr(SamplerView, "prune", noted)
    whole.run(trials=12)
    for crash in (150, 60):
        with pytest.raises(CrashError):
            broken.run(trials=12, crash_after=crash)
    assert TrialState.COMPLETE in [trial[1] for trial in broken.trials()]
    broken.run(trials=12)
    assert broken.trials() == whole.trials()
    assert max(len(trial[4]) for trial in whole.trials()) >= 18
    assert set(replayed) <= set(scripted.BUDGET.rungs)


def test_gaussian_process_resumes_exactly() -> None:
    """The Gaussian-process sampler proposes the same trials after an interruption."""
    whole, broken = Stage(sampler="gp"), Stage(sampler="gp")
    whole.run(trials=14)
    with pytest.raises(CrashError):
        broken.run(trials=14, crash_after=100)
    broken.run(trials=14)
    assert broken.trials() == whole.trials()


def test_trials_are_a_total() -> None:
    """Asking again for as many trials trains nothing; asking for more goes on as one longer study would."""
    stage, longer = Stage(), Stage()
    stage.run(trials=10)
    assert stage.run(trials=10).status.trained == 0
    assert stage.run(trials=16).status.trained == 6
    longer.run(trials=16)
    assert stage.trials() == longer.trials()


def test_fewer_trials_than_there_are() -> None:
    """Asking for fewer trials than were told keeps all of them: the same best, and nothing trained or written."""
    stage = Stage()
    best = stage.run(trials=16).best
    before = stage.trials()
    search = stage.run(trials=4, include_previous=True)
    assert (search.total, search.remaining, search.status.trained) == (16, 0, 0)
    assert best is not None
    assert search.best is not None
    assert (search.best.number, search.best.value) == (best.number, best.value)
    assert stage.trials() == before


def test_interrupted_trial_is_trained_again() -> None:
    """A trial left RUNNING is trained under its own number: no zombie, no duplicate, the exact count."""
    stage = Stage()
    with pytest.raises(CrashError):
        stage.run(trials=5, crash_after=20)  # two trials of nine evaluations are told, the third is in flight
    states = [trial[1] for trial in stage.trials()]
    assert states == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING]
    search = stage.run(trials=5)
    assert search.interrupted == [2]
    assert [trial[1] for trial in stage.trials()] == [TrialState.COMPLETE] * 5


def test_first_trial_is_the_known_good_one() -> None:
    """Whatever the sampler, trial 0 has the space's known-good defaults."""
    for sampler in ("random", "qmc", "tpe", "cmaes", "gp"):
        stage = Stage(sampler=sampler)
        stage.run(trials=1)
        defaults = SPACE.defaults()
        assert dict(stage.trials()[0][3]) == {name: defaults[name] for name in dict(stage.trials()[0][3])}


def test_divergence_is_information() -> None:
    """A diverged trial is told as complete with the worst value and a broken constraint, and never becomes the best (contract 5)."""
    stage = Stage(sampler="random", seed=3)
    search = stage.run(trials=40)
    failed = [t for t in stage.trials() if dict(t[3])["learning_rate"] > 0.5]
    assert failed
    assert len(failed) == search.status.failed
    assert all(t[1] is TrialState.COMPLETE and t[2] == [0.0] and t[5] == {"failed": 1.0} for t in failed)
    assert all(t[5] == {"failed": -1.0} for t in stage.trials() if t not in failed)
    assert search.best is not None
    assert search.best.value == max(t[2][0] for t in stage.trials())


def test_all_failed_has_no_best() -> None:
    """Where every trial diverges the search ends with its count and without a best."""
    search = Stage().run(trials=6, script=lambda spec, evaluation: float("inf"))
    assert search.best is None
    assert (search.status.done, search.status.failed) == (6, 6)


def test_repeated_hyperparameters_take_over_the_result() -> None:
    """In a space of six points later trials repeat earlier ones: trained once, told every time, and said so."""
    trained: list[int] = []

    def script(spec: TrialSpec, evaluation: int) -> float:
        trained.append(spec.number) if evaluation == 1 else None
        return hill(spec, evaluation)

    stage = Stage(space=SMALL, sampler="random")
    search = stage.run(trials=20, script=script, room=3)
    points = {tuple(t[3]) for t in stage.trials()}
    assert len(trained) == len(points) < 20
    assert search.status.repeated == 20 - len(points)
    for point in points:
        assert len({t[2][0] for t in stage.trials() if tuple(t[3]) == point}) == 1


def test_the_last_trial_is_shown_though_it_repeats_another() -> None:
    """Who watches a search sees it end, also where its last trials take over earlier results without any training."""
    search, observer = Stage(space=SMALL, sampler="random").search(20), RecordingObserver()
    search.observer = observer
    ScriptedEngine(hill, "maximize").run(search)
    search.writer.flush()
    shown = [status.done for status in observer.states]
    assert shown == sorted(shown)
    assert shown[-1] == 20


def test_grid_visits_every_point_once() -> None:
    """A grid search trains each point once and then has nothing left, however many trials were asked for."""
    stage = Stage(space=GRID, sampler="grid")
    search = stage.run(trials=100, room=2)
    assert search.complete
    assert search.total == 9
    assert len({tuple(t[3]) for t in stage.trials()}) == 9


def test_pruner_saves_evaluations_and_keeps_the_best() -> None:
    """With median pruning fewer evaluations are spent and the best trial stays the same kind of good."""
    count = {"none": 0, "median": 0}
    best = {}
    for pruner in count:

        def script(spec: TrialSpec, evaluation: int, pruner: str = pruner) -> float:
            count[pruner] += 1
            return hill(spec, evaluation)

        found = Stage(sampler="random", pruner=pruner).run(trials=40, script=script).best
        assert found is not None
        best[pruner] = found.value
    assert count["median"] < 0.8 * count["none"]
    assert best["median"] == best["none"]


def test_ties_are_broken_by_loss_then_number() -> None:
    """Of trials with one value the best has the lower validation loss, then the lower number."""
    search = Stage(sampler="random").run(trials=8, script=lambda spec, evaluation: 0.5)
    assert search.best is not None
    assert search.best.number == 0


def test_timeout_starts_no_new_trial() -> None:
    """Once the time is up no trial starts, and nothing stays in flight."""
    stage = Stage()
    search = stage.search(10, timeout=1e-9)
    assert search.take(1) == []
    assert not search.complete


def test_waits_for_results_that_a_proposal_depends_on() -> None:
    """Trial k is not handed out before trial k - lag is told, however much room there is."""
    search = Stage(lag=4).search(20)
    assert [spec.number for spec in search.take(10)] == [0, 1, 2, 3]
    assert search.take(10) == []


def test_waiting_for_the_lag_is_counted() -> None:
    """With more places than the lag lets be used, the share of idle ones is known; with as many as trials at hand it is none."""
    crowded, alone = (Stage(lag=2).run(trials=12, room=room).utilisation for room in (6, 1))
    assert 0.3 < crowded.idle_share < 0.9  # 4 of 6 places wait
    assert alone.idle_share == 0
