"""What to beware of: each pitfall that the comparison fell into, found in its record, as a line of the page."""

from collections.abc import Callable, Iterable, Iterator

from hpsearch.comparison.analysis.measured import measured_runs
from hpsearch.comparison.analysis.times import ArmTimes, optimizers, times
from hpsearch.comparison.analysis.tuning import failed, rates
from hpsearch.comparison.figures.appearance import optimizer_name, regime_name
from hpsearch.comparison.page.values import percent
from hpsearch.reporting.formatting import number
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ArmRecord, ComparisonRecord

SEEDS = 10  # from which a bootstrap of the median keeps to its 95 %
MEASURED = 3
RESOLUTION = 0.02  # of the updates to the target
VALIDATION_ROWS = 1000

Names = Callable[[Iterable[ArmRecord | ArmTimes]], str]
Pitfall = tuple[str, dict[str, str]]  # the key of its sentence, and the values that fill it


def warnings(record: ComparisonRecord, texts: Texts) -> list[str]:
    """Return the warnings of a comparison, the gravest first."""
    if not record.arms:
        return []

    def names(arms: Iterable[ArmRecord | ArmTimes]) -> str:
        return ", ".join(_arm_name(arm, record, texts) for arm in arms)

    pitfalls = [*_tuning(record, names), *_replicates(record, names), *_reach(record)]
    return [texts(f"caution.{key}", **values) for key, values in pitfalls]


def _arm_name(arm: ArmRecord | ArmTimes, record: ComparisonRecord, texts: Texts) -> str:
    regime = regime_name(arm.batch_size, record.rows, texts, short=True)
    several = len(optimizers(record)) > 1
    if several:
        return f"{optimizer_name(arm.optimizer)}: {regime}"
    return regime


def _tuning(record: ComparisonRecord, names: Names) -> Iterator[Pitfall]:
    """Yield the pitfalls of what was tried."""
    at_edge = {(arm.optimizer, arm.batch_size) for arm in rates(record) if arm.edge and arm.tuned is not None}
    edge = [arm for arm in record.arms if (arm.optimizer, arm.batch_size) in at_edge]
    if edge:
        yield "edge", {"names": names(edge)}
    if record.target is not None and not record.target_given:
        yield "chosen", {}
    counts = [sum(trial.state == "complete" for trial in arm.trials) for arm in record.arms]
    if len(set(counts)) > 1:
        yield "unequal", {"least": number(min(counts)), "most": number(max(counts))}
    sizes = {arm.batch_size for arm in record.arms}
    if record.rows not in sizes:
        yield "no_full", {}
    if 1 not in sizes:
        yield "no_one", {}


def _replicates(record: ComparisonRecord, names: Names) -> Iterator[Pitfall]:
    """Yield the pitfalls of the runs on fresh seeds."""
    arms = times(record)
    seeds = min((arm.runs for arm in arms), default=SEEDS)
    if seeds < SEEDS:
        yield "few_seeds", {"seeds": number(seeds), "enough": number(SEEDS)}
    if record.target is not None:
        no_winner = [arm for arm in record.arms if arm.trials and arm.fastest is None]
        if no_winner:
            yield "no_winner", {"names": names(no_winner)}
    censored = [arm for arm in arms if 0 < arm.reached < arm.runs]
    if censored:
        yield "censored", {"names": names(censored)}
    diverged = [arm for arm in record.arms if _any_failed(arm)]
    if diverged:
        yield "diverged", {"names": names(diverged)}
    coarse = [arm for arm in arms if arm.resolution is not None and arm.resolution > RESOLUTION * 1.001]
    if coarse:
        worst = max(arm.resolution or 0.0 for arm in coarse)
        yield "coarse", {"names": names(coarse), "share": percent(worst), "wanted": percent(RESOLUTION)}
    if record.settings["compare"].get("train_until") == "target":
        yield "cut", {}


def _any_failed(arm: ArmRecord) -> bool:
    winners = [winner for winner in (arm.fastest, arm.best) if winner]
    return any(failed(run) for winner in winners for run in winner.runs)


def _reach(record: ComparisonRecord) -> Iterator[Pitfall]:
    """Yield what limits how far the results reach."""
    runs = min((len(measured_runs(arm)) for arm in record.arms if arm.fastest), default=0)
    if runs < MEASURED:
        yield "few_measured", {"runs": number(runs), "enough": number(MEASURED)}
    rows = int(record.data["rows"]["validation"])
    if rows < VALIDATION_ROWS:
        yield "small_validation", {"rows": number(rows)}
    yield "one_split", {}
