"""`check`: what `run` would do with the same arguments, without training: the data as they are read, the space, time and memory."""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpsearch.commands.options import add_data, add_reports, add_search, add_training, read_study, run_options_of
from hpsearch.errors import counted

if TYPE_CHECKING:
    from hpsearch.config import StudyConfig
    from hpsearch.data.dataset import Data
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.probing import StudyCost

MEBI = 2**20  # bytes
COLUMNS = 50  # of a table that are shown


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("source", nargs="?", help="your data, or a study's file or name (default: digits)")
    add_data(command)
    add_search(command)
    command.add_argument("--name", help="the study's name")
    add_training(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Read the data, probe a few trials and print what is estimated."""
    _interpret_source(options)
    config = read_study(options)
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.first_trials import first_settings
    from hpsearch.searching.probing import estimate
    from hpsearch.searching.run_options import max_concurrency, prepare_data, prepare_engine

    run_options = run_options_of(options, config.study.name)
    first_settings(config, run_options)  # refuses another study that is not there
    data = prepare_data(config, run_options)
    screen = Screen(data.metric.name)
    _show_data(screen, config, data)
    with screen.logs(options.verbose):
        engine = prepare_engine(config, run_options, data)
        _show_space(screen, config)
        slots = max_concurrency(config, run_options, data)
        _show_estimate(screen, config, estimate(config, data, engine, slots))
    screen.command("to run it", _command(options))


def _interpret_source(options: argparse.Namespace) -> None:
    """Take the argument for a study if it is one, else for data."""
    from hpsearch.config import is_study

    options.study = None
    if options.source is None:
        return
    if is_study(options.source):
        options.study = options.source
    else:
        options.data = options.source


def _show_data(screen: "Screen", config: "StudyConfig", data: "Data") -> None:
    summary = data.summary
    screen.introduce_data(summary)
    screen.row("task", summary["task_reason"])
    for sentence in summary.get("reading", ()):
        screen.row("read", sentence)
    columns = summary.get("columns", ())
    for column in columns[:COLUMNS]:
        screen.row("column", _column(column, summary["notices"]))
    if len(columns) > COLUMNS:
        screen.row("", f"and {counted(len(columns) - COLUMNS, 'column')} more")
    for notice in summary["notices"]:
        screen.row("notice", notice)
    screen.row("metric", f"{data.metric.title}, on the validation rows")
    screen.introduce_search(config)


def _column(column: Mapping[str, Any], notices: Sequence[str]) -> str:
    """Return a line on a column; its note is left out where a notice says the same."""
    line = f"{column['name']}: {column['kind']}, {counted(column['inputs'], 'input')}"
    note = column.get("note")
    if not note or any(f"{note}." in notice for notice in notices):
        return line
    return f"{line}; {note}"


def _show_space(screen: "Screen", config: "StudyConfig") -> None:
    from hpsearch.searching.probing import size

    combinations, ranges = size(config.space)
    text = "no lists"
    if combinations > 1:
        text = f"{combinations:,} combinations of the lists"
    if ranges:
        text += f", each with ranges of {', '.join(ranges)}"
    screen.row("space", text)


def _show_estimate(screen: "Screen", config: "StudyConfig", estimated: "StudyCost") -> None:
    screen.row("network", f"up to {counted(estimated.largest, 'parameter')}")
    networks = f"networks in training take at most {estimated.networks / MEBI:,.0f} MiB more"
    screen.row("memory", f"{_memory(estimated, config)}; {networks}")
    trials = f"{counted(config.search.trials, 'trial')}, {estimated.workers} at a time"
    probed = f"{estimated.probed} of them probed: {estimated.trial:.2g} s each, all in all"
    seeds = f"{_range(estimated.confirming)} of fresh seeds"
    time = f"{_range(estimated.seconds)} for {trials} ({probed}), then {seeds}"
    screen.row("time", f"{time}; the most where no trial ends early")


def _memory(estimated: "StudyCost", config: "StudyConfig") -> str:
    """Return the memory of this process, where it is known, and of the data in it."""
    data = f"data in {config.training.precision}"
    if estimated.used is None:
        return f"{estimated.data / MEBI:,.1f} MiB of {data}"
    return f"{estimated.used / MEBI:,.0f} MiB used by this check, {estimated.data / MEBI:,.1f} of them {data}"


def _range(seconds: tuple[float, float]) -> str:
    from hpsearch.reporting.formatting import duration

    least = duration(seconds[0])
    most = duration(seconds[1])
    return f"{least} to {most}" if least != most else f"about {most}"


def _command(options: argparse.Namespace) -> str:
    """Return the command that runs what was checked."""
    given = sys.argv[2:] if sys.argv[1:2] == ["check"] else []
    if options.study is None and options.source in given:
        given.insert(given.index(options.source), "--data")
    return shlex.join(["python", "-m", "hpsearch", "run", *given])
