"""The second stage of tuning: around the best settings of an arm's first stage, a finer grid of learning rates on fresh seeds.

The first stage tries each setting once, so that the best of them is partly luck, and its learning rate lies where a coarse sequence put
it. The grid's learning rates are half an octave apart in every arm, and go from half to twice that of the best setting; all else stays as
it was. Each setting is trained on the same few seeds, none of which any other stage has. The winner is the setting with the least mean
log2 of the updates to the target, or with the best mean metric. Where it lies at an end of its grid, the grid goes on beyond, twice at most
and within the space: the best is to have a worse neighbour on both sides (Google's Deep Learning Tuning Playbook, figure 1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count, product
from math import inf, log2, sqrt
from statistics import fmean
from typing import Any

from hpsearch.comparison.arms import LATE, SEEDS, Arm, ArmPlan, cut, reached
from hpsearch.comparison.context import ComparisonContext, train_together
from hpsearch.comparison.forecast import REFINING
from hpsearch.progress import PhaseProgress
from hpsearch.searching.loop import Search, previous_run
from hpsearch.searching.specifications import recorded_specification, replicate
from hpsearch.space import Real
from hpsearch.storage.reading import REFINED, SEED
from hpsearch.training import TrialQueue
from hpsearch.trial import TrainingRun, TrialSpec, at_worst

RATE = "learning_rate"
STREAM = "refined"  # of the seeds, none of which a winner's runs have
STEP = sqrt(2)  # between two learning rates of a grid
STEPS = 2  # on either side, and beyond an end
EXTENSIONS = 2
DIGITS = 4  # of a learning rate

Identity = tuple[tuple[str, Any], ...]  # the parameters of a run, its seed among them


@dataclass(frozen=True, slots=True)
class Setting:
    """A learning rate, with the other hyperparameters of a trial of the first stage."""

    trial: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Learning rates around the one of the first stage, `origin`, within the space's `low` and `high`."""

    origin: float
    low: float
    high: float
    rates: tuple[float, ...]

    @classmethod
    def around(cls, origin: float, domain: Real) -> "Grid":
        """Return the grid of a learning rate: up to `STEPS` steps of √2 away on either side."""
        alone = cls(origin, float(domain.low), float(domain.high), (origin,))
        return alone.with_steps(origin, -1).with_steps(origin, 1)

    def with_steps(self, rate: float, side: int) -> "Grid":
        """Return the grid with more learning rates above another one (`side` 1) or below it (-1); beyond the space lies its end."""
        steps = [rate * STEP ** (side * step) for step in range(1, STEPS + 1)]
        more = {min(max(float(f"{step:.{DIGITS}g}"), self.low), self.high) for step in steps}
        return replace(self, rates=tuple(sorted({*self.rates, *more})))

    def beyond(self, rate: float) -> "Grid":
        """Return the grid that goes on beyond a learning rate at an end of it; the same one where it is no end, or that of the space."""
        side = self.end(rate)
        if side is None:
            return self
        return self.with_steps(rate, 1 if side == "high" else -1)

    def end(self, rate: float) -> str | None:
        """Return which end of the grid a learning rate is, None where it has a neighbour on both sides."""
        if rate == self.rates[-1]:
            return "high"
        return "low" if rate == self.rates[0] else None


