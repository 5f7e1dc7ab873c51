"""`verify`: recorded trials trained again with the reference engine, and compared."""

import argparse
from pathlib import Path

from hpsearch.commands.options import add_device, add_language, add_own_code, add_recorded_reading, add_reports
from hpsearch.commands.recorded import read_record, recorded_study, show_changed_code
from hpsearch.errors import HpsearchError, UserError
from hpsearch.storage import ComparisonRecord


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("study", metavar="NAME_OR_STORAGE", help="a study's name, or the URL of its storage")
    command.add_argument("--study", dest="name", metavar="NAME", help="the study, where the storage has several")
    command.add_argument("--trials", type=int, default=5, metavar="N", help="trials to train again (default: 5)")
    command.add_argument("--float64", action="store_true", help="also train them with both engines in float64")
    command.add_argument("--engine", default="auto", help="the engine that --float64 compares (default: auto)")
    command.add_argument("--data-root", metavar="DIR", help="folder of the data set's files, where it has moved")
    add_own_code(command)
    add_recorded_reading(command)
    add_device(command)
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Train recorded trials again and print how far they are apart."""
    from hpsearch.locales import Texts
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.replay import choose_trials, verify
    from hpsearch.training import engine_name

    texts = Texts(options.lang)
    record = read_record(options.study, options.name, Path(options.reports))
    if isinstance(record, ComparisonRecord):
        raise UserError(f"'{record.name}' is a comparison, whose parts have no trials to verify. Give a search's name.")
    trials = choose_trials(record, options.trials)
    engine_name(options.engine)
    engine = options.engine if options.float64 else None
    study = recorded_study(record, options, engine)
    screen = Screen(study.data.metric.name, texts)
    screen.introduce_verification(record, len(trials), str(study.data.training.inputs.device))
    show_changed_code(screen, options, record)
    done = []
    for verified in verify(study, trials):
        screen.compare(verified)
        done.append(verified)
    screen.conclude_verification(done)
    if apart := [f"#{verified.number}" for verified in done if verified.verdict == "differs"]:
        raise HpsearchError(
            f"{', '.join(apart)}: further from the reference than rounding explains. Please report this study."
        )
