"""The screens of `list` and `show`: the studies that there are, and what one search found, each within the terminal's width."""

import shlex
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.text import Text

from hpsearch.errors import shortened
from hpsearch.locales import Texts, language_words
from hpsearch.reporting.failures import what_happened
from hpsearch.reporting.formatting import SPACE, MetricFormat, duration, number, printable, visible
from hpsearch.reporting.headline import compare_command
from hpsearch.reporting.ranking import best, ended, hyperparameters, ranked, settings_of
from hpsearch.reporting.regimes import RegimeTrials, regime_name, regimes
from hpsearch.reporting.screen import HEAD, Screen
from hpsearch.reporting.selection import network, of_trials, trained_on
from hpsearch.reporting.trust import always, beside
from hpsearch.storage import ComparisonRecord, StudyRecord, TrialRecord
from hpsearch.storage.folders import BEST, models_in
from hpsearch.storage.records import Score, StoredStudy

TOP = 10  # trials that are shown
LONGEST_CELL = 14  # characters of a hyperparameter's value
PROGRAM = ("python", "-m", "hpsearch")
STYLES = {"running": "cyan", "finished": "green", "stopped": "yellow", "failed": "red", "unreadable": "red"}
NEW_ROWS = "new.csv"
GAP = 2  # cells between columns
LEAST = 8  # cells of a column that is cut


def command(*words: str) -> str:
    """Return a command line of hpsearch, to be pasted."""
    return shlex.join([*PROGRAM, *words])


def state(stored: StoredStudy) -> str:
    """Return how far a study is: running, finished, stopped, failed (no trial is usable); unknown of another program's."""
    record = stored.record
    if stored.running:
        return "running"
    if isinstance(record, ComparisonRecord):
        tuned = record.arms and all(arm.best or arm.fastest for arm in record.arms)
        is_done = tuned or (not record.arms and record.minima)
        return "finished" if is_done else "stopped"
    if record.foreign:
        return "unknown"
    if record.result:
        return "finished"
    if len(list(filter(ended, record.trials))) >= _wanted(record) and not ranked(record):
        return "failed"
    return "stopped"


# ------------------------------------------------------------------ the studies that there are


def study_row(name: str, stored: StoredStudy, texts: Texts) -> list[Text]:
    """Return a line on a study: name, data and task, trials, score, state and the day of its last trial."""
    record = stored.record
    kind = texts.word(str(record.data.get("task") or ""))
    if isinstance(record, ComparisonRecord):
        kind = texts("screen.list.comparison")
    data = ", ".join(visible(part, 30) for part in (record.data.get("name"), kind) if part)
    now = state(stored)
    day = "–"
    if stored.ended is not None:
        day = time.strftime("%Y-%m-%d", time.localtime(stored.ended))
    cells = [visible(name, 40), data or "–", _progress(record), _score(record, texts)]
    return [*map(Text, cells), Text(texts(f"screen.state.{now}"), STYLES.get(now, "")), Text(day)]


def missing_row(name: str, reason: str, texts: Texts) -> list[Text]:
    """Return a line on a folder whose study cannot be read from here: `elsewhere`, `unstored` or `unreadable`."""
    dash = "–"
    shown_state = Text(texts(f"screen.state.{reason}"), STYLES.get(reason, ""))
    return [Text(visible(name, 40)), Text(dash), Text(dash), Text(dash), shown_state, Text(dash)]


def show_list(screen: Screen, rows: Sequence[Sequence[Text]], texts: Texts) -> None:
    """Print a line on each study, and what the scores are."""
    heads = [texts(f"screen.list.{head}") for head in ("study", "data", "trials", "score", "state", "ended")]
    print_table(screen, heads, rows, right=(2,), flexible=1)
    screen.announce("")
    screen.paragraph(texts("screen.list.about"))


def _progress(record: StudyRecord | ComparisonRecord) -> str:
    """Return how many trials have ended, and of how many while some are left."""
    if isinstance(record, ComparisonRecord):
        return f"{sum(len(arm.trials) for arm in record.arms):,}"
    done = len(list(filter(ended, record.trials)))
    wanted = _wanted(record)
    if record.result or done >= wanted:
        return f"{done:,}"
    return f"{done:,}/{wanted:,}"


def _wanted(record: StudyRecord) -> int:
    """Return how many trials a study is to have, 0 where nobody said so."""
    wanted = settings_of(record, "search").get("trials")
    return wanted if isinstance(wanted, int) else 0


def _score(record: StudyRecord | ComparisonRecord, texts: Texts) -> str:
    if isinstance(record, ComparisonRecord):
        return "–"
    metric = MetricFormat.of(record, texts)
    value = _best_value(record)
    if test := record.selected.test:
        value = test.value
    if value is None:
        return "–"
    return printable(metric.named_text(value))