class ArmRefinement:
    """The second stage of one arm: its grids, by the trial of the first stage that each is around, and the runs so far.

    `source` gives an engine the runs that are missing.
    """

    def __init__(self, context: ComparisonContext, arm: Arm, search: Search, plan: ArmPlan, target: float) -> None:
        self.context = context
        self.target = target
        self.arm = arm
        self.ends_at_target = context.compare.tune_until == "target"
        self.first = plan
        self.most = inf  # updates of a run
        if self.ends_at_target and plan.fastest is not None:
            self.most = LATE * reached(search.runs[plan.fastest].history, target, context.direction)
        origins = {number for number in (plan.fastest, plan.best) if number is not None}
        trials = {number: search.view.trials[number] for number in sorted(origins)}
        self.params = {number: dict(trial.params) for number, trial in trials.items()}
        self.distributions = {number: {**trial.distributions, SEED: SEEDS} for number, trial in trials.items()}
        domain = arm.config.space.domain(RATE)
        assert isinstance(domain, Real), "the learning rate of an arm with a second stage is a range"
        self.grids = {number: Grid.around(params[RATE], domain) for number, params in self.params.items()}
        self.writer = context.open(f"{arm.name}{REFINED}", arm.config.settings())
        self.numbers: dict[Identity, int] = {}  # of the stored runs
        self.results: dict[Identity, TrainingRun] = {}
        for number, trial in enumerate(self.writer.previous_trials()):
            self.numbers[_identity(trial.params)] = number
            if trial.finished:
                self.results[_identity(trial.params)] = previous_run(number, trial.run)
        self.in_training: dict[int, Identity] = {}

    @property
    def settings(self) -> list[Setting]:
        """The settings, those around each trial in ascending order of their learning rates."""
        return [Setting(number, rate) for number, grid in self.grids.items() for rate in grid.rates]

    @property
    def total(self) -> int:
        """How many runs there are, done or not."""
        return len(self.settings) * self.context.compare.refine

    @property
    def done(self) -> int:
        """How many of the runs are done."""
        return sum(self._identity_of(*pair) in self.results for pair in self._pairs())

    def source(self) -> TrialQueue:
        """Return the runs that are missing, as an engine takes them."""
        asked = {self._identity_of(*pair): pair for pair in self._pairs()}
        fresh = count(len(self.numbers))
        specs = []
        origins: dict[int, int] = {}  # of a run's number: the trial of the first stage that its grid is around
        for identity, (setting, seed) in asked.items():
            if identity in self.results:
                continue
            number = self.numbers.get(identity)
            if number is None:
                number = next(fresh)
            specs.append(replace(self._spec(setting, seed), number=number))
            self.in_training[number] = identity
            origins[number] = setting.trial

        def begin(spec: TrialSpec) -> None:
            identity = self.in_training[spec.number]
            if identity not in self.numbers:
                self.numbers[identity] = spec.number
                params = dict(identity)
                known = self.distributions[origins[spec.number]]
                self.writer.begin(spec.number, params, {name: known[name] for name in params})

        return TrialQueue(specs, on_begin=begin, on_finish=self._finish, wanted=lambda run: False)

    @property
    def wins(self) -> list[str]:
        """What settings can win: "fastest" where a run of either stage reached the target, "best" unless runs end there."""
        runs = [self.results[self._identity_of(*pair)] for pair in self._pairs()]
        steps = [reached(run.history, self.target, self.context.direction) for run in runs]
        if self.first.fastest is None and min(steps) == inf:
            return ["best"]
        return ["fastest"] if self.ends_at_target else ["fastest", "best"]

    def extend(self) -> bool:
        """Let the grids go on where a winner lies at an end of one; whether one does."""
        before = dict(self.grids)
        for setting in [self.winner(won) for won in self.wins]:
            self.grids[setting.trial] = self.grids[setting.trial].beyond(setting.learning_rate)
        return self.grids != before

    def result(self) -> ArmPlan:
        """Return the winners."""
        found = {won: self.winner(won) for won in self.wins}
        found.setdefault("best", next(iter(found.values())))  # of runs that end at the target: of the first to pass it
        rates: dict[str, float] = {}
        edges: dict[str, str] = {}
        for won, setting in found.items():
            grid = self.grids[setting.trial]
            if setting.learning_rate != grid.origin:
                rates[won] = setting.learning_rate
            if side := grid.end(setting.learning_rate):
                edges[won] = side
        quickest = found.get("fastest")
        return ArmPlan(None if quickest is None else quickest.trial, found["best"].trial, rates, edges)

    def winner(self, won: str) -> Setting:
        """Return the setting that wins; of equals the one with the lowest validation loss, then that nearest to the first stage's."""
        cost = self._log_updates if won == "fastest" else self._signed_metric

        def rank(setting: Setting) -> tuple[float, float, float]:
            seeds = range(self.context.compare.refine)
            runs = [self.results[self._identity_of(setting, seed)] for seed in seeds]
            last = self._spec(setting, 0).updates
            losses = [inf if run.loss is None else run.loss for run in runs]
            distance = abs(log2(setting.learning_rate / self.grids[setting.trial].origin))
            return fmean(cost(run, last) for run in runs), fmean(losses), distance

        return min(self.settings, key=rank)

    def _log_updates(self, run: TrainingRun, last: int) -> float:
        """Return log2 of the updates to the target; a run that never reached it counts with twice the budget."""
        updates = reached(run.history, self.target, self.context.direction)
        return log2(min(updates, 2 * last))

    def _signed_metric(self, run: TrainingRun, last: int) -> float:
        """Return the metric, turned so that less is better; that of a failed run is the worst."""
        direction = self.context.direction
        value = at_worst(run.value, float(self.context.data.summary["worst"]), direction)
        return -value if direction == "maximize" else value

    def _pairs(self) -> list[tuple[Setting, int]]:
        return list(product(self.settings, range(self.context.compare.refine)))

    def _identity_of(self, setting: Setting, seed: int) -> Identity:
        return _identity({**self.params[setting.trial], RATE: setting.learning_rate, SEED: seed})

    def _spec(self, setting: Setting, seed: int) -> TrialSpec:
        params = {**self.params[setting.trial], RATE: setting.learning_rate}
        spec = recorded_specification(self.arm.config, params, setting.trial, self.context.data)
        return replicate(cut(spec, self.most), self.context.config.study.seed, seed, STREAM)

    def _finish(self, run: TrainingRun) -> None:
        worst = float(self.context.data.summary["worst"])
        seconds = run.history.seconds[-1] if len(run.history) else 0.0
        self.writer.finish(run, worst if run.value is None else run.value, {}, seconds)
        self.results[self.in_training.pop(run.number)] = replace(run, weights=None)


