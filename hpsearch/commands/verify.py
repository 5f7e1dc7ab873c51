"""`verify`: recorded trials trained again with the reference engine, and compared."""

import argparse
from pathlib import Path
from typing import Any

from hpsearch.commands.options import add_common, add_device
from hpsearch.commands.recorded import read_record
from hpsearch.errors import HpsearchError, UserError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    verify = commands.add_parser("verify", help="train recorded trials again with the reference engine, and compare")
    verify.add_argument("study", metavar="NAME_OR_STORAGE", help="a study's name, or the URL of its storage")
    verify.add_argument("--study", dest="name", metavar="NAME", help="the study, where the storage has several")
    verify.add_argument("--trials", type=int, default=5, metavar="N", help="trials to train again (default: 5)")
    verify.add_argument("--float64", action="store_true", help="also train them with both engines in float64")
    verify.add_argument("--engine", default="auto", help="the engine that --float64 compares (default: auto)")
    verify.add_argument("--data-root", metavar="DIR", help="folder of the data set's files, where it has moved")
    add_device(verify)
    add_common(verify)
    verify.set_defaults(call=call)


def call(options: argparse.Namespace) -> None:
    """Train recorded trials again and print how far they are apart."""
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.verify import choose_trials, prepare, verify
    from hpsearch.storage import ComparisonRecord
    from hpsearch.training import engine_name

    record = read_record(options.study, options.name, Path(options.reports))
    if isinstance(record, ComparisonRecord):
        raise UserError(f"'{record.name}' is a comparison, whose parts have no trials to verify. Give a search's name.")
    trials = choose_trials(record, options.trials)
    engine_name(options.engine)
    engine = options.engine if options.float64 else None
    question = prepare(record, root=options.data_root, device=options.device, engine=engine)
    screen = Screen(question.data.metric.name)
    screen.introduce_verification(record, len(trials), str(question.data.training.inputs.device))
    done = []
    for verified in verify(question, trials):
        screen.compare(verified)
        done.append(verified)
    screen.conclude_verification(done)
    if apart := [f"#{verified.number}" for verified in done if verified.verdict == "differs"]:
        raise HpsearchError(
            f"{', '.join(apart)}: further from the reference than rounding explains. Please report this study."
        )