def _best_value(record: StudyRecord) -> float | None:
    """Return the best value on the validation rows, the mean over fresh seeds where it is known."""
    if record.selected.mean:
        return float(record.selected.mean.value)
    leader = best(record)
    return leader.value if leader else None


# ------------------------------------------------------------------ one study


def show_study(screen: Screen, stored: StoredStudy) -> None:
    """Print the headline of a search, whoever made it, its selected network, its best trials and its regimes."""
    texts = screen.texts
    record = stored.record
    assert isinstance(record, StudyRecord), "comparisons have verdicts instead"
    name = visible(record.name, 60)
    if record.foreign:
        screen.headline(texts("screen.show.foreign_title", name=name))
    else:
        screen.headline(texts("screen.show.title", name=name, state=texts(f"screen.state.{state(stored)}")))
    _show_headline(screen, record, texts, failed=state(stored) == "failed")
    _show_selected(screen, record, texts)
    _show_counts(screen, record, texts)
    _show_top(screen, record, texts)
    _show_regimes(screen, record, texts)


def _show_headline(screen: Screen, record: StudyRecord, texts: Texts, *, failed: bool) -> None:
    """Print the score, on test rows where there are any, and what one answer for every row reaches; of a study that failed, why."""
    metric = MetricFormat.of(record, texts)
    mean = record.selected.mean
    leader = best(record)
    if test := record.selected.test:
        line = texts("screen.show.test", metric=metric.name, value=metric.text(test.value), rows=_count(test.count))
        line += _interval(metric, "rows", test, texts)
    elif mean:
        line = texts("screen.show.mean", metric=metric.name, value=metric.text(mean.value), seeds=_count(mean.count))
        line += _interval(metric, "seeds", mean, texts)
    elif leader:
        key = "foreign_best" if record.foreign else "best"
        line = texts(f"screen.show.{key}", metric=metric.name, value=metric.text(leader.value), trial=leader.number)
    elif failed:
        line = " ".join(what_happened(record.trials, texts))
    else:
        line = texts("screen.show.nothing")
    screen.row("result", line)
    if both := beside(record):
        value = metric.text(both.baseline)
        screen.row("baseline", texts("screen.show.baseline", always=always(record, texts), value=value))


def _count(count: object) -> str:
    return f"{count:,}" if isinstance(count, int) else "–"


def _interval(metric: MetricFormat, over: str, score: Score, texts: Texts) -> str:
    """Return a score's interval, over `seeds` or `rows`; "" where an end is not known."""
    if score.low is None or score.high is None:
        return ""
    first, last = metric.distinct(score.low, score.high)
    return texts(f"screen.show.over_{over}", low=first.removesuffix(f"{SPACE}%"), high=last)


def _show_selected(screen: Screen, record: StudyRecord, texts: Texts) -> None:
    """Print which network is selected, and its hyperparameters."""
    leader = best(record)
    if leader is None:
        return
    if not record.foreign:
        shape = record.result.get("architecture")
        model = of_trials(record.selected.trials or [leader.number], texts)
        if isinstance(shape, Mapping) and isinstance(shape.get("widths"), list):
            model += f": {network(shape['widths'], str(shape.get('activation') or ''), texts)}"
        parameters = record.result.get("parameters") or leader.parameters
        if parameters:
            model += f"; {texts('screen.show.parameters', count=number(parameters))}"
        screen.row("selected", model)
        if sentence := trained_on(record.result, texts):
            screen.row("", sentence)
    head = "best" if record.foreign else ""
    screen.row(head, ", ".join(f"{visible(name, 60)} {number(value)}" for name, value in leader.params.items()))


def _show_counts(screen: Screen, record: StudyRecord, texts: Texts) -> None:
    """Print how the trials ended, and how long the study took where that is known."""
    done = list(filter(ended, record.trials))
    counts = texts(
        "screen.show.trials",
        trials=f"{len(done):,}",
        usable=f"{len(ranked(record)):,}",
        pruned=f"{sum(trial.state == 'pruned' for trial in done):,}",
        failed=f"{sum(trial.failed for trial in done):,}",
    )
    screen.row("trials", counts)
    seconds = record.result.get("seconds")
    if isinstance(seconds, int | float):
        screen.row("time", duration(seconds))


def _show_top(screen: Screen, record: StudyRecord, texts: Texts) -> None:
    """Print the best trials, with as many hyperparameters as fit; the others are named."""
    trials = ranked(record)[:TOP]
    if not trials:
        return
    metric = MetricFormat.of(record, texts)
    names = hyperparameters(record)
    screen.announce("")
    key = "foreign_top" if record.foreign else "top"
    if len(ranked(record)) == 1:
        key = "foreign_only" if record.foreign else "only"
    screen.headline(texts(f"screen.show.{key}", count=len(trials), usable=f"{len(ranked(record)):,}"))
    heads = [texts("screen.head.trial"), metric.name]
    columns = [[str(trial.number) for trial in trials], [metric.text(trial.value) for trial in trials]]
    columns += [[_cell(trial, name) for trial in trials] for name in names]
    shown = _columns_that_fit(screen, [*heads, *names], columns)
    rows = [[Text(printable(cell)) for cell in row] for row in zip(*columns[:shown], strict=True)]
    print_table(screen, [*heads, *names][:shown], rows, right=range(shown))
    if left_out := names[shown - len(heads) :]:
        screen.paragraph(texts("screen.show.left_out", names=", ".join(visible(name, 40) for name in left_out)))


