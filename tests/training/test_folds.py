"""Cross-validation in the search: a trial is the mean of its folds, whoever trains them and in whichever order they end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from scipy.stats import sem
from torch import nn

from hpsearch import Objective
from hpsearch.config import check_config
from hpsearch.data import Data
from hpsearch.data.dataset import Fold, Rows
from hpsearch.errors import UserError
from hpsearch.reporting.protocol import protocol
from hpsearch.reporting.rendering import render
from hpsearch.reporting.study_page import leaderboard
from hpsearch.reporting.summary import introduction
from hpsearch.reporting.tables import frames
from hpsearch.reporting.tables.writing import leaders
from hpsearch.reporting.trust import honesty, warnings
from hpsearch.searching.replay import RecordedStudy, verify
from hpsearch.searching.run_options import RunOptions, max_concurrency
from hpsearch.searching.specifications import specification
from hpsearch.storage.reading import _trials
from hpsearch.storage.records import TrialRecord
from hpsearch.testing import CrashError, ScriptedEngine
from hpsearch.training import TrialQueue
from hpsearch.training.engines import make_engine
from hpsearch.training.folds import FoldEngine, FoldSource
from hpsearch.training.groups import ConcurrentEngine, Plan
from hpsearch.training.progress import out_of_memory_run
from hpsearch.training.reference import train
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec
from tests.support.cohorts import plan_of
from tests.support.records import study
from tests.support.scripted import Stage, hill
from tests.support.small import small_data, small_spec

ENGINES = ["reference", "fused", "compiled"]


@cache
def folded(task: str = "multiclass", dtype: torch.dtype = torch.float64) -> Data:
    """The small data with three folds of unequal size, each with a scale of the target of its own."""
    data = small_data(task, dtype)
    inputs, targets = (
        torch.cat([getattr(part, name) for part in (data.training, data.validation)]) for name in ("inputs", "targets")
    )
    folds = []
    for number, held_out in enumerate(np.array_split(np.random.default_rng(3).permutation(len(inputs))[:-4], 3)):
        trains = torch.from_numpy(np.setdiff1d(np.arange(len(inputs)), held_out)[: len(inputs) - 21 + number])
        training, validation = (
            Rows(inputs[chosen], targets[chosen]) for chosen in (trains, torch.from_numpy(held_out))
        )
        folds.append(Fold(training, validation, data.target_mean + number, data.target_scale * (1 + number / 10)))
    first = folds[0]
    return replace(
        data,
        training=first.training,
        validation=first.validation,
        folds=tuple(folds),
        target_mean=first.target_mean,
        target_scale=first.target_scale,
    )


def by_hand(spec: TrialSpec, data: Data) -> list[TrainingRun]:
    """Train each fold to its end with the reference, by itself."""
    full, runs = spec.batch_size == len(data.training), []
    for number in range(len(data.folds)):
        fold = data.fold(number)
        size = len(fold.training) if full else min(spec.batch_size, len(fold.training))
        run = train(replace(spec, batch_size=size, patience=None, rungs=(), target=None), fold, TrialQueue())
        assert run is not None
        runs.append(run)
    return runs


def assert_mean(
    run: TrainingRun,
    spec: TrialSpec,
    data: Data,
    prunes: Callable[[int, float], bool] = lambda evaluation, metric: False,
) -> None:
    """Compare a run with means and rules written out again in numpy."""
    alone = by_hand(spec, data)
    sign = 1 if data.metric.direction == "maximize" else -1
    columns = {
        name: np.mean([getattr(one.history, name) for one in alone], axis=0)
        for name in ("training_loss", "validation_loss", "metric")
    }
    last = len(spec.evaluate_at)
    for at, metric in enumerate(columns["metric"]):
        risen = int(np.argmax(sign * columns["metric"][: at + 1]))  # the first of the best
        if at + 1 == last:
            outcome = Outcome.FINISHED
        elif spec.target is not None and sign * metric > sign * spec.target:
            outcome = Outcome.REACHED
        elif spec.patience is not None and at - risen >= spec.patience:
            outcome = Outcome.STOPPED_EARLY
        elif at + 1 in spec.rungs and prunes(at + 1, metric):
            outcome = Outcome.PRUNED
        else:
            continue
        break
    count = at + 1
    best = min(range(count), key=lambda i: (-sign * columns["metric"][i], columns["validation_loss"][i]))
    assert (run.outcome, len(run.history), run.best) == (outcome, count, best + 1)
    for name, column in columns.items():
        assert getattr(run.history, name) == pytest.approx(column[:count], abs=1e-10), name
    assert run.history.update == spec.evaluate_at[:count]
    assert run.history.examples == tuple(update * spec.batch_size for update in spec.evaluate_at[:count])
    assert run.value == pytest.approx(columns["metric"][best], abs=1e-10)
    assert run.loss == pytest.approx(columns["validation_loss"][best], abs=1e-10)
    assert run.folds == pytest.approx([one.history.metric[best] for one in alone], abs=1e-10)
    assert (run.weights, run.parameters) == (None, alone[0].parameters)


def trained(
    specs: Sequence[TrialSpec],
    data: Data,
    engine: str = "reference",
    places: int | None = None,
    ask: Callable[[int, float], bool] = lambda evaluation, metric: False,
) -> dict[int, TrainingRun]:
    source = TrialQueue(list(specs), prunes=ask)
    make_engine(engine, data, places).run(source)
    return source.runs


def specs_of(data: Data, **changes: Any) -> list[TrialSpec]:
    """Five trials of 24 updates in 8 evaluations: batches of 10, all rows, and some that stop early."""
    full, each = len(data.training), {"evaluate_at": tuple(range(3, 25, 3)), **changes}
    return [
        small_spec(data, number=7, **each),
        small_spec(data, number=2, seed=5, batch_size=full, learning_rate=0.3, **each),
        small_spec(data, number=4, optimizer="adam", learning_rate=0.05, batch_size=full - 1, **each),
        small_spec(data, number=5, patience=1, learning_rate=0.3, widths=(9,), dropout=0.3, **each),
        small_spec(data, number=9, patience=1, optimizer="adam", learning_rate=0.05, batch_size=1, **each),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_trial_is_the_mean_of_its_folds(engine: str, task: str) -> None:
    """Every engine's history, value, loss and best evaluation equal a plain loop over the folds, also where patience ends a trial."""
    data = folded(task)
    specs = specs_of(data)
    runs = trained(specs, data, engine, places=7)
    assert {run.outcome for run in runs.values()} == {Outcome.FINISHED, Outcome.STOPPED_EARLY}
    for spec in specs:
        assert_mean(runs[spec.number], spec, data)


