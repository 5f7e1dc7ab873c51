"""What to beware of: each pitfall that the comparison fell into, found in its record, as a line of the page."""

from collections.abc import Callable, Iterable, Iterator

from hpsearch.comparison.analysis.measured import measured_runs
from hpsearch.comparison.analysis.times import ArmTimes, optimizers, times
from hpsearch.comparison.analysis.tuning import failed, rates
from hpsearch.comparison.figures.appearance import optimizer_name, regime_name
from hpsearch.comparison.page.said import percent
from hpsearch.reporting.formatting import number
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ArmRecord, ComparisonRecord

SEEDS = 10  # from which a bootstrap of the median keeps to its 95 %
MEASURED = 3
FINE = 0.02  # of the updates to the target

Names = Callable[[Iterable[ArmRecord | ArmTimes]], str]


def cautions(record: ComparisonRecord, texts: Texts) -> list[str]:
    """Return the warnings of a comparison, the gravest first."""
    if not record.arms:
        return []

    def names(arms: Iterable[ArmRecord | ArmTimes]) -> str:
        several = len(optimizers(record)) > 1
        return ", ".join(
            (f"{optimizer_name(arm.optimizer)}: " if several else "")
            + regime_name(arm.batch_size, record.rows, texts, short=True)
            for arm in arms
        )

    found = [*_means(record, names), *_runs(record, names), *_looks(record, names)]
    return [texts(f"caution.{key}", **values) for key, values in found]


Finding = tuple[str, dict[str, str]]


def _means(record: ComparisonRecord, names: Names) -> Iterator[Finding]:
    """Yield what is wrong with what was tried."""
    edges = {(arm.optimizer, arm.batch_size) for arm in rates(record) if arm.edge and arm.tuned is not None}
    if edge := [arm for arm in record.arms if (arm.optimizer, arm.batch_size) in edges]:
        yield "edge", {"names": names(edge)}
    if record.target is not None and not record.target_given:
        yield "chosen", {}
    counts = [len([t for t in arm.trials if t.state == "complete"]) for arm in record.arms]
    if len(set(counts)) > 1:
        yield "unequal", {"least": number(min(counts)), "most": number(max(counts))}
    sizes = {arm.batch_size for arm in record.arms}
    if record.rows not in sizes:
        yield "no_full", {}
    if 1 not in sizes:
        yield "no_one", {}


def _runs(record: ComparisonRecord, names: Names) -> Iterator[Finding]:
    """Yield what is wrong with the runs on fresh seeds."""
    arms = times(record)
    if (seeds := min((arm.runs for arm in arms), default=SEEDS)) < SEEDS:
        yield "few_seeds", {"seeds": number(seeds), "enough": number(SEEDS)}
    if none := [arm for arm in record.arms if arm.trials and arm.fastest is None and record.target is not None]:
        yield "no_winner", {"names": names(none)}
    if censored := [arm for arm in arms if 0 < arm.reached < arm.runs]:
        yield "censored", {"names": names(censored)}
    if lost := [arm for arm in record.arms if any(failed(run) for w in (arm.fastest, arm.best) if w for run in w.runs)]:
        yield "diverged", {"names": names(lost)}
    if coarse := [arm for arm in arms if arm.resolution is not None and arm.resolution > FINE * 1.001]:
        worst = max(arm.resolution for arm in coarse if arm.resolution is not None)
        yield "coarse", {"names": names(coarse), "share": percent(worst), "wanted": percent(FINE)}
    if record.settings["compare"].get("train_until") == "target":
        yield "cut", {}


def _looks(record: ComparisonRecord, names: Names) -> Iterator[Finding]:
    """Yield what limits how far the findings reach."""
    runs = min((len(measured_runs(arm)) for arm in record.arms if arm.fastest), default=0)
    if runs < MEASURED:
        yield "few_measured", {"runs": number(runs), "enough": number(MEASURED)}
    rows = int(record.data["rows"]["validation"])
    if rows < 1000:
        yield "small_validation", {"rows": number(rows)}
    yield "one_split", {}
