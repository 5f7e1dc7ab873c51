"""The beginning of a comparison's page: what was compared, the regimes at a glance, and what to beware of.

Each pitfall that the comparison fell into is found in its record.
"""

from collections.abc import Iterable, Iterator
from math import inf, isfinite

from hpsearch.comparison.analysis.judgement import ENOUGH_SEEDS
from hpsearch.comparison.analysis.measured import measured_runs
from hpsearch.comparison.analysis.quality import quality
from hpsearch.comparison.analysis.times import UNITS, ArmTimes, optimizers, times
from hpsearch.comparison.analysis.tuning import rates
from hpsearch.comparison.figures.appearance import (
    OfArm,
    arm_name,
    metric_name,
    optimizer_name,
    percent,
    regime_name,
    significant,
    sizes_of,
    target_text,
)
from hpsearch.data.metrics import METRICS
from hpsearch.locales import Texts
from hpsearch.reporting.formatting import MetricFormat, duration, number, visible
from hpsearch.reporting.pieces import PageTable, Paragraph
from hpsearch.statistics import Estimate
from hpsearch.storage import ArmRecord, ComparisonRecord
from hpsearch.trial import BUDGET_UNITS, UNSAID

COLUMNS = ("regime", "rate", "updates", "epochs", "seconds", "reached", "test")
RESOLUTION = 0.02  # of the updates to the target
VALIDATION_ROWS = 1000

Pitfall = tuple[str, dict[str, str]]  # the key of its sentence, and the values that fill it


def introduction(record: ComparisonRecord, texts: Texts) -> Iterator[str]:
    """Say on which data what was compared, or that the escape tests need none."""
    if not record.arms:
        if record.minima:
            yield texts("page.asked_minima")
        return
    seeds = number(record.settings["compare"]["seeds"])
    yield texts("page.asked_data", title=data_title(record, 200), seeds=seeds, **row_counts(record))


def summary_remark(record: ComparisonRecord, texts: Texts) -> str:
    """Return what stands below the first figure where it is a picture by itself."""
    asked = next(introduction(record, texts), "")
    return f"{asked} {texts('page.asked_axis', metric=metric_name(record, texts))}"


def data_title(record: ComparisonRecord, most: int) -> str:
    """Return what the data set is called, cut to `most` characters."""
    return visible(record.data.get("title") or record.data["name"], most)


def row_counts(record: ComparisonRecord) -> dict[str, str]:
    """Return the numbers of training, validation and test rows as texts."""
    rows = record.data["rows"]
    return {part: number(rows[part]) for part in ("training", "validation", "test")}


def budget(record: ComparisonRecord, texts: Texts) -> str:
    """Return what each run may use, in words."""
    seconds = record.settings["compare"].get("seconds")
    if seconds:
        return texts("unit.seconds", time=duration(float(seconds)))
    training = record.settings["training"]
    unit, amount = next(((unit, training[unit]) for unit in BUDGET_UNITS if training.get(unit)), UNSAID)
    return texts.count(unit.removesuffix("s"), amount)


def all_sizes(record: ComparisonRecord, texts: Texts) -> list[PageTable | Paragraph]:
    """Return every batch size in one line of a table: what it needed, and how good it got; nothing before one was timed."""
    arms = times(record)
    if not arms:
        return []
    head = [texts(f"glance.{name}") for name in COLUMNS]
    numeric = head[1:]
    scores = {(arm.optimizer, arm.batch_size): arm.scores.get("test") for arm in quality(record)}
    rows = [_row(arm, scores.get((arm.optimizer, arm.batch_size)), record, texts) for arm in arms]
    if len(optimizers(record)) > 1:
        head.insert(0, texts("glance.optimizer"))
        for arm, row in zip(arms, rows, strict=True):
            row.insert(0, optimizer_name(arm.optimizer))
    return [
        PageTable(head, rows, numeric, label=texts("glance.title")),
        Paragraph(texts("glance.note", target=target_text(record, texts)), "note"),
    ]


def _row(arm: ArmTimes, score: Estimate | None, record: ComparisonRecord, texts: Texts) -> list[str]:
    return [
        arm_name(arm, record, texts),
        significant(arm.learning_rate) if arm.learning_rate else "–",
        *(_cost(arm, unit, texts) for unit in UNITS),
        f"{arm.reached}/{arm.runs}",
        _score(score, MetricFormat.of(record, texts), texts),
    ]


def _cost(arm: ArmTimes, unit: str, texts: Texts) -> str:
    """Return the median cost with its interval."""
    if unit not in arm.costs:
        return "–"

    def write(value: float) -> str:
        if not isfinite(value):
            return texts("page.never")
        return duration(value) if unit == "seconds" else significant(value)

    median = arm.costs[unit].median
    if median.low == inf:
        return texts("page.never")
    return texts("page.interval", value=write(median.value), low=write(median.low), high=write(median.high))


