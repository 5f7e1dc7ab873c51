"""`check`: what `run` would do with the same arguments, without training: the data as they are read, the space, time and memory."""

import argparse
from typing import TYPE_CHECKING, Any

from hpsearch.commands.shared import add_common, add_data, add_training, run_options_of, study_of

if TYPE_CHECKING:
    from hpsearch.config import StudyConfig
    from hpsearch.data.dataset import Data
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.probing import Estimate

MEBI = 2**20  # bytes


def add(commands: Any) -> None:
    """Add the command to the parser."""
    check = commands.add_parser("check", help="say what run would do with your data, without training")
    check.add_argument("source", nargs="?", help="your data, or a study's file or name (default: digits)")
    add_data(check)
    check.add_argument("--trials", type=int, metavar="N", help="trials in all")
    check.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    check.add_argument("--name", help="the study's name")
    add_training(check)
    add_common(check)
    check.set_defaults(call=call)


def call(options: argparse.Namespace) -> None:
    """Read the data, probe a few trials and print what is found."""
    _sort_out(options)
    config = study_of(options)
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.probing import estimate
    from hpsearch.searching.run_options import max_concurrency, prepare_data, prepare_engine

    place = run_options_of(options, config.study.name)
    data = prepare_data(config, place)
    screen = Screen(data.metric.name)
    _show_data(screen, config, data)
    with screen.logs(options.verbose):
        engine = prepare_engine(config, place, data)
        _show_space(screen, config)
        _show_estimate(screen, config, estimate(config, data, engine, max_concurrency(config, place, data)))
    screen.row("to run it", _command(options))


def _sort_out(options: argparse.Namespace) -> None:
    """Take the one argument for what it is: a study, else data."""
    from hpsearch.config import is_study

    options.study = None
    if options.source is not None and is_study(options.source):
        options.study = options.source
    elif options.source is not None:
        options.data = options.source


def _show_data(screen: "Screen", config: "StudyConfig", data: "Data") -> None:
    summary = data.summary
    screen.introduce_data(summary)
    screen.row("task", summary["task_reason"])
    for sentence in summary.get("reading", ()):
        screen.row("read", sentence)
    columns = summary.get("columns", ())
    for column in columns[:50]:
        said = any(f"{column['note']}." in notice for notice in summary["notices"])
        note = f"; {column['note']}" if column.get("note") and not said else ""
        inputs = f"{column['inputs']} input{'s' * (column['inputs'] != 1)}"
        screen.row("column", f"{column['name']}: {column['kind']}, {inputs}{note}")
    if len(columns) > 50:
        screen.row("", f"and {len(columns) - 50:,} columns more")
    for notice in summary["notices"]:
        screen.row("notice", notice)
    screen.row("metric", f"{data.metric.title}, on the validation rows")
    screen.introduce_search(config)


def _show_space(screen: "Screen", config: "StudyConfig") -> None:
    from hpsearch.searching.probing import size

    combinations, ranges = size(config.space)
    listed = f"{combinations:,} combinations of the lists" if combinations > 1 else "no lists"
    within = f", each with ranges of {', '.join(ranges)}" if ranges else ""
    screen.row("space", f"{listed}{within}")


def _show_estimate(screen: "Screen", config: "StudyConfig", found: "Estimate") -> None:
    screen.row("network", f"up to {found.largest:,} parameters")
    screen.row(
        "memory",
        f"{found.used / MEBI:,.0f} MiB used by this check, {found.data / MEBI:,.1f} of them data in {config.training.precision}; "
        f"networks in training take at most {found.networks / MEBI:,.0f} MiB more",
    )
    screen.row(
        "time",
        f"{_range(found.seconds)} for {config.search.trials:,} trials, {found.workers} at a time ({found.probed} of them probed: "
        f"{found.trial:.2g} s each, all in all), then {_range(found.confirming)} of fresh seeds; the most where no trial ends early",
    )


def _range(seconds: tuple[float, float]) -> str:
    from hpsearch.reporting.screen import duration

    least, most = map(duration, seconds)
    return f"{least} to {most}" if least != most else f"about {most}"


def _command(options: argparse.Namespace) -> str:
    """Return the command that runs what was checked."""
    import shlex
    import sys

    given = sys.argv[2:] if sys.argv[1:2] == ["check"] else []
    if options.study is None and options.source is not None and options.source in given:
        given[given.index(options.source) : given.index(options.source) + 1] = ["--data", options.source]
    return shlex.join(["python", "-m", "hpsearch", "run", *given])