def refine(
    context: ComparisonContext, arms: Sequence[Arm], searches: Sequence[Search], plan: dict[str, Any]
) -> dict[str, Any]:
    """Return the plan of the first stage with the winners of the second; where a signal asks to stop, the plan as it is."""
    seeds = context.compare.refine
    if not seeds:
        return plan
    target = plan["target"]
    refinements = []
    for arm, search in zip(arms, searches, strict=True):
        first = ArmPlan(**plan["arms"][arm.name])
        if first.best is not None and isinstance(arm.config.space.domain(RATE), Real):
            refinements.append(ArmRefinement(context, arm, search, first, target))
    _train(context, refinements, target)
    for _ in range(EXTENSIONS):
        if context.stopping:
            break
        extended = [refinement.extend() for refinement in refinements]
        if not any(extended):
            break
        _train(context, refinements, target)
    if context.stopping:
        return plan
    found = {refinement.arm.name: asdict(refinement.result()) for refinement in refinements}
    return {**plan, "arms": {**plan["arms"], **found}}


def _train(context: ComparisonContext, refinements: Sequence[ArmRefinement], target: float) -> None:
    """Train what is missing."""
    train_together(
        context,
        [refinement.arm.name for refinement in refinements],
        [refinement.source() for refinement in refinements],
        target if context.compare.tune_until == "target" else None,
        lambda: PhaseProgress(
            REFINING,
            sum(refinement.done for refinement in refinements),
            sum(refinement.total for refinement in refinements),
        ),
    )


def _identity(params: Mapping[str, Any]) -> Identity:
    return tuple(sorted(params.items()))
