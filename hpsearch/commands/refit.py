"""`refit`: the best trial trained again on training and validation rows together."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.commands.options import add_language, add_reports, add_retraining, add_take_over
from hpsearch.commands.recorded import read_search, recorded_study, show_changed_code, url_of, write_page
from hpsearch.files import make_folder

if TYPE_CHECKING:
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.networks import Refitted


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_retraining(command)
    add_take_over(command)
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Train, score the test rows once more, and write `refit.safetensors`, `refit.json` and the report again."""
    from hpsearch.locales import Texts
    from hpsearch.model import save_model
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.networks import best_trial, count_scoring, refit_best
    from hpsearch.searching.replay import engine_of
    from hpsearch.searching.run_options import RunOptions, prepare_data

    texts = Texts(options.lang)
    record, folder = read_search(options)
    best_trial(record)  # raises before anything is loaded if there is none
    run_options = RunOptions(
        make_folder(folder), url_of(options.study, Path(options.reports)), options.device, engine=options.engine
    )
    study = recorded_study(record, options)
    full = prepare_data(study.config, run_options, full=True)
    screen = Screen(full.metric.name, texts)
    show_changed_code(screen, options, record)
    engine = engine_of(study.config, options.engine, full)
    refitted = refit_best(record, study.config, study.data, full, engine)
    uses = count_scoring(run_options.storage, record, refitted, options.take_over)
    save_model(folder, "refit", refitted.model)
    _show_result(screen, refitted, uses)
    screen.row("model", folder / "refit.safetensors")
    # the page says how often the test rows were used
    _, page = write_page(run_options.storage, record.name, folder, options.lang)
    screen.row("report", page)


def _show_result(screen: "Screen", refitted: "Refitted", uses: int) -> None:
    """Print what was trained, how long, and what the test rows say."""
    from hpsearch.reporting.formatting import MetricFormat
    from hpsearch.reporting.selection import uses_of_test_rows

    run = refitted.run
    spec = run.spec
    metrics = refitted.model.metrics
    test = metrics["test"]
    texts = screen.texts
    line = texts(
        "screen.refit.line",
        trial=spec.number,
        rows=texts.count("row", metrics["rows"]),
        passes=f"{run.passes:.4g}",
        updates=texts.count("update", run.updates),
        schedule=spec.schedule,
    )
    screen.row("refit", line)
    if not test:
        screen.row("test", texts("screen.refit.untested"))
        return
    metric = MetricFormat.named(test["metric"], maximize=True, texts=texts)
    ends = metric.between(test["low"], test["high"])
    score = metric.named_text(test["value"])
    rows = texts.count("row", test["rows"])
    screen.row("test", texts("screen.refit.test", score=score, interval=ends, rows=rows))
    screen.row("", uses_of_test_rows(uses, texts))
