"""The stages up to the winners: budgets, tuning, the choice. Each continues where an earlier process ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from math import inf
from typing import Any

from optuna.trial import FixedTrial

from hpsearch.comparison.arms import LAG, LATE, Arm, ArmPlan, best, common_target, cut, fastest, reached
from hpsearch.comparison.context import ComparisonContext, train_together
from hpsearch.comparison.forecast import TUNING, UPDATES
from hpsearch.data.dataset import Data
from hpsearch.errors import SearchFailed
from hpsearch.model.models import versions
from hpsearch.progress import PhaseProgress
from hpsearch.searching.loop import Search
from hpsearch.searching.objectives import Objectives
from hpsearch.searching.opening import make_view
from hpsearch.searching.specifications import specification
from hpsearch.searching.study import failure_cause, make_search
from hpsearch.training import Engine, TrialQueue
from hpsearch.training.devices import worker_threads
from hpsearch.training.network import registration
from hpsearch.trial import Direction, TrainingRun, TrialSpec

TIMED_SECONDS = 0.25  # of training, from which an update's time is known well enough
TIMED_UPDATES = 100_000  # at most
TINY_RATE = 1e-9  # a learning rate that never diverges: time does not depend on it

Specify = Callable[[Mapping[str, Any], int], TrialSpec]


# ---- budgets


def set_budgets(context: ComparisonContext, arms: list[Arm]) -> list[Arm]:
    """Return the arms with their budgets; one in seconds is turned into updates, once, so that a run depends on its specification alone."""
    seconds = context.compare.seconds
    if seconds is None:
        return arms
    updates = context.writer.read_attribute("updates")
    for number, arm in enumerate(arms):
        context.observer.phase(PhaseProgress(UPDATES, number, len(arms)))
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
    context.observer.phase(_tuning([], total))
    searches = []
    for arm in arms:
        writer = context.open(arm.name, arm.config.settings())
        view = make_view(arm.config, context.direction)
        searches.append(make_search(arm.config, view, writer, Objectives(context.data.fold(0)), compare.trials))
    target = compare.target if compare.tune_until == "target" else None
    if target is not None:
        for search in searches:
            search.specify = capped(search, target, context.direction)
    names = [arm.name for arm in arms]
    train_together(context, names, searches, target, lambda: _tuning(searches, total))
    return searches


def _tuning(searches: Sequence[Search], total: int) -> PhaseProgress:
    states = [search.status for search in searches]
    recalled = sum(state.done - state.trained for state in states)
    return PhaseProgress(TUNING, sum(state.done for state in states), total, recalled=recalled)


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
        return cut(spec, cap)

    return specify_capped


# ---- winners


def choose(context: ComparisonContext, arms: list[Arm], searches: list[Search]) -> dict[str, Any]:
    """Return the plan of the comparison: its target, and the winners of each arm's first stage, as the storage keeps it."""
    compare = context.compare
    runs = [search.runs for search in searches]
    target = compare.target
    if target is None:
        target = common_target(runs, context.direction)
    if target is None or all(best(answers, context.direction) is None for answers in runs):
        every = [run for answers in runs for run in answers.values()]
        raise SearchFailed(f"no trial of any batch size gave a usable network{failure_cause(every)}")
    plan: dict[str, Any] = {"target": target, "given": compare.target is not None, "arms": {}}
    for arm, answers in zip(arms, runs, strict=True):
        plan["arms"][arm.name] = asdict(_choose_winners(context, answers, target))
    context.writer.write_attribute("made", _description(context, arms, searches, plan))
    if not context.writer.read_attribute("plan"):
        context.writer.write_attribute("plan", plan)
    return plan


def _choose_winners(context: ComparisonContext, runs: Mapping[int, TrainingRun], target: float) -> ArmPlan:
    quickest = fastest(runs, target, context.direction)
    if context.compare.tune_until == "target" and quickest is not None:
        return ArmPlan(quickest, quickest)  # trials ended at the target: the best metric is of the first to pass it
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
