"""The stages that train: budgets, tuning, the choice of winners, replicates. Each continues where an earlier process ended."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import inf
from typing import Any

import torch
from optuna.trial import FixedTrial

from hpsearch.comparison.arms import LAG, Arm
from hpsearch.comparison.context import ComparisonContext
from hpsearch.comparison.measuring import Winner
from hpsearch.comparison.replicates import WinnerReplicates
from hpsearch.comparison.round_robin import RoundRobinSource
from hpsearch.comparison.winners import best, common_target, fastest, reached
from hpsearch.data.dataset import Data, Rows
from hpsearch.errors import SearchFailed
from hpsearch.model.models import versions
from hpsearch.progress import PhaseProgress
from hpsearch.searching.loop import Search
from hpsearch.searching.opening import make_view
from hpsearch.searching.scoring import Objectives
from hpsearch.searching.specifications import recorded_specification, specification
from hpsearch.searching.study import make_search
from hpsearch.storage.reading import WINNER
from hpsearch.training import Engine, TrialQueue, TrialSource
from hpsearch.training.devices import worker_threads
from hpsearch.training.network import DNN, registration
from hpsearch.trial import Direction, TrainingRun, TrialSpec

TIMED_SECONDS = 0.25  # of training, from which an update's time is known well enough
TIMED_UPDATES = 100_000  # at most
TINY_RATE = 1e-9  # a learning rate that never diverges: time does not depend on it
LATE = 2.0  # times the updates of the best trial before it, after which a trial cannot be the fastest
CHUNK = 8192  # rows that are predicted at a time

Specify = Callable[[Mapping[str, Any], int], TrialSpec]


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """The winners of an arm, by trial number: the `fastest` to the target and the `best` of the metric; None where there is none."""

    fastest: int | None
    best: int | None

    @property
    def numbers(self) -> list[int]:
        """The trials to train again, ascending."""
        return sorted({number for number in (self.fastest, self.best) if number is not None})


# ---- budgets


def set_budgets(context: ComparisonContext, arms: list[Arm]) -> list[Arm]:
    """Return the arms with their budgets; one in seconds is turned into updates, once, so that a run depends on its specification alone."""
    seconds = context.compare.seconds
    if seconds is None:
        return arms
    updates = context.writer.read_attribute("updates")
    for number, arm in enumerate(arms):
        context.observer.phase(PhaseProgress("timing updates", number, len(arms)))
        if arm.name not in updates:
            updates[arm.name] = updates_in(seconds, arm, context.data, context.engine)
    context.writer.write_attribute("updates", updates)
    return [arm.with_updates(updates[arm.name]) for arm in arms]


def updates_in(seconds: float, arm: Arm, data: Data, engine: Engine) -> int:
    """Return how many updates of the arm's known-good trial the engine makes in so many seconds of training; at least one."""
    space = arm.config.space
    spec = specification(arm.config, space.suggest(FixedTrial(space.defaults())), 0, data)
    count = 4
    while True:
        source = TrialQueue([replace(spec, learning_rate=TINY_RATE, evaluate_at=(count, 2 * count))])
        engine.run(source)
        first, both = source.runs[0].history.seconds
        taken = both - first  # the first window may include compiling
        if taken >= TIMED_SECONDS or count >= TIMED_UPDATES:
            return max(1, round(seconds * count / taken))
        count = min(TIMED_UPDATES, 4 * count)


# ---- tuning


def tune(context: ComparisonContext, arms: list[Arm]) -> list[Search]:
    """Search every arm's hyperparameters; return one search for each arm."""
    compare = context.compare
    total = len(arms) * compare.trials
    context.observer.phase(PhaseProgress("tuning", 0, total))
    searches = [_open_search(context, arm) for arm in arms]
    target = compare.target if compare.tune_until == "target" else None
    if target is not None:
        for search in searches:
            search.specify = capped(search, target, context.direction)
    _train(context, "tuning", searches, lambda: sum(search.status.done for search in searches), total, target)
    return searches


def _open_search(context: ComparisonContext, arm: Arm) -> Search:
    writer = context.open(arm.name, arm.config.settings())
    view = make_view(arm.config, context.direction)
    return make_search(arm.config, view, writer, Objectives(context.data), context.compare.trials)


def capped(search: Search, target: float, direction: Direction) -> Specify:
    """Return the search's function from hyperparameters to a trial, with its budget cut by what the trials before it needed.

    A trial that used `LATE` times the updates of the best one before it cannot be the fastest, and ends there. Which trials are before it
    is decided by numbers, as in any search (its lag), so that the same trials end at the same updates with one trial in flight or many,
    and after any interruption. The fastest trial is the same as without a cap.
    """
    specify = search.specify

    def specify_capped(values: Mapping[str, Any], number: int) -> TrialSpec:
        spec = specify(values, number)
        before = [run for earlier, run in search.runs.items() if earlier <= number - LAG]
        cap = LATE * min((reached(run.history, target, direction) for run in before), default=inf)
        evaluations = [update for update in spec.evaluate_at if update <= cap]
        return replace(spec, evaluate_at=tuple(evaluations or spec.evaluate_at[:1]))

    return specify_capped


