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
from hpsearch.errors import shown
from hpsearch.locales import ENGLISH, Texts
from hpsearch.platforms import show_all_texts
from hpsearch.progress import StepPace
from hpsearch.reporting.formatting import MetricFormat, duration, number, printable, short
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

HEAD = 11  # cells of a line's head
GAP_WIDTHS = (6, 12, 14, 16, 12)  # cells of the columns of numbers of a verification
NARROWEST = 20  # cells in which text is wrapped
FEW = 3  # first settings that are printed
PAUSE = 5.0  # seconds between plain lines, new bests aside
SLOW = 0.05  # trials a second, below which they are counted by the minute
COUNTS = ("pruned", "diverged", "out_of_memory", "killed", "errors", "timed_out", "out_of_time", "repeated")


class Screen:
    """Shows a search as it goes: `status` after every trial, `announce` for a sentence, `conclude` at the end."""

    def __init__(self, metric: str, texts: Texts = ENGLISH, *, stderr: bool = False) -> None:
        show_all_texts()
        self.console = Console(highlight=False, markup=False, soft_wrap=True, stderr=stderr)
        self.metric = metric
        self.texts = texts
        self.best: int | None = None
        self._last_time = 0.0  # of a plain line
        self._last_line = ""
        self._steps = StepPace()
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            console=self.console,
            transient=True,
        )
        self.task = self.bar.add_task(texts("screen.progress.first"), total=None)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the bar while the search runs."""
        if not self.console.is_terminal:
            yield
            return
        with self.bar:
            yield

    @contextmanager
    def stage(self, sentence: str) -> Iterator[None]:
        """Show what takes a few seconds while it does, on a terminal."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(sentence):
            yield

    def announce(self, sentence: str) -> None:
        """Print a sentence above the bar, in the screen's language where it has it."""
        self.console.print(printable(self.texts.word(sentence)))

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
        return f"{self.texts.word(progress.name)}: {progress.done:,}/{progress.total:,}{self._left_of(progress)}"

    def _left_of(self, progress: "PhaseProgress") -> str:
        """Return how long a phase and what follows it still take; "" before there is evidence."""
        left = progress.left
        if left is None:
            left = self._steps.left(progress)
        if not left:
            return ""
        return f", {self.texts('screen.progress.left', time=printable(duration(left)))}"

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
        texts = self.texts
        best = texts("screen.progress.no_best")
        if status.best is not None:
            value = printable(MetricFormat.named(self.metric, maximize=True).text(status.best))
            metric = texts.word(self.metric)
            best = texts("screen.progress.best", metric=metric, value=value, trial=status.best_number)
        done = texts("screen.progress.done", done=status.done, trials=texts.count("trial", status.total))
        parts = [done, best, self._rate(status.rate)]
        if status.left:
            parts.append(texts("screen.progress.left", time=printable(duration(status.left))))
        for name in COUNTS:
            count = getattr(status, name)
            if count:
                parts.append(texts(f"screen.progress.{name}", count=count))
        return ", ".join(parts)

    def _rate(self, rate: float) -> str:
        """Return trials per second, or per minute where these would be a rounded zero."""
        if 0 < rate < SLOW:
            return self.texts("screen.progress.rate_minute", rate=f"{60 * rate:.1f}")
        return self.texts("screen.progress.rate", rate=f"{rate:.1f}")

    def introduce(self, config: "StudyConfig", data: Mapping[str, Any], device: str, folder: object) -> None:
        """Print what is searched, on what, and how."""
        self.introduce_data(data)
        for sentence in data.get("reading") or ():
            self.row("read", sentence)
        self.introduce_search(config, self.texts("screen.search.device", device=device))
        most = config.budget.max_examples
        passes = (most or 0) / int(data["rows"]["training"])
        if most and config.budget.unit == "epochs" and passes < config.budget.amount:
            self.row("", self.texts("screen.search.fewer_passes", examples=f"{most:,}", passes=f"{passes:.1f}"))
        self.row("folder", folder)
        for notice in data["notices"]:
            self.row("notice", notice)

    def introduce_search(self, config: "StudyConfig", more: str = "") -> None:
        """Print how it is searched."""
        texts = self.texts
        budget = config.budget
        search = config.search
        line = texts(
            "screen.search.line",
            trials=texts.count("trial", search.trials),
            amount=texts.count(budget.unit.removesuffix("s"), budget.amount),
            patience=texts("screen.search.patience", evaluations=budget.patience) if budget.patience else "",
            sampler=search.sampler,
            pruner=search.pruner,
            seed=config.study.seed,
        )
        self.row("search", line + more)
        for sentence in _first_and_last(config, self.metric, texts):
            self.row("", sentence)
        for notice in config.notices:
            self.row("notice", notice)
        if search.objectives:
            named = [self._objective(name) for name in search.objectives]
            self.row("objectives", texts("screen.search.objectives", names=", ".join(named)))

    def _objective(self, name: str) -> str:
        """Return an objective and which of its values are better."""
        better = {"maximize": "higher", "minimize": "lower"}[OBJECTIVES[name].direction]
        return self.texts(f"search.foreign_study.{better}_of_several", metric=self.texts.word(name))

    def introduce_data(self, data: Mapping[str, Any]) -> None:
        """Print the data set: its task, its inputs, its rows."""
        texts = self.texts
        parts = [
            texts("screen.data.part", count=f"{count:,}", part=texts.word(part)) for part, count in data["rows"].items()
        ]
        classes = ""
        if data["classes"] and data["outputs"] > 1:
            classes = texts("screen.data.classes", count=data["outputs"])
        elif data.get("labels"):
            classes = texts("screen.data.labels", count=data["outputs"])
        shape = " × ".join(map(str, data["shape"]))
        task = texts.word(data["task"])
        line = texts(
            "screen.data.line", title=data["title"], task=task, classes=classes, shape=shape, rows=", ".join(parts)
        )
        self.row("data", line)

    def conclude(self, record: "StudyRecord", page: object) -> None:
        """Print the selected model and why it was selected, its scores and where the report is."""
        record = of_completed_runs(record)
        result = record.result
        best = record.trials[record.result["trial"]]
        texts = self.texts
        metric = MetricFormat.of(record, texts)
        shape = result["architecture"]
        layers = texts("screen.result.own_network")
        if shape:
            layers = network(shape["widths"], shape["activation"], texts)
        size = texts.count("parameter", result["parameters"])
        trials = all_trials(record, texts)
        self.row("winner", texts("screen.result.winner", trial=best.number, trials=trials, layers=layers, size=size))
        self.row("", ", ".join(f"{name} {number(value)}" for name, value in best.params.items()))
        self.row("selected", of_trials(record.selected.trials, texts))
        self._more(why(result.get("choice"), metric, texts))
        self._more(trained_on(result, texts))
        self._more(certainty(record, texts))
        self.row("validation", _validated(record, metric, texts))
        self.row("test", _tested(record.selected.test, metric, texts))
        self._more(few_test_rows(record, texts))
        self._more(uses_of_test_rows(record.selected.looks, texts))
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
        texts = self.texts
        rows = texts(f"search.rows.{both.rows}")
        value = metric.named_text(both.baseline)
        self.row("baseline", texts("screen.result.baseline", value=value, rows=rows, always=always(record, texts)))
        warning = baseline_warning(record, metric, texts)
        if warning:
            self.row("caution", warning)

    def introduce_verification(self, record: "StudyRecord", trials: int, device: str) -> None:
        """Print what is compared, and the heads of its table."""
        precision = record.settings["training"]["precision"]
        texts = self.texts
        all_trials = texts.count("trial", len(record.trials))
        self.row(
            "verify", texts("screen.verify.line", trials=trials, of=all_trials, precision=precision, device=device)
        )
        self.row("", texts("screen.verify.differences"))
        self._verification_line(
            *(texts(f"screen.verify.{head}") for head in ("trial", "evaluations", "training_loss", "validation_loss")),
            texts.word(self.metric),
            texts("screen.verify.outcome"),
        )

    def compare(self, verified: "Verified") -> None:
        """Print the comparison of a trial."""
        texts = self.texts
        outcome = texts.word(verified.recorded_outcome)
        if verified.reference_outcome != verified.recorded_outcome:
            outcome += texts("screen.verify.reference", outcome=texts.word(verified.reference_outcome))
        self._gaps(verified.number, verified.evaluations, verified.gaps, outcome)
        if verified.exact is not None:
            self._gaps("", texts("screen.verify.exact"), verified.exact, texts.word(verified.verdict))
        if verified.control is not None:
            self._gaps("", texts("screen.verify.control"), verified.control, "")

    def _gaps(self, trial: object, what: object, gaps: Iterable[float], outcome: str) -> None:
        """Print one line of the table of a verification: the gaps of training loss, validation loss and metric."""
        self._verification_line(trial, what, *map(short, gaps), outcome)

    def _verification_line(self, *cells: object) -> None:
        """Print a line of the table of a verification: its numbers end under each other, the last cell is text."""
        *numbers, outcome = map(str, cells)
        aligned = [" " * (width - cell_len(number)) + number for number, width in zip(numbers, GAP_WIDTHS, strict=True)]
        self.console.print(f"{' '.join(aligned)}  {printable(outcome)}".rstrip())

    def conclude_verification(self, all_verified: "Sequence[Verified]") -> None:
        """Print how many trials are equal, how many as far apart as rounding takes them, and what to make of it."""
        texts = self.texts
        counts = Counter(verified.verdict for verified in all_verified)
        if "" in counts:
            self.row("", texts("screen.verify.rounding"))
            return
        found = [texts("screen.verify.count", count=count, verdict=texts.word(name)) for name, count in counts.items()]
        self.row("verdict", texts("screen.verify.verdict", verdicts=", ".join(found)))
        self.row("", texts("screen.verify.control_meaning"))

    @property
    def width(self) -> int | None:
        """The cells of a line of the terminal; None elsewhere, where a line is as long as its text."""
        return self.console.width if self.console.is_terminal else None

    def row(self, head: str, text: object) -> None:
        """Print a line with its head, both in the screen's language where it has them; what does not fit on a terminal goes on below."""
        head = self._head(head)
        self._print_wrapped(set_cell_size(head, max(HEAD, cell_len(head))), self.texts.word(str(text)))

    def _head(self, head: str) -> str:
        return self.texts.get(f"screen.head.{head.replace(' ', '_')}", head)

    def command(self, head: str, line: str) -> None:
        """Print a command with its head; it is not wrapped, so that it can be pasted."""
        self.console.print(f"{set_cell_size(self._head(head), HEAD)}{printable(line)}")

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