@pytest.mark.parametrize("places", range(1, 8))
def test_any_number_of_places_gives_the_same_runs(places: int) -> None:
    """With fewer places than folds, as many, or more, the pruner ends the same trials at the same evaluation of the mean."""
    data = folded()
    specs = specs_of(data, rungs=(1, 2, 4))

    def ask(evaluation: int, metric: float) -> bool:
        return metric < (0.0, 0.35, 0.5, 0.0, 0.6)[evaluation]

    runs = trained(specs, data, "compiled", places, ask)
    assert Outcome.PRUNED in {run.outcome for run in runs.values()}
    for spec in specs:
        assert_mean(runs[spec.number], spec, data, ask)


def test_a_target_is_passed_by_the_mean() -> None:
    """A trial with a target ends where the mean of the metric is better, not where one fold's is."""
    data = folded()
    spec = small_spec(data, learning_rate=0.3, evaluate_at=tuple(range(3, 40, 3)), target=0.5)
    (run,) = trained([spec], data, "fused", 3).values()
    assert run.outcome is Outcome.REACHED
    assert max(run.folds) > min(run.folds)
    assert_mean(run, spec, data)


def poisoned(evaluation_free: int) -> Data:
    """The folded data, whose second fold trains on a row so large that training diverges in the pass that meets it."""
    data = folded("regression")
    rows = data.folds[1].training
    inputs = rows.inputs.clone()
    inputs[evaluation_free] *= 1e200
    bad = replace(data.folds[1], training=Rows(inputs, rows.targets))
    return replace(data, folds=(data.folds[0], bad, data.folds[2]))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("places", [1, 2, 3, 5])
def test_a_fold_that_diverges_ends_the_trial(engine: str, places: int) -> None:
    """The trial has diverged as that fold alone diverges, its history the mean up to there, however many folds train at once."""
    data = poisoned(4)
    for row_size in (1, 10):
        spec = small_spec(
            data, batch_size=row_size, activation="relu", evaluate_at=tuple(range(1, 13)), learning_rate=1e-3
        )
        alone = by_hand(spec, data)
        assert [one.outcome for one in alone] == [Outcome.FINISHED, Outcome.DIVERGED, Outcome.FINISHED]
        (run,) = trained([spec], data, engine, places).values()
        assert (run.outcome, run.value, run.best, run.folds) == (Outcome.DIVERGED, None, 0, ())
        assert run.detail == f"fold 2 of 3: {alone[1].detail}"
        count = len(alone[1].history)
        assert len(run.history) == count
        expected = np.mean([one.history.metric[:count] for one in alone], axis=0)
        assert run.history.metric == pytest.approx(expected, abs=1e-10)


