"""`refit`: the best trial trained again on training and validation rows together."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.commands.options import add_common, add_retraining, add_take_over
from hpsearch.commands.recorded import read_search, url_of, write_page

if TYPE_CHECKING:
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.networks import Refitted


def add(commands: Any) -> None:
    """Add the command to the parser."""
    refit = commands.add_parser("refit", help="train the best trial again, on training and validation rows together")
    add_retraining(refit)
    add_take_over(refit)
    add_common(refit)
    refit.set_defaults(call=call)


def call(options: argparse.Namespace) -> None:
    """Train, score the test rows once more, and write `refit.safetensors`, `refit.json` and the report again."""
    from hpsearch.files import make_folder
    from hpsearch.model import save_model
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.networks import best_trial, count_scoring, refit_best
    from hpsearch.searching.replay import prepare
    from hpsearch.searching.run_options import RunOptions, prepare_data
    from hpsearch.training.engines import make_engine

    record, folder = read_search(options)
    best_trial(record)  # raises before anything is loaded if there is none
    run_options = RunOptions(
        make_folder(folder), url_of(options.study, Path(options.reports)), options.device, engine=options.engine
    )
    question = prepare(record, root=options.data_root, device=options.device, engine=None, file=options.data)
    whole = prepare_data(question.config, run_options, full=True)
    screen = Screen(whole.metric.name)
    engine = make_engine(options.engine, whole, precision=question.config.training.precision)
    refitted = refit_best(record, question.config, question.data, whole, engine)
    looks = count_scoring(run_options.storage, record, refitted, options.take_over)
    save_model(folder, "refit", refitted.model)
    _show_result(screen, refitted, looks)
    screen.row("model", folder / "refit.safetensors")
    _, page = write_page(run_options.storage, record.name, folder)  # it says how often the test rows were used
    screen.row("report", page)


def _show_result(screen: "Screen", refitted: "Refitted", looks: int) -> None:
    """Print what was trained, how long, and what the test rows say."""
    from hpsearch.reporting.formatting import interval, short
    from hpsearch.reporting.selection import uses_of_test_rows

    run = refitted.run
    metrics = refitted.model.metrics
    test = metrics["test"]
    screen.row(
        "refit",
        f"trial {run.spec.number} on {metrics['rows']:,} rows, training and validation: {run.passes:.4g} passes as at its best "
        f"evaluation, {run.updates:,} updates, {run.spec.schedule} learning rate over them",
    )
    if not test:
        screen.row("test", "no rows were held out")
        return
    screen.row(
        "test",
        f"{test['metric']} {short(test['value'])} (95 % interval {interval(test['low'], test['high'], short)}, {test['rows']:,} rows)",
    )
    screen.row("", uses_of_test_rows(looks))
