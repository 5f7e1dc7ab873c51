"""The screen of a run: the data set, a live bar on a terminal and plain lines elsewhere, the result."""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from hpsearch.data.objectives import OBJECTIVES
from hpsearch.reporting.formatting import SPACE, MetricFormat, of_all, short, tally
from hpsearch.reporting.selection import looked, luck, of_trials, trials_of, why
from hpsearch.storage.results import mean_of, test_of

if TYPE_CHECKING:
    from hpsearch.config import StudyConfig
    from hpsearch.progress import PhaseProgress, SearchStatus
    from hpsearch.searching.verify import Verified
    from hpsearch.storage import StudyRecord

number = short  # one spelling of numbers for terminals
PAUSE = 5.0  # seconds between plain lines, new bests aside


def printable(text: object) -> str:
    """Return a text whose control characters are escaped: a name from a storage must not drive the terminal."""
    text = str(text).replace(SPACE, " ")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Screen:
    """Shows a search as it goes: `status` after every trial, `announce` for a sentence, `conclude` at the end."""

    def __init__(self, metric: str, *, stderr: bool = False) -> None:
        self.console = Console(highlight=False, markup=False, soft_wrap=True, stderr=stderr)
        self.metric = metric
        self.last, self.told = 0.0, ""
        self.best: int | None = None
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            console=self.console,
            transient=True,
        )
        self.task = self.bar.add_task("", total=None)

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
        logger, handler = logging.getLogger("hpsearch"), LogHandler(self)
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
        line = self.line(status)
        if self.console.is_terminal:
            self.bar.update(self.task, completed=status.done, total=status.total, description=line)
        elif status.best_number != self.best or time.monotonic() - self.last > PAUSE or status.done == status.total:
            self.console.print(line)
            self.last = time.monotonic()
        self.best = status.best_number

    def line(self, status: "SearchStatus") -> str:
        """Return the state of a search in one line."""
        best = (
            f"best {self.metric} {number(status.best)} (#{status.best_number})"
            if status.best is not None
            else "no best yet"
        )
        parts = [f"{status.done}/{status.total} trials", best, f"{status.rate:.1f} trials/s"]
        if status.trained:
            parts.append(f"{duration((status.total - status.done) / status.rate)} left")
        counts = {name: getattr(status, name) for name in ("pruned", "diverged", "out_of_memory", "killed", "repeated")}
        parts += [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
        return ", ".join(parts)

    def introduce(self, config: "StudyConfig", data: Mapping[str, Any], device: str, folder: object) -> None:
        """Print what is searched, on what, and how."""
        self.introduce_data(data)
        self.introduce_search(config, f", on {device}")
        self.row("folder", folder)
        for notice in data["notices"]:
            self.row("notice", notice)

    def introduce_search(self, config: "StudyConfig", more: str = "") -> None:
        """Print how it is searched."""
        budget, search = config.budget, config.search
        patience = f" (patience {budget.patience})" if budget.patience else ""
        self.row(
            "search",
            f"{search.trials:,} trials of {budget.amount:,} {budget.unit}{patience}, sampler {search.sampler}, pruner {search.pruner}, "
            f"seed {config.study.seed}{more}",
        )
        if search.objectives:
            better = {"maximize": "higher", "minimize": "lower"}
            named = [f"{name} ({better[OBJECTIVES[name].direction]} is better)" for name in search.objectives]
            self.row("objectives", f"{', '.join(named)}; the first is tracked and chooses the best")

    def introduce_data(self, data: Mapping[str, Any]) -> None:
        """Print the data set: its task, its inputs, its rows."""
        rows = ", ".join(f"{count:,} {part}" for part, count in data["rows"].items())
        shape = " × ".join(map(str, data["shape"]))
        classes = f" into {data['outputs']} classes" if data["classes"] and data["outputs"] > 1 else ""
        self.row("data", f"{data['title']}: {data['task']}{classes}, inputs {shape}, rows {rows}")

    def phase(self, progress: "PhaseProgress") -> None:
        """Bring the bar (or, now and then, a line) of a comparison up to date."""
        line = f"{progress.name}: {progress.done:,}/{progress.total:,}"
        if self.console.is_terminal:
            self.bar.update(self.task, completed=progress.done, total=progress.total, description=line)
        elif line != self.told and (progress.done in (0, progress.total) or time.monotonic() - self.last > PAUSE):
            self.console.print(line)
            self.last, self.told = time.monotonic(), line

    def conclude(self, record: "StudyRecord", page: object) -> None:
        """Print the model that is kept and why, its figures and where the report is."""
        result, best, metric = record.result, record.trials[record.result["trial"]], MetricFormat.of(record).plain
        self.row(
            "winner",
            f"trial {best.number} of {of_all(record)}: {layers(result['architecture'])}; {result['parameters']:,} parameters",
        )
        self.row("", ", ".join(f"{name} {number(value)}" for name, value in best.params.items()))
        self.row("kept", of_trials(trials_of(result)))
        for sentence in filter(None, [why(result.get("choice"), metric)]):
            self.row("", sentence)
        self.row("validation", _validated(record, metric))
        self.row("test", _tested(test_of(result), metric))
        for sentence in filter(None, [looked(result)]):
            self.row("", sentence)
        self._beside(record)
        self.row("report", page)

    def _beside(self, record: "StudyRecord") -> None:
        """Print what one answer for every row reaches, and a caution where the network is not surely better."""
        from hpsearch.reporting.baseline import always, beside, caution

        if (found := beside(record)) is None:
            return
        metric = MetricFormat.of(record).plain
        value = f"{metric.name} {metric.text(found.baseline)}"
        self.row("baseline", f"{value} on the same {found.rows} rows, {always(record)}")
        for sentence in filter(None, [caution(record, metric)]):
            self.row("caution", sentence.replace("\u00a0", " "))

    def introduce_verification(self, record: "StudyRecord", trials: int, device: str) -> None:
        """Print what is compared, and the heads of its table."""
        precision = record.settings["training"]["precision"]
        self.row(
            "verify",
            f"{trials} of {len(record.trials):,} trials trained again with the reference engine, {precision}, on {device}",
        )
        self.row("", "largest differences between the recorded history and the reference's:")
        self.console.print(
            f"{'trial':>6} {'evaluations':>12} {'training loss':>14} {'validation loss':>16} {self.metric:>12}  outcome"
        )

    def compare(self, verified: "Verified") -> None:
        """Print the comparison of a trial."""
        training, validation, metric = map(number, verified.gaps)
        outcome = verified.recorded_outcome
        if verified.reference_outcome != outcome:
            outcome = f"{outcome}; the reference: {verified.reference_outcome}"
        self.console.print(
            f"{verified.number:>6} {verified.evaluations:>12} {training:>14} {validation:>16} {metric:>12}  {printable(outcome)}"
        )
        if verified.exact is not None:
            training, validation, metric = map(number, verified.exact)
            self.console.print(
                f"{'':>6} {'in float64':>12} {training:>14} {validation:>16} {metric:>12}  {verified.verdict}"
            )
        if verified.control is not None:
            training, validation, metric = map(number, verified.control)
            self.console.print(f"{'':>6} {'control':>12} {training:>14} {validation:>16} {metric:>12}")

    def conclude_verification(self, all_verified: "Sequence[Verified]") -> None:
        """Print how many trials are equal, how many as far apart as rounding takes them, and what to make of it."""
        counts = Counter(verified.verdict for verified in all_verified)
        if "" in counts:
            self.row("", "float32 rounding grows in training; --float64 says whether that is all")
            return
        self.row("verdict", ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + " (in float64)")
        self.row("", "control: the reference against itself, its learning rate one rounding larger")

    def row(self, head: str, text: object) -> None:
        """Print a line with its head."""
        self.console.print(f"{head:<11}{printable(text)}")


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


def _validated(record: "StudyRecord", metric: MetricFormat) -> str:
    """Say the kept model's mean over fresh seeds beside the search's best value, or that there is none."""
    result, mean, trials = record.result, mean_of(record.result), f"best of {tally(record)}"
    if not mean:
        best = f"{metric.name} {metric.text((result.get('search') or {}).get('value', result['validation']))}"
        return f"{best} (the search's {trials}; as the best of many it tends to be too good)"
    ends = "" if mean["low"] is None else f", 95 % interval {metric.between(mean['low'], mean['high'])}"
    return (
        f"{metric.name} {metric.text(mean['value'])} on fresh seeds (mean of {mean['runs']}{ends}); the search's best was "
        f"{metric.text(result['search']['value'])} ({trials}, {luck(result, metric)})"
    )


def _tested(test: Mapping[str, Any], metric: MetricFormat) -> str:
    if not test:
        return "no test rows were held out: nothing unbiased is known"
    ends = f"95 % interval {metric.between(test['low'], test['high'])}, " if test["low"] is not None else ""
    return f"{metric.name} {metric.text(test['value'])} ({ends}{test['rows']:,} rows)"


def layers(architecture: Mapping[str, Any]) -> str:
    """Return an architecture in words."""
    widths = list(architecture["widths"])
    if not widths:
        return "a linear model"
    same = len(set(widths)) == 1
    units = f"{widths[0]:,} units" if same else "units " + "-".join(map(str, widths))
    return f"{len(widths)} hidden layer{'s' * (len(widths) > 1)} of {units}, {architecture['activation']}"


def duration(seconds: float) -> str:
    """Return a time in the largest fitting unit."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
