"""What is said of a study that hpsearch did not run: its trials, and nothing about data, test rows or networks, which it does not know."""

from collections import Counter
from typing import Any

from hpsearch.locales import Texts
from hpsearch.reporting import pieces
from hpsearch.reporting.failures import endings
from hpsearch.reporting.figures.pareto import pareto_reading
from hpsearch.reporting.formatting import MetricFormat, duration, identifier, number, sentence, visible
from hpsearch.reporting.ranking import ended, ranked, with_all_objectives
from hpsearch.reporting.selection import all_trials, usable_trials
from hpsearch.reporting.tables.table import end_of
from hpsearch.storage import StudyRecord, TrialRecord

SETTINGS = 16  # hyperparameters that are named
ATTRIBUTES = 50  # of the study, that the page lists


def foreign_introduction(record: StudyRecord, texts: Texts) -> list[str]:
    """Say that the study is not hpsearch's, and which value is better."""
    key = "introduction"
    if any(trial.parameters for trial in record.trials):
        key = "introduction_objective"
    lines = [texts(f"search.foreign_study.{key}")]
    metrics = MetricFormat.objectives(record, texts)
    if len(metrics) == 1:
        return [*lines, texts(f"search.foreign_study.{_better(metrics[0])}", metric=metrics[0].name)]
    named = [texts(f"search.foreign_study.{_better(metric)}_of_several", metric=metric.name) for metric in metrics]
    first = metrics[0].name
    return [*lines, texts("search.foreign_study.objectives", objectives=texts.listing(named), first=first)]


def _better(metric: MetricFormat) -> str:
    return "higher" if metric.maximize else "lower"


def foreign_result(record: StudyRecord, texts: Texts) -> pieces.Result:
    """Return the best trial, of several objectives the Pareto front, or why there is none."""
    trials = ranked(record)
    if not trials:
        return pieces.Result(texts("search.result.title"), [pieces.Paragraph(_without_result(record, texts), "best")])
    if record.objectives:
        text = pareto_reading({"pareto": _front_table(record)}, record, texts)
        title = texts("search.foreign_study.front")
        return pieces.Result(title, [pieces.Paragraph(text, "best")], _bests(record, texts))
    metric = MetricFormat.of(record, texts)
    best = trials[0]
    values = [
        pieces.Value(sentence(metric.name), metric.text(best.value), _best_of(record, texts)),
        pieces.Value(
            texts("search.result.trial"),
            str(best.number),
            texts("search.result.of_trials", trials=all_trials(record, texts)),
        ),
    ]
    note = ""
    if len(trials) > 1:
        note = texts("search.trust.best_of_many", trials=usable_trials(record, texts))
    return pieces.Result(
        texts("search.result.best_so_far"), [pieces.Paragraph(_settings(best, texts), "best")], values, note
    )


def _front_table(record: StudyRecord) -> Any:
    from hpsearch.reporting.tables.results import OBJECTIVES

    return OBJECTIVES.build(record, {})


def _without_result(record: StudyRecord, texts: Texts) -> str:
    """Say that no trial has a usable value, and what became of them."""
    if not record.trials:
        return texts("search.result.no_trial")
    counts = Counter(trial.outcome or trial.state for trial in record.trials)
    trials = texts.count("trial", len(record.trials))
    return texts("search.foreign_study.no_value", trials=trials, endings=endings(counts, texts))


def _settings(trial: TrialRecord, texts: Texts) -> str:
    """Return a trial's hyperparameters in a sentence."""
    settings = [f"{identifier(name, 60)} {number(value)}" for name, value in trial.params.items()]
    if not settings:
        return texts("search.foreign_study.no_hyperparameters", trial=trial.number)
    if len(settings) > SETTINGS:
        more = texts("search.foreign_study.more", amount=f"{len(settings) - SETTINGS:,}")
        settings = [*settings[:SETTINGS], more]
    return texts("search.foreign_study.settings", trial=trial.number, settings=texts.listing(settings))


def _best_of(record: StudyRecord, texts: Texts) -> str:
    return texts("search.result.best_of", trials=usable_trials(record, texts))


def _bests(record: StudyRecord, texts: Texts) -> list[pieces.Value]:
    """Return the best value in each objective, with its trial."""
    trials = with_all_objectives(record)
    found = []
    for place, metric in enumerate(MetricFormat.objectives(record, texts)):
        sign = -1 if metric.maximize else 1
        best = min(trials, key=lambda trial: sign * trial.values[place], default=None)
        if best is not None:
            remark = texts("search.foreign_study.best_in", trial=best.number)
            found.append(pieces.Value(sentence(metric.name), metric.text(best.values[place]), remark))
    return found


def foreign_protocol(record: StudyRecord, texts: Texts) -> list[tuple[str, str]]:
    """Return what the storage says of how the study was done, its user attributes last."""
    trials = texts.count("trial", len(record.trials))
    timed = [trial for trial in record.trials if trial.seconds is not None]
    over = [end_of(trial) for trial in timed if ended(trial)]
    rows = [
        (texts("search.protocol.trials"), trials),
        (texts("search.protocol.time"), duration(max(over)) if over else ""),
    ]
    attributes = list(record.attributes.items())[:ATTRIBUTES]
    return rows + [(visible(name, 100), number(value)) for name, value in attributes]