def by_fold(spec: TrialSpec, evaluation: int) -> float:
    """The hill, steeper in some folds than in others; where the learning rate is high two of three folds diverge late, and together."""
    if spec.learning_rate > 0.01 and spec.fold != spec.number // 3 % 3 and evaluation >= 1 + spec.number // 3 % 5:
        return float("nan")
    return hill(spec, evaluation) * (0.9 + 0.1 * spec.fold) + 0.01 * ((evaluation * (spec.fold + 2)) % 3)


@pytest.mark.slow
@pytest.mark.parametrize(("pruner", "sampler"), [("median", "random"), ("halving", "tpe")])
def test_the_order_in_which_folds_end_changes_nothing(pruner: str, sampler: str) -> None:
    """With folds that advance in any order, in any number of places, the same trials have the same results, histories and folds."""
    told = []
    for seed in range(7):
        stage = Stage(pruner=pruner, sampler=sampler, folds=3)
        stage.run(trials=30, script=by_fold, room=1 + seed, seed=seed)
        told.append([(*trial, *kept) for trial, kept in zip(stage.trials(), kept_of(stage), strict=True)])
    assert all(other == told[0] for other in told[1:])
    assert {outcome for *_, outcome, _, _, _ in told[0]} >= {"finished", "pruned", "diverged"}


def kept_of(stage: Stage) -> list[tuple[Any, ...]]:
    trials = stage.storage.get_all_trials(stage.study_id)
    return [
        tuple(t.user_attrs["hpsearch:run"].get(key) for key in ("outcome", "detail", "history", "folds"))
        for t in trials
    ]


def test_an_interrupted_study_of_folds_equals_an_unbroken_one() -> None:
    """Killed anywhere, in the middle of a trial's folds too, it goes on to the same trials; a trial is told whole or trained again."""
    whole, broken = Stage(pruner="median", folds=3), Stage(pruner="median", folds=3)
    whole.run(trials=20, script=by_fold, room=3)
    for crash in (1, 40, 7, 63, 22):
        with pytest.raises(CrashError):
            broken.run(trials=20, script=by_fold, room=5, seed=crash, crash_after=crash)
    last = broken.run(trials=20, script=by_fold, room=2)
    assert broken.trials() == whole.trials()
    assert kept_of(broken) == kept_of(whole)
    assert last.best is not None
    assert len(last.best.folds) == 3


def test_the_metric_of_each_fold_is_kept() -> None:
    """The storage has each fold's metric at the best evaluation, the trial's value their mean, and reading gives them back."""
    stage = Stage(sampler="random", folds=3)
    stage.run(trials=16, script=by_fold, room=4)
    records = _trials(stage.storage, stage.study_id, {})
    for record in (record for record in records if record.outcome == "finished"):
        assert record.history is not None
        assert record.value == pytest.approx(np.mean(record.folds))
        assert record.value == record.history.metric[record.best_evaluation - 1]
        assert record.standard_error == pytest.approx(sem(record.folds))
    assert {record.folds for record in records if record.outcome == "diverged"} == {()}
    assert {record.standard_error for record in records if not record.folds} == {None}