def _cell(trial: TrialRecord, name: str) -> str:
    if name not in trial.params:
        return "–"
    value = trial.params[name]
    is_float = isinstance(value, float)
    text = number(value, 3) if is_float else number(value)
    return shortened(text, LONGEST_CELL)


def _show_regimes(screen: Screen, record: StudyRecord, texts: Texts) -> None:
    """Print what the search sampled of SGD, mini-batches and gradient descent, and the command that compares them."""
    found = regimes(record)
    if not found:
        return
    metric = MetricFormat.of(record, texts)
    screen.announce("")
    screen.headline(texts("screen.show.regimes"))
    heads = [texts(f"screen.regime.{head}") for head in ("regime", "trials", "pruned", "failed", "best", "median")]
    rows = [[Text(printable(cell)) for cell in _regime_cells(one, metric, texts)] for one in found]
    print_table(screen, heads, rows, right=range(1, 6), flexible=0)
    screen.paragraph(texts("screen.show.caveat"))
    screen.command("", compare_command(record))


def _regime_cells(one: RegimeTrials, metric: MetricFormat, texts: Texts) -> Iterable[str]:
    best_value = "–"
    if one.best is not None:
        best_value = f"{metric.text(one.best.value)} (#{one.best.number})"
    counts = [f"{count:,}" for count in (len(one.trials), one.pruned, one.failed)]
    return [regime_name(one, texts), *counts, best_value, metric.text(one.median)]


# ------------------------------------------------------------------ what to type next


def show_next(screen: Screen, words: Sequence[str], stored: Sequence[str], folder: Path, first: str = "show") -> None:
    """Print the commands that go on from a study: to see more of it, to predict.

    Args:
        screen: prints.
        words: what names the study's folder on the command line.
        stored: what names its storage there.
        folder: the study's folder, which may not exist.
        first: a command besides `open`, or "".
    """
    texts = screen.texts
    asked = language_words(texts.language)
    lines = []
    if "://" not in stored[0] or (folder / texts.page_name).is_file():
        lines.append((command("open", *words, *asked), texts("screen.next.open")))
    if first:
        lines.append((command(first, *stored, *asked), texts(f"screen.next.{first}")))
    if BEST in models_in(folder):
        lines.append((command("predict", words[0], NEW_ROWS, *words[1:], *asked), texts("screen.next.predict")))
    width = max(cell_len(line) for line, _ in lines)
    explained = [f"{line}{' ' * (width - cell_len(line))}  # {purpose}" for line, purpose in lines]
    if screen.width is not None and HEAD + max(map(cell_len, explained)) > screen.width:
        explained = [line for line, _ in lines]
    for place, line in enumerate(explained):
        screen.command("" if place else "next", line)


# ------------------------------------------------------------------ tables


def print_table(
    screen: Screen,
    heads: Sequence[str],
    rows: Sequence[Sequence[Text]],
    right: Container[int] = (),
    flexible: int | None = None,
) -> None:
    """Print a table, a line each row; the flexible column is cut where a terminal is too narrow.

    Args:
        screen: prints.
        heads: one for each column.
        rows: cells.
        right: the columns that end at their right edge, as numbers do.
        flexible: the column that is cut, None for none.
    """
    table = [[Text(head, "bold") for head in heads], *rows]
    widths = [max(cell.cell_len for cell in column) for column in zip(*table, strict=True)]
    if flexible is not None and screen.width is not None:
        over = sum(widths) + GAP * (len(widths) - 1) - screen.width
        widths[flexible] = max(LEAST, widths[flexible] - max(0, over))
    for row in table:
        line = Text()
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            fitted = cell.copy()
            fitted.truncate(width, overflow="ellipsis")
            fitted.align("right" if place in right else "left", width)
            line.append_text(fitted).append(" " * GAP)
        line.rstrip()
        screen.console.print(line)


def _columns_that_fit(screen: Screen, heads: Sequence[str], columns: Sequence[Sequence[str]]) -> int:
    """Return how many columns, from the first, stand beside each other on the screen."""
    if screen.width is None:
        return len(heads)
    used = 0
    for place, (head, column) in enumerate(zip(heads, columns, strict=True)):
        used += max(map(cell_len, [head, *column])) + GAP * bool(place)
        if used > screen.width:
            return place
    return len(heads)