def _first_and_last(config: "StudyConfig", metric: str, texts: Texts) -> Iterator[str]:
    """Yield how a search begins, and what ends it or a trial early."""
    search = config.search
    if isinstance(search.start, str):
        yield texts("screen.search.start_study", name=shown(search.start))
    elif search.start:
        first = search.start[: search.trials]
        if len(first) > FEW:
            yield texts("screen.search.start_many", count=len(first))
        else:
            settings = "; ".join(_settings(given, texts) for given in first)
            yield texts("screen.search.start_settings", settings=settings)
    ends = []
    if search.patience:
        trials = texts.count("trial", search.patience)
        ends.append(texts("screen.search.end_patience", trials=trials, metric=texts.word(metric)))
    if search.target_value is not None:
        value = f"{search.target_value:g}"
        ends.append(texts("screen.search.end_target", metric=texts.word(metric), value=value))
    if ends:
        either = texts("screen.search.or").join(ends)
        yield texts("screen.search.ends", ends=either, lag=texts.count("trial", search.lag))
    if config.training.max_seconds:
        yield texts("screen.search.time_limit", seconds=f"{config.training.max_seconds:g}")


def _settings(given: Mapping[str, Any], texts: Texts) -> str:
    """Return settings of a trial as text."""
    settings = ", ".join(f"{name} {shown(value)}" for name, value in given.items())
    return settings or texts("screen.search.known_good")