@dataclass(eq=False)
class Counting:
    """An engine with `room` places that counts what folds train and in which order they are handed out."""

    room: int
    script: Callable[[TrialSpec, int], float]
    seed: int = 0
    trained: dict[tuple[int, int], int] = field(default_factory=dict)

    def run(self, source: Any) -> None:
        def script(spec: TrialSpec, evaluation: int) -> float:
            self.trained[spec.number // 3, spec.fold] = evaluation
            return self.script(spec, evaluation)

        ScriptedEngine(script, "maximize", room=self.room, seed=self.seed).run(source)


def test_folds_end_with_their_trial() -> None:
    """Folds that train level are all spared what follows the end of the trial: each trains at most one evaluation more."""
    spec = small_spec(small_data(), number=1, evaluate_at=tuple(range(1, 101)), patience=5)
    data = folded()
    for seed in range(5):
        engine = Counting(3, lambda spec, evaluation: 0.5, seed)
        source = TrialQueue([spec])
        FoldEngine(engine, data).run(source)
        assert len(source.runs[1].history) == 6
        assert max(engine.trained.values()) < 100
        assert min(engine.trained.values()) >= 6


def test_folds_that_do_not_matter_any_more_never_begin() -> None:
    """With one place, a first fold that diverges at once is the only one to train."""
    engine = Counting(1, lambda spec, evaluation: float("nan"))
    source = TrialQueue([small_spec(small_data(), number=4)])
    FoldEngine(engine, folded()).run(source)
    assert source.runs[4].outcome is Outcome.DIVERGED
    assert engine.trained == {(4, 0): 1}


def test_exhausted_memory_in_a_fold_ends_the_trial() -> None:
    """A fold that does not fit ends its trial in that outcome; the others are dropped at their next evaluation, the study goes on."""

    def ask(evaluation: int, metric: float) -> bool:
        raise AssertionError("a trial that has ended is at no rung")

    source = TrialQueue([small_spec(small_data(), number=n, rungs=(1, 2)) for n in (0, 1)], prunes=ask)
    folds = FoldSource(source, [40, 40, 40], maximize=True)
    first, second, third = folds.take(3)
    assert not folds.prune(first.number, 1, 0.5)
    assert not folds.prune(second.number, 1, 0.5)
    folds.finish(out_of_memory_run(second))
    assert folds.prune(third.number, 1, 0.5)
    dropped = History((1,), (3,), (30,), (0.1,), (1.0,), (1.0,), (0.5,))
    folds.finish(TrainingRun(third.number, Outcome.PRUNED, dropped))
    assert folds.prune(first.number, 2, 0.6)
    folds.finish(TrainingRun(first.number, Outcome.PRUNED, dropped))
    assert source.runs[0].outcome is Outcome.OUT_OF_MEMORY
    assert source.runs[0].detail.startswith("fold 2 of 3: out of memory with batch size")
    assert [spec.fold for spec in folds.take(9)] == [0, 1, 2]


def test_places_are_filled_with_folds() -> None:
    """Room is filled to the last place as long as there are trials; what does not fit of a trial comes first the next time."""
    folds = FoldSource(TrialQueue([small_spec(small_data(), number=n) for n in range(4)]), [40] * 5, maximize=True)
    taken = [[(spec.number // 5, spec.fold) for spec in folds.take(room)] for room in (3, 4, 1, 9, 9)]
    assert list(map(len, taken)) == [3, 4, 1, 9, 3]
    assert [pair for part in taken for pair in part] == [(trial, fold) for trial in range(4) for fold in range(5)]


def test_a_lane_has_one_fold() -> None:
    """Trials of one batch size train together fold by fold, on that fold's rows."""
    data, opened = folded(), list[tuple[int, list[int], int]]()
    plan = plan_of("fused", 9)

    def open_(specs: Sequence[TrialSpec], part: Data) -> Any:
        opened.append((specs[0].fold, [spec.fold for spec in specs], len(part.training)))
        return plan.open(specs, part)

    engine = ConcurrentEngine(data, lambda spec: Plan("", "", 9, open_), max_concurrency=9, threads=1)
    source = TrialQueue([small_spec(data, number=n, seed=n) for n in range(3)])
    FoldEngine(engine, data).run(source)
    assert sorted(opened) == [(fold, [fold] * 3, len(data.folds[fold].training)) for fold in range(3)]


def test_a_cpu_has_places_for_whole_trials() -> None:
    """The folds of a trial are in flight together, whatever the cores; what is asked for is obeyed."""
    config, data = config_of(), folded()
    assert max_concurrency(config, RunOptions(None, ""), data) % 3 == 0  # type: ignore[arg-type]
    assert max_concurrency(config, RunOptions(None, "", parallel=2), data) == 2  # type: ignore[arg-type]


def config_of(**tables: Any) -> Any:
    space = {"depth": 1, "width": {"low": 4, "high": 9}, "batch_size": [10, "full"], "learning_rate": [0.01, 0.1]}
    return check_config(
        {"data": {"name": "iris", "folds": 3}, "space": space, "training": {"epochs": 4}, **tables}, "test"
    )


@pytest.mark.parametrize("engine", ["compiled", "fused"])
def test_a_study_of_folds_can_be_verified(engine: str) -> None:
    """The reference trains a recorded trial's folds again and finds the recorded means; a history of one fold is found out."""
    config, data = config_of(), folded()
    params = {"width": 7, "batch_size": "full", "learning_rate": 0.1}
    spec = specification(config, config.space.suggest(FixedTrial(params)), 6, data)
    (run,) = trained([spec], data, engine).values()
    trial = TrialRecord(6, "complete", params, str(run.outcome), history=run.history)
    question = RecordedStudy(config, data, (make_engine(engine, data, 3), data))
    (right,) = verify(question, [trial])
    assert max(right.gaps) < 1e-10
    assert (right.verdict, right.reference_outcome) == ("equal", "finished")
    (wrong,) = verify(question, [replace(trial, history=by_hand(spec, data)[1].history)])
    assert max(wrong.gaps) > 1e-3


def test_an_objective_of_folds_is_their_mean() -> None:
    """In plain Optuna data with folds give the mean, at every report and in the end, for one's own network too."""
    data = folded("regression")
    given = {"depth": 1, "width": 5, "optimizer": "adam", "learning_rate": 0.02, "batch_size": 10}
    function = Objective(data, given, training={"epochs": 5, "precision": "float64"}, device="cpu")
    optuna_study = optuna.create_study(direction="minimize")
    optuna_study.optimize(function, n_trials=1)
    spec = function._specification(optuna.trial.FixedTrial(given, number=0))
    alone = by_hand(spec, data)
    means = np.mean([one.history.metric for one in alone], axis=0)
    (trial,) = optuna_study.trials
    assert trial.value == pytest.approx(means.min(), abs=1e-10)
    assert [trial.intermediate_values[e] for e in range(1, 5)] == pytest.approx(means[:-1], abs=1e-10)

    of_training = {name: value for name, value in given.items() if name not in ("depth", "width")}
    built = Objective(data, of_training, build=_linear, training={"epochs": 5, "precision": "float64"}, device="cpu")
    own = optuna.create_study(direction="minimize", pruner=optuna.pruners.ThresholdPruner(upper=0.0))
    own.optimize(built, n_trials=1)
    assert own.trials[0].state.name == "PRUNED"
    assert list(own.trials[0].intermediate_values) == [1]


def _linear(trial: optuna.Trial, shape: tuple[int, ...], outputs: int) -> nn.Module:
    return nn.Linear(shape[0], outputs)


def test_a_comparison_has_no_folds() -> None:
    """Folds in the data of a comparison are refused in one line."""
    with pytest.raises(UserError, match=r"data\.folds: not for comparisons: .* Remove it\.$"):
        config_of(compare={"batch_sizes": [10, "full"]}, space={"optimizer": "sgd"})


def test_the_report_tells_the_spread_over_folds() -> None:
    """The best value is told as a mean ± its standard error, which is a column of the best trials; without folds there is none."""
    record = study(30)
    spread = (-0.02, 0.0, 0.02, 0.01, -0.01)

    def with_folds(trial: TrialRecord) -> TrialRecord:
        if trial.outcome not in ("finished", "stopped early"):
            return trial
        assert trial.value is not None
        return replace(trial, folds=tuple(trial.value + s for s in spread))

    crossed = replace(record, trials=tuple(map(with_folds, record.trials)))
    tables = frames(crossed)
    board = leaders(tables)
    assert board["standard_error"].to_numpy() == pytest.approx(np.full(len(board), sem(spread)))
    assert f"± {100 * sem(spread):.1f}\u00a0% is trial {record.result['trial']}'s mean over 5 folds" in honesty(crossed)
    assert "standard error over folds" in render(leaderboard(crossed, tables))
    assert "which is as far as 5 folds can tell" in " ".join(warnings(crossed, []))
    said = introduction(replace(crossed, data={**crossed.data, "rows": {**crossed.data["rows"], "folds": 5}}))[0]
    assert "1,797 rows" in said
    assert said.endswith("1,257 for training, 270 for validation and 270 for test, in the first of 5 folds.")
    assert "standard_error" not in leaders(frames(record)).columns
    told = [honesty(record), *warnings(record, []), *map(str, protocol(record))]
    assert "fold" not in "".join(told)


def test_defaults_are_unchanged() -> None:
    """Data that are divided once are their own only fold, and train as ever, weights and all."""
    data = small_data()
    assert data.fold(0) is data
    (run,) = trained([small_spec(data)], data, "compiled").values()
    assert run.weights
    assert run.folds == ()