def _score(estimate: Estimate | None, metric: MetricFormat, texts: Texts) -> str:
    if estimate is None:
        return "–"
    ends = {"low": metric.text(estimate.low), "high": metric.text(estimate.high)}
    if ends["low"] == ends["high"]:
        return metric.text(estimate.value)
    return texts("page.interval", value=metric.text(estimate.value), **ends)


# ---- what to beware of


def warnings(record: ComparisonRecord, texts: Texts) -> list[str]:
    """Return the warnings of a comparison, the gravest first."""
    if not record.arms:
        return []
    pitfalls = [*_tuning(record, texts), *_replicates(record, texts), *_reach(record)]
    doubts = [visible(texts.word(str(doubt))) for doubt in record.data.get("doubts") or []]
    return [*doubts, *(texts(f"caution.{key}", **values) for key, values in pitfalls)]


def _names(arms: Iterable[OfArm], record: ComparisonRecord, texts: Texts) -> str:
    names = []
    for arm in arms:
        name = arm_name(arm, record, texts)  # momentum on one row is no SGD
        if arm.optimizer == "sgd":
            name = regime_name(arm.batch_size, record.rows, texts, short=True)
        if len(optimizers(record)) > 1:
            name = f"{optimizer_name(arm.optimizer)}: {name}"
        names.append(name)
    return ", ".join(names)


def _tuning(record: ComparisonRecord, texts: Texts) -> Iterator[Pitfall]:
    """Yield the pitfalls of what was tried."""
    at_edge = {(arm.optimizer, arm.batch_size) for arm in rates(record) if arm.edge and arm.tuned is not None}
    edge = [arm for arm in record.arms if (arm.optimizer, arm.batch_size) in at_edge]
    if edge:
        yield "edge", {"names": _names(edge, record, texts)}
    if record.target is not None and not record.target_given:
        yield "chosen", {}
    counts = [sum(trial.state == "complete" for trial in arm.trials) for arm in record.arms]
    if len(set(counts)) > 1:
        yield "unequal", {"least": number(min(counts)), "most": number(max(counts))}
    sizes = sizes_of(record.arms)
    if record.rows not in sizes:
        yield "no_full", {}
    if 1 not in sizes:
        yield "no_one", {}


def _replicates(record: ComparisonRecord, texts: Texts) -> Iterator[Pitfall]:
    """Yield the pitfalls of the runs on fresh seeds."""
    arms = times(record)
    seeds = min((arm.runs for arm in arms), default=ENOUGH_SEEDS)
    if seeds < ENOUGH_SEEDS:
        yield "few_seeds", {"seeds": texts.count("fresh_seed", seeds), "enough": number(ENOUGH_SEEDS)}
    if record.target is not None:
        no_winner = [arm for arm in record.arms if arm.trials and arm.fastest is None]
        if no_winner:
            yield "no_winner", {"names": _names(no_winner, record, texts)}
    censored = [arm for arm in arms if 0 < arm.reached < arm.runs]
    if censored:
        yield "censored", {"names": _names(censored, record, texts)}
    diverged = [arm for arm in record.arms if _any_failed(arm)]
    if diverged:
        yield "diverged", {"names": _names(diverged, record, texts)}
    coarse = [arm for arm in arms if arm.resolution is not None and arm.resolution > RESOLUTION * 1.001]
    if coarse:
        names = []
        for arm in coarse:
            share = percent(arm.resolution or 0.0)
            names.append(texts("reading.within", name=_names([arm], record, texts), share=share))
        yield "coarse", {"names": ", ".join(names), "wanted": percent(RESOLUTION)}
    if record.settings["compare"].get("train_until") == "target":
        yield "cut", {}


def _any_failed(arm: ArmRecord) -> bool:
    winners = [winner for winner in (arm.fastest, arm.best) if winner]
    return any(run.failed for winner in winners for run in winner.runs)


def _reach(record: ComparisonRecord) -> Iterator[Pitfall]:
    """Yield what limits how far the results reach."""
    runs = min((len(measured_runs(arm)) for arm in record.arms if arm.fastest), default=0)
    if runs < ENOUGH_SEEDS:
        yield "few_measured", {"runs": number(runs), "enough": number(ENOUGH_SEEDS)}
    rows = int(record.data["rows"]["validation"])
    metric = METRICS.get(str(record.data.get("metric")))
    if metric is not None and metric.counts_rows and rows < VALIDATION_ROWS:
        yield "small_validation", {"rows": number(rows)}
    if record.divisions == 1:
        yield "one_split", {}
    if not record.own_rows:
        yield "shared_rows", {}