def _validated(record: "StudyRecord", metric: MetricFormat, texts: Texts) -> str:
    """Return the selected model's mean over fresh seeds beside the search's best value, or that value if there is no mean."""
    result = record.result
    mean = record.selected.mean
    trials = usable_trials(record, texts)
    if not mean:
        best = (result.get("search") or {}).get("value", result["validation"])
        return texts("screen.result.best_of", value=metric.named_text(best), trials=trials)
    intervals = mean_intervals(record, texts)
    ends = f", {intervals}" if intervals else ""
    failed = winner_failed(record, texts)
    lost = f", {failed}" if failed else ""
    return texts(
        "screen.result.mean",
        value=metric.named_text(mean.value),
        runs=mean.count,
        more=lost + ends,
        best=metric.text(result["search"]["value"]),
        trials=trials,
        luck=luck(result, metric, texts),
    )


def _tested(test: "Score | None", metric: MetricFormat, texts: Texts) -> str:
    if not test:
        return texts("screen.result.untested")
    rows = texts.count("row", test.count or 0)
    ends = ""
    if test.low is not None:
        ends = texts("screen.result.over_rows", interval=metric.between(test.low, test.high)) + ", "
    return texts("screen.result.test", value=metric.named_text(test.value), interval=ends, rows=rows)
