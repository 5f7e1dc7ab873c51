"""The screen of a run: the data set, a live bar on a terminal and plain lines elsewhere, the result."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from hpsearch.data.metrics import OBJECTIVES
from hpsearch.errors import counted, rows_text, shown
from hpsearch.progress import COMPILER, EVIDENCE
from hpsearch.reporting.formatting import MetricFormat, duration, printable, short
from hpsearch.reporting.replicates import of_completed_runs, winner_failed
from hpsearch.reporting.selection import (
    all_trials,
    certainty,
    luck,
    network,
    of_trials,
    trained_on,
    usable_trials,
    uses_of_test_rows,
    why,
)
from hpsearch.reporting.trust import always, baseline_warning, beside, few_test_rows, mean_intervals

if TYPE_CHECKING:
    from hpsearch.config import StudyConfig
    from hpsearch.progress import PhaseProgress, SearchStatus
    from hpsearch.searching.replay import Verified
    from hpsearch.storage import StudyRecord
    from hpsearch.storage.records import Score

FIRST = "training the first trials"  # before anything has ended
HEAD = 11  # cells of a line's head
NARROWEST = 20  # cells in which text is wrapped
PAUSE = 5.0  # seconds between plain lines, new bests aside
TIME_LIMIT = (
    "a trial ends after {seconds} s, wherever it is then: the same study does not give the same trials again "
    "(training.max_seconds)"
)
COUNTS = ("pruned", "diverged", "out_of_memory", "killed", "errors", "timed_out", "out_of_time", "repeated")


class Screen:
    """Shows a search as it goes: `status` after every trial, `announce` for a sentence, `conclude` at the end."""

    def __init__(self, metric: str, *, stderr: bool = False) -> None:
        self.console = Console(highlight=False, markup=False, soft_wrap=True, stderr=stderr)
        self.metric = metric
        self.best: int | None = None
        self._last_time = 0.0  # of a plain line
        self._last_line = ""
        self._phase = ""
        self._phase_began = (0, 0.0)  # steps that were done when it was first seen, and when
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            console=self.console,
            transient=True,
        )
        self.task = self.bar.add_task(FIRST, total=None)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the bar while the search runs."""
        if not self.console.is_terminal:
            yield
            return
        with self.bar:
            yield

    def announce(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self.console.print(printable(sentence))

    @contextmanager
    def logs(self, verbose: bool) -> Iterator[None]:
        """Print what is logged: warnings as sentences, and with `verbose` which engine trains what, and why."""
        logger = logging.getLogger("hpsearch")
        handler = LogHandler(self)
        level = logger.level
        logger.setLevel(logging.INFO if verbose else logging.WARNING)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)

    def status(self, status: "SearchStatus") -> None:
        """Bring the bar (or, now and then, a line) up to date."""
        new_best = status.best_number != self.best
        self.best = status.best_number
        self._progress(self.line(status), status.done, status.total, now=new_best or status.done == status.total)

    def phase(self, progress: "PhaseProgress") -> None:
        """Bring the bar (or, now and then, a line) of a comparison up to date."""
        line = self.phase_line(progress)
        if line != self._last_line or self.console.is_terminal:
            self._progress(line, progress.done, progress.total, now=progress.done in (0, progress.total))

    def phase_line(self, progress: "PhaseProgress") -> str:
        """Return the state of a phase in one line."""
        return f"{progress.name}: {progress.done:,}/{progress.total:,}{self._left_of(progress)}"

    def _left_of(self, progress: "PhaseProgress") -> str:
        """Return how long a phase, and later ones of its kind, still take; "" before there is evidence."""
        now = time.monotonic()
        if self._phase != progress.name or COMPILER.until > self._phase_began[1]:
            self._phase = progress.name
            self._phase_began = (progress.done - progress.recalled, now)
        before, began = self._phase_began
        done = progress.done - progress.recalled - before
        if done < EVIDENCE or progress.done >= progress.total:
            return ""
        steps = progress.total - progress.done + (progress.further or 0)
        which = "of this stage" if progress.further is None else "in all"
        return f", {printable(duration(steps * (now - began) / done))} left {which}"

    def _progress(self, line: str, done: int, total: int, *, now: bool) -> None:
        """Show a state in the bar; without a terminal print it, where it is due `now` or the last line is long ago."""
        if self.console.is_terminal:
            self.bar.update(self.task, completed=done, total=total, description=line)
        elif now or time.monotonic() - self._last_time > PAUSE:
            self.console.print(line)
            self._last_time = time.monotonic()
            self._last_line = line

    def line(self, status: "SearchStatus") -> str:
        """Return the state of a search in one line."""
        best = "no best yet"
        if status.best is not None:
            text = MetricFormat.named(self.metric, maximize=True).text(status.best)
            best = f"best {self.metric} {printable(text)} (#{status.best_number})"
        parts = [f"{status.done}/{counted(status.total, 'trial')}", best, f"{status.rate:.1f} trials/s"]
        if status.left:
            parts.append(f"{printable(duration(status.left))} left in all")
        for name in COUNTS:
            count = getattr(status, name)
            if count:
                parts.append(f"{count} {name.replace('_', ' ')}")
        return ", ".join(parts)

    def introduce(self, config: "StudyConfig", data: Mapping[str, Any], device: str, folder: object) -> None:
        """Print what is searched, on what, and how."""
        self.introduce_data(data)
        for sentence in data.get("reading") or ():
            self.row("read", sentence)
        self.introduce_search(config, f", on {device}")
        self.row("folder", folder)
        for notice in data["notices"]:
            self.row("notice", notice)

    def introduce_search(self, config: "StudyConfig", more: str = "") -> None:
        """Print how it is searched."""
        budget = config.budget
        search = config.search
        patience = f" (patience {budget.patience})" if budget.patience else ""
        trials = counted(search.trials, "trial")
        amount = counted(budget.amount, budget.unit.removesuffix("s"))
        by = f"sampler {search.sampler}, pruner {search.pruner}, seed {config.study.seed}"
        self.row("search", f"{trials} of {amount}{patience}, {by}{more}")
        for sentence in _first_and_last(config, self.metric):
            self.row("", sentence)
        for notice in config.notices:
            self.row("notice", notice)
        if search.objectives:
            better = {"maximize": "higher", "minimize": "lower"}
            named = [f"{name} ({better[OBJECTIVES[name].direction]} is better)" for name in search.objectives]
            self.row("objectives", f"{', '.join(named)}; the first is tracked and chooses the best")

    def introduce_data(self, data: Mapping[str, Any]) -> None:
        """Print the data set: its task, its inputs, its rows."""
        rows = ", ".join(f"{count:,} {part}" for part, count in data["rows"].items())
        shape = " × ".join(map(str, data["shape"]))
        if data["classes"] and data["outputs"] > 1:
            classes = f" into {data['outputs']} classes"
        elif data.get("labels"):
            classes = f" with {data['outputs']} labels"
        else:
            classes = ""
        self.row("data", f"{data['title']}: {data['task']}{classes}, inputs {shape}, rows {rows}")

    def conclude(self, record: "StudyRecord", page: object) -> None:
        """Print the selected model and why it was selected, its scores and where the report is."""
        record = of_completed_runs(record)
        result = record.result
        best = record.trials[record.result["trial"]]
        metric = MetricFormat.of(record)
        shape = result["architecture"]
        layers = "a network of your own"
        if shape:
            layers = network(shape["widths"], shape["activation"])
        size = counted(result["parameters"], "parameter")
        self.row("winner", f"trial {best.number} of {all_trials(record)}: {layers}; {size}")
        self.row("", ", ".join(f"{name} {short(value)}" for name, value in best.params.items()))
        self.row("selected", of_trials(record.selected.trials))
        self._more(why(result.get("choice"), metric))
        self._more(trained_on(result))
        self._more(certainty(record))
        self.row("validation", _validated(record, metric))
        self.row("test", _tested(record.selected.test, metric))
        self._more(few_test_rows(record))
        self._more(uses_of_test_rows(record.selected.looks))
        self._baseline(record, metric)
        self.row("report", page)

    def _more(self, sentence: str) -> None:
        """Print another sentence about the line before, if there is one."""
        if sentence:
            self.row("", sentence)

    def _baseline(self, record: "StudyRecord", metric: MetricFormat) -> None:
        """Print what one answer for every row reaches, and a warning where the network is not surely better."""
        both = beside(record)
        if both is None:
            return
        value = f"{metric.name} {metric.text(both.baseline)}"
        self.row("baseline", f"{value} on the same {both.rows} rows, {always(record)}")
        warning = baseline_warning(record, metric)
        if warning:
            self.row("caution", warning)

    def introduce_verification(self, record: "StudyRecord", trials: int, device: str) -> None:
        """Print what is compared, and the heads of its table."""
        precision = record.settings["training"]["precision"]
        self.row(
            "verify",
            f"{trials} of {counted(len(record.trials), 'trial')} trained again with the reference engine, {precision}, on {device}",
        )
        self.row("", "largest differences between the recorded history and the reference's:")
        self.console.print(
            f"{'trial':>6} {'evaluations':>12} {'training loss':>14} {'validation loss':>16} {self.metric:>12}  outcome"
        )

    def compare(self, verified: "Verified") -> None:
        """Print the comparison of a trial."""
        outcome = verified.recorded_outcome
        if verified.reference_outcome != outcome:
            outcome = f"{outcome}; the reference: {verified.reference_outcome}"
        self._gaps(verified.number, verified.evaluations, verified.gaps, outcome)
        if verified.exact is not None:
            self._gaps("", "in float64", verified.exact, verified.verdict)
        if verified.control is not None:
            self._gaps("", "control", verified.control, "")

    def _gaps(self, trial: object, what: object, gaps: Iterable[float], outcome: str) -> None:
        """Print one line of the table of a verification: the gaps of training loss, validation loss and metric."""
        training, validation, metric = map(short, gaps)
        line = f"{trial:>6} {what:>12} {training:>14} {validation:>16} {metric:>12}  {printable(outcome)}"
        self.console.print(line.rstrip())

    def conclude_verification(self, all_verified: "Sequence[Verified]") -> None:
        """Print how many trials are equal, how many as far apart as rounding takes them, and what to make of it."""
        counts = Counter(verified.verdict for verified in all_verified)
        if "" in counts:
            self.row("", "float32 rounding grows in training; --float64 says whether that is all")
            return
        self.row("verdict", ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + " (in float64)")
        self.row("", "control: the reference against itself, its learning rate one rounding larger")

    @property
    def width(self) -> int | None:
        """The cells of a line of the terminal; None elsewhere, where a line is as long as its text."""
        return self.console.width if self.console.is_terminal else None

    def row(self, head: str, text: object) -> None:
        """Print a line with its head; on a terminal what does not fit goes on below the text."""
        self._print_wrapped(set_cell_size(head, max(HEAD, cell_len(head))), str(text))

    def command(self, head: str, line: str) -> None:
        """Print a command with its head; it is not wrapped, so that it can be pasted."""
        self.console.print(f"{set_cell_size(head, HEAD)}{printable(line)}")

    def paragraph(self, text: object) -> None:
        """Print a sentence from the left edge."""
        self._print_wrapped("", str(text))

    def headline(self, text: object) -> None:
        """Print a line that stands out."""
        self.console.print(printable(text), style="bold")

    def _print_wrapped(self, head: str, text: str) -> None:
        """Print text behind its head, wrapped at spaces; a word that is longer than a line, as a path, is not cut."""
        lines = [text]
        if self.width is not None:
            lines = wrapped(text, max(NARROWEST, self.width - cell_len(head)))
        for line in lines:
            self.console.print(head + printable(line))
            head = " " * cell_len(head)


