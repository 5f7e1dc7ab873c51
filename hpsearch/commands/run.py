"""`run`: a study from its file to its report."""

import argparse
from contextlib import suppress

from hpsearch.commands.options import (
    add_data,
    add_language,
    add_reports,
    add_search,
    add_training,
    add_workers,
    read_study,
    run_options_of,
)
from hpsearch.commands.recorded import show_next_commands, write_page
from hpsearch.errors import CompletedElsewhere, SearchFailed, Stopped, UserError
from hpsearch.storage import StudyRecord


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument(
        "study",
        nargs="?",
        help="a TOML file, a study that comes along, or a data set's name (default: table with --data, else digits)",
    )
    add_data(command)
    command.add_argument("--name", help="the study's name and folder (default: the file's name)")
    add_search(command)
    add_training(command)
    add_workers(command)
    command.add_argument(
        "--join", action="store_true", help="while another process runs the study, wait; take over if it dies"
    )
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Run or continue a study, then make its report."""
    from hpsearch.locales import Texts

    texts = Texts(options.lang)  # an unknown language is refused before anything is trained
    config = read_study(options)
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.opening import open_study
    from hpsearch.searching.run_options import prepare_data, prepare_engine
    from hpsearch.searching.study import run_study

    run_options = run_options_of(options, config.study.name)
    folder = run_options.folder
    data = prepare_data(config, run_options)
    screen = Screen(data.metric.name, texts)
    try:
        with screen.logs(options.verbose), open_study(config, run_options, data) as study:
            screen.introduce(study.config, data.summary, run_options.trained_on(data), folder)
            engine = prepare_engine(study.config, run_options, data)
            with screen.live():
                run_study(study, engine, screen)
    except CompletedElsewhere as complete:
        screen.announce(str(complete))
        if (folder / texts.page_name).is_file():
            return  # the process that completed it wrote the page too, unless it was killed before
    except (Stopped, SearchFailed):
        with suppress(UserError):  # it was stopped before there was a study
            write_page(run_options.storage, config.study.name, folder, options.lang)
        raise
    with screen.stage(texts("screen.result.report")):
        record, page = write_page(run_options.storage, config.study.name, folder, options.lang, run_options.patience)
    assert isinstance(record, StudyRecord), "it was opened as one"
    screen.conclude(record, page)
    show_next_commands(screen, options, config.study.name, folder)
