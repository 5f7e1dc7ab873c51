"""`check`: what `run` would do with the same arguments, without training: the data as they are read, the space, time and memory."""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from hpsearch.commands.options import (
    add_data,
    add_language,
    add_reports,
    add_search,
    add_training,
    read_study,
    run_options_of,
)

if TYPE_CHECKING:
    from hpsearch.config import StudyConfig
    from hpsearch.data.dataset import Data
    from hpsearch.locales import Texts
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
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Read the data, probe a few trials and print what is estimated."""
    from hpsearch.locales import Texts

    texts = Texts(options.lang)
    _interpret_source(options)
    config = read_study(options)
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.first_trials import first_settings
    from hpsearch.searching.probing import estimate
    from hpsearch.searching.run_options import max_concurrency, prepare_data, prepare_engine, with_lag

    run_options = run_options_of(options, config.study.name)
    first_settings(config, run_options)  # refuses another study that is not there
    data = prepare_data(config, run_options)
    config = with_lag(config, run_options, data)
    screen = Screen(data.metric.name, texts)
    _show_data(screen, config, data)
    with screen.logs(options.verbose):
        engine = prepare_engine(config, run_options, data)
        _show_space(screen, config)
        slots = max_concurrency(config, run_options, data)
        in_workers = run_options.devices is not None or run_options.ray is not None
        clock = perf_counter if in_workers else None
        _show_estimate(screen, config, estimate(config, data, engine, slots, process_time(), clock))
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
    texts = screen.texts
    screen.introduce_data(summary)
    screen.row("task", summary["task_reason"])
    for sentence in summary.get("reading", ()):
        screen.row("read", sentence)
    columns = summary.get("columns", ())
    for column in columns[:COLUMNS]:
        screen.row("column", _column(column, summary["notices"], texts))
    if len(columns) > COLUMNS:
        screen.row("", texts("screen.check.more_columns", columns=texts.count("column", len(columns) - COLUMNS)))
    for notice in summary["notices"]:
        screen.row("notice", notice)
    title = data.metric.title
    name = title[0].lower() + title[1:]
    word = texts.word(name)
    screen.row("metric", texts("screen.check.metric", metric=title if word == name else word))
    screen.introduce_search(config)


def _column(column: Mapping[str, Any], notices: Sequence[str], texts: "Texts") -> str:
    """Return a line on a column; its note is left out where a notice says the same."""
    kind = texts.word(column["kind"])
    line = texts("screen.check.column", name=column["name"], kind=kind, inputs=texts.count("input", column["inputs"]))
    note = column.get("note")
    if not note or any(f"{note}." in notice for notice in notices):
        return line
    return f"{line}; {texts.word(note)}"


def _show_space(screen: "Screen", config: "StudyConfig") -> None:
    from hpsearch.searching.probing import size

    combinations, ranges = size(config.space)
    texts = screen.texts
    text = texts("screen.check.no_lists")
    if combinations > 1:
        text = texts("screen.check.lists", combinations=f"{combinations:,}")
    if ranges:
        text += texts("screen.check.ranges", names=", ".join(ranges))
    screen.row("space", text)


def _show_estimate(screen: "Screen", config: "StudyConfig", estimated: "StudyCost") -> None:
    texts = screen.texts
    screen.row("network", texts("screen.check.network", parameters=texts.count("parameter", estimated.largest)))
    screen.row("memory", _memory(estimated, config, texts))
    screen.row("time", _time(estimated, config, texts))


def _memory(estimated: "StudyCost", config: "StudyConfig", texts: "Texts") -> str:
    """Return the memory of the run, where it is known, and what it is made of."""
    values = {
        "data": f"{estimated.data / MEBI:,.1f}",
        "precision": config.training.precision,
        "networks": f"{estimated.networks / MEBI:,.0f}",
    }
    if estimated.used is None or estimated.memory is None:
        return texts("screen.check.memory_of_data", **values)
    used = f"{estimated.used / MEBI:,.0f}"
    return texts("screen.check.memory", memory=f"{estimated.memory / MEBI:,.0f}", used=used, **values)


def _time(estimated: "StudyCost", config: "StudyConfig", texts: "Texts") -> str:
    from hpsearch.reporting.formatting import duration

    return texts(
        "screen.check.time",
        time=duration(estimated.time),
        seconds=duration(estimated.seconds),
        trials=texts.count("trial", config.search.trials),
        further=texts.count("run", estimated.further),
        workers=estimated.workers,
        probed=estimated.probed,
        each=f"{estimated.trial:.2g}",
        most=duration(estimated.most),
    )


def _command(options: argparse.Namespace) -> str:
    """Return the command that runs what was checked."""
    given = sys.argv[2:] if sys.argv[1:2] == ["check"] else []
    if options.study is None and options.source in given:
        given.insert(given.index(options.source), "--data")
    return shlex.join(["python", "-m", "hpsearch", "run", *given])