def wrapped(text: str, room: int) -> list[str]:
    """Return text in lines of at most so many cells, broken at spaces that may break; a longer word has a line of its own."""
    lines = []
    line, *words = text.split(" ")
    for word in words:
        longer = f"{line} {word}"
        if cell_len(longer) > room:
            lines.append(line.rstrip())
            line = word
        else:
            line = longer
    return [*lines, line]


class LogHandler(logging.Handler):
    """Prints what is logged on a screen."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Print a warning as a sentence, an explanation as a line of its own."""
        if record.levelno >= logging.WARNING:
            self.screen.announce(record.getMessage())
        else:
            self.screen.row("engine", record.getMessage())


def _first_and_last(config: "StudyConfig", metric: str) -> Iterator[str]:
    """Yield how a search begins, and what ends it or a trial early."""
    search = config.search
    if isinstance(search.start, str):
        yield f"the first trial is the best one of study {shown(search.start)}"
    elif search.start:
        yield f"the first trials, what is left out being known-good: {'; '.join(map(_settings, search.start))}"
    ends = []
    if search.patience:
        ends.append(f"{counted(search.patience, 'trial')} brought no better {metric}")
    if search.target_value is not None:
        ends.append(f"{metric} reached {search.target_value:g}")
    if ends:
        yield f"begins no trial once {' or '.join(ends)}, up to search.lag = {counted(search.lag, 'trial')} later"
    if config.training.max_seconds:
        yield f"{TIME_LIMIT.format(seconds=f'{config.training.max_seconds:g}')}"


