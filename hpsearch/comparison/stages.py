"""The stages that train: budgets, tuning, who won, fresh seeds. Each goes on where an earlier process ended."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from optuna.trial import FixedTrial

from hpsearch.comparison.arms import Arm
from hpsearch.comparison.capping import capped
from hpsearch.comparison.context import ComparisonContext
from hpsearch.comparison.measuring import Measured
from hpsearch.comparison.probing import updates_in
from hpsearch.comparison.replicates import WinnerReplicates
from hpsearch.comparison.scoring import scores
from hpsearch.comparison.tuning import RoundRobinSource
from hpsearch.comparison.winners import best, common_target, fastest
from hpsearch.errors import SearchFailed
from hpsearch.model.provenance import versions
from hpsearch.progress import PhaseProgress
from hpsearch.searching.loop import Search
from hpsearch.searching.study import make_search, make_view, specification
from hpsearch.storage.reading import WINNER
from hpsearch.training.devices import worker_threads
from hpsearch.training.network import registration


def budgeted(context: ComparisonContext, arms: list[Arm]) -> list[Arm]:
    """Return the arms with their budgets; one in seconds is turned into updates, once."""
    compare = context.compare
    if compare.seconds is None:
        return arms
    known = context.writer.read_attribute("updates")
    for number, arm in enumerate(arms):
        context.observer.phase(PhaseProgress("timing updates", number, len(arms)))
        if arm.name not in known:
            known[arm.name] = updates_in(compare.seconds, arm, context.data, context.engine)
    context.writer.write_attribute("updates", known)
    return [arm.within(known[arm.name]) for arm in arms]


def tune(context: ComparisonContext, arms: list[Arm]) -> list[Search]:
    """Try every arm's hyperparameters."""
    compare = context.compare
    context.observer.phase(PhaseProgress("tuning", 0, len(arms) * compare.trials))
    searches = []
    for arm in arms:
        writer = context.open(arm.name, arm.config.settings())
        view = make_view(arm.config, context.direction)
        searches.append(make_search(arm.config, view, writer, context.data, compare.trials))
    target = compare.target if compare.tune_until == "target" else None
    if target is not None:
        for search in searches:
            search.specify = capped(search, target, context.direction)
    _run(context, "tuning", searches, lambda: sum(s.status.done for s in searches), len(arms) * compare.trials, target)
    return searches


def choose(context: ComparisonContext, arms: list[Arm], searches: list[Search]) -> dict[str, Any]:
    """Return the target and each arm's winners: `fastest` to the target and `best` of the metric, by trial number, or None."""
    compare = context.compare
    runs = [search.answers for search in searches]
    target = compare.target if compare.target is not None else common_target(runs, context.direction)
    if target is None or all(best(answers, context.direction) is None for answers in runs):
        raise SearchFailed("no trial of any batch size gave a usable network. Lower the learning rates.")
    plan: dict[str, Any] = {"target": target, "given": compare.target is not None, "arms": {}}
    for arm, answers in zip(arms, runs, strict=True):
        quick, good = fastest(answers, target, context.direction), best(answers, context.direction)
        complete = compare.tune_until == "budget"  # else the best metric is only that of the first to pass the target
        plan["arms"][arm.name] = {"fastest": quick, "best": good if complete or quick is None else quick}
    context.writer.write_attribute("plan", plan)
    context.writer.write_attribute("made", _made(context, arms, searches, plan))
    return plan


def _made(
    context: ComparisonContext, arms: list[Arm], searches: list[Search], plan: Mapping[str, Any]
) -> dict[str, Any]:
    """Return with what it was made, and what torch registers of the network of the first arm that has a winner."""
    specs = (
        search.specify(search.view.space.suggest(FixedTrial(search.view.trials[number].params)), number)
        for arm, search in zip(arms, searches, strict=True)
        if (number := plan["arms"][arm.name]["best"]) is not None
    )
    architecture = next(specs).architecture
    assert architecture is not None, "a comparison trains dense networks"
    return {
        "device": str(context.data.training.inputs.device),
        "places": worker_threads(context.data),
        "versions": versions(),
        "architecture": asdict(architecture) | {"widths": list(architecture.widths)},
        "parameters": architecture.parameters,
        "registered": registration(architecture),
    }


def train_again(
    context: ComparisonContext, arms: list[Arm], searches: list[Search], plan: Mapping[str, Any]
) -> list[Measured]:
    """Train the winners on fresh seeds; return the fastest of each arm."""
    compare, seed = context.compare, context.config.study.seed
    winners: list[Measured] = []
    replicates: list[WinnerReplicates] = []
    for arm, search in zip(arms, searches, strict=True):
        chosen = plan["arms"][arm.name]
        for number in sorted({n for n in chosen.values() if n is not None}):
            params = search.view.trials[number].params
            spec = specification(arm.config, arm.config.space.suggest(FixedTrial(params)), number, context.data)
            settings = {**arm.config.settings(), "winner": {"trial": number, "params": dict(params)}}
            writer = context.open(f"{arm.name}{WINNER}{number}", settings)
            winners += [Measured(f"{arm.name}{WINNER}{number}", spec, writer)] if number == chosen["fastest"] else []
            worst = float(context.data.summary["worst"])
            replicates.append(
                WinnerReplicates(spec, seed, compare.seeds, writer, partial(scores, data=context.data), worst)
            )
    target = plan["target"] if compare.train_until == "target" else None
    total = len(replicates) * compare.seeds
    sources = [winner.source for winner in replicates]
    _run(
        context,
        "training the winners on fresh seeds",
        sources,
        lambda: sum(winner.done for winner in replicates),
        total,
        target,
    )
    return winners


def _run(
    context: ComparisonContext, name: str, sources: list[Any], done: Callable[[], int], total: int, target: float | None
) -> None:
    together = RoundRobinSource(
        sources, context, target, lambda: context.observer.phase(PhaseProgress(name, done(), total))
    )
    context.engine.run(together)
    context.observer.phase(PhaseProgress(name, done(), total))