# ---- winners


def choose(context: ComparisonContext, arms: list[Arm], searches: list[Search]) -> dict[str, Any]:
    """Return the plan of the comparison: its target, and the winners of each arm, as the storage keeps it."""
    compare = context.compare
    runs = [search.runs for search in searches]
    target = compare.target
    if target is None:
        target = common_target(runs, context.direction)
    if target is None or all(best(answers, context.direction) is None for answers in runs):
        raise SearchFailed("no trial of any batch size gave a usable network. Lower the learning rates.")
    plan: dict[str, Any] = {"target": target, "given": compare.target is not None, "arms": {}}
    for arm, answers in zip(arms, runs, strict=True):
        plan["arms"][arm.name] = asdict(_choose_winners(context, answers, target))
    context.writer.write_attribute("plan", plan)
    context.writer.write_attribute("made", _description(context, arms, searches, plan))
    return plan


def _choose_winners(context: ComparisonContext, runs: Mapping[int, TrainingRun], target: float) -> ArmPlan:
    quickest = fastest(runs, target, context.direction)
    if context.compare.tune_until == "target" and quickest is not None:
        return ArmPlan(
            quickest, quickest
        )  # trials ended at the target: the best metric would be that of the first to pass it
    return ArmPlan(quickest, best(runs, context.direction))


def _description(
    context: ComparisonContext, arms: list[Arm], searches: list[Search], plan: Mapping[str, Any]
) -> dict[str, Any]:
    """Describe machine, versions, and the network of the first arm that has a winner."""
    numbers = [plan["arms"][arm.name]["best"] for arm in arms]
    search, number = next(pair for pair in zip(searches, numbers, strict=True) if pair[1] is not None)
    values = search.view.space.suggest(FixedTrial(search.view.trials[number].params))
    architecture = search.specify(values, number).architecture
    assert architecture is not None, "a comparison trains dense networks"
    return {
        "device": str(context.data.training.inputs.device),
        "places": worker_threads(context.data),
        "versions": versions(),
        "architecture": asdict(architecture) | {"widths": list(architecture.widths)},
        "parameters": architecture.parameters,
        "registered": registration(architecture),
    }


# ---- replicates


def train_replicates(
    context: ComparisonContext, arms: list[Arm], searches: list[Search], plan: Mapping[str, Any]
) -> list[Winner]:
    """Train the winners on fresh seeds; return the fastest of each arm."""
    compare = context.compare
    fastest_winners: list[Winner] = []
    replicates: list[WinnerReplicates] = []
    for arm, search in zip(arms, searches, strict=True):
        chosen = ArmPlan(**plan["arms"][arm.name])
        for number in chosen.numbers:
            winner = _open_winner(context, arm, search, number)
            replicates.append(_replicates(context, winner))
            if number == chosen.fastest:
                fastest_winners.append(winner)
    target = plan["target"] if compare.train_until == "target" else None
    _train(
        context,
        "training the winners on fresh seeds",
        [winner.source for winner in replicates],
        lambda: sum(winner.done for winner in replicates),
        len(replicates) * compare.seeds,
        target,
    )
    return fastest_winners


def _open_winner(context: ComparisonContext, arm: Arm, search: Search, number: int) -> Winner:
    params = search.view.trials[number].params
    spec = recorded_specification(arm.config, params, number, context.data)
    settings = {**arm.config.settings(), "winner": {"trial": number, "params": dict(params)}}
    name = f"{arm.name}{WINNER}{number}"
    return Winner(name, spec, context.open(name, settings))


def _replicates(context: ComparisonContext, winner: Winner) -> WinnerReplicates:
    score = partial(scores, data=context.data)
    worst = float(context.data.summary["worst"])
    seed = context.config.study.seed
    return WinnerReplicates(winner.spec, seed, context.compare.seeds, winner.writer, score, worst)


def scores(spec: TrialSpec, run: TrainingRun, data: Data) -> dict[str, Any]:
    """Return loss and metric on training and test rows of a run's best network: the only use of the test rows."""
    if run.weights is None or spec.architecture is None:
        return {}
    network = DNN(spec.architecture).to(data.test.inputs.device, data.test.inputs.dtype)
    network.load_state_dict(dict(run.weights))
    return {"training": _score(network, data.training, data), "test": _score(network, data.test, data)}


@torch.no_grad()
def _score(network: DNN, rows: Rows, data: Data) -> dict[str, float]:
    outputs = torch.cat([network(chunk) for chunk in torch.split(rows.inputs, CHUNK)])
    loss, metric = data.score(outputs, rows)
    return {"loss": loss, "metric": metric}


def _train(
    context: ComparisonContext,
    phase: str,
    sources: list[Search] | list[TrialQueue],
    done: Callable[[], int],
    total: int,
    target: float | None,
) -> None:
    """Train what several sources ask for, in turn, on the one engine."""

    def show() -> None:
        context.observer.phase(PhaseProgress(phase, done(), total))

    together: TrialSource = RoundRobinSource(sources, context, target, show)
    context.engine.run(together)
    show()