def _settings(given: Mapping[str, Any]) -> str:
    """Return settings of a trial as text."""
    return ", ".join(f"{name} {shown(value)}" for name, value in given.items()) or "all known-good"


def _validated(record: "StudyRecord", metric: MetricFormat) -> str:
    """Return the selected model's mean over fresh seeds beside the search's best value, or that value if there is no mean."""
    result = record.result
    mean = record.selected.mean
    trials = usable_trials(record)
    if not mean:
        best = (result.get("search") or {}).get("value", result["validation"])
        return (
            f"{metric.name} {metric.text(best)} (the search's best of {trials}; the best of many tends to be too good)"
        )
    intervals = mean_intervals(record)
    ends = f", {intervals}" if intervals else ""
    failed = winner_failed(record)
    lost = f", {failed}" if failed else ""
    fresh = f"{metric.name} {metric.text(mean.value)} on fresh seeds (mean of {mean.count}{lost}{ends})"
    best = metric.text(result["search"]["value"])
    return f"{fresh}; the search's best was {best} (best of {trials}, {luck(result, metric)})"


def _tested(test: "Score | None", metric: MetricFormat) -> str:
    if not test:
        return "no test rows were held out: nothing unbiased is known"
    ends = ""
    if test.low is not None:
        ends = f"95 % interval over rows {metric.between(test.low, test.high)}, "
    return f"{metric.name} {metric.text(test.value)} ({ends}{rows_text(test.count)})"
