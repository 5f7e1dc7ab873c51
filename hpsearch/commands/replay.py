"""`replay`: one trial trained again exactly, compared with its record, and kept."""

import argparse
from typing import TYPE_CHECKING, Any

from hpsearch.commands.shared import add_common
from hpsearch.commands.studies import add_again, search_of
from hpsearch.errors import HpsearchError

if TYPE_CHECKING:
    from hpsearch.screen import Screen
    from hpsearch.searching.replay import Replayed
    from hpsearch.storage.records import TrialRecord


def add(commands: Any) -> None:
    """Add the command to the parser."""
    replay = commands.add_parser("replay", help="train one trial again exactly, compare it with its record, keep it")
    add_again(replay)
    replay.add_argument("trial", type=int, metavar="TRIAL", help="the trial's number")
    add_common(replay)
    replay.set_defaults(call=call)


def call(options: argparse.Namespace) -> None:
    """Train the trial again, say how far it is from its record, and write `trial-N.safetensors` and `trial-N.json`."""
    from hpsearch.files import make_folder
    from hpsearch.model import save_model
    from hpsearch.screen import Screen
    from hpsearch.searching.replay import DIFFERS, find_trial, replay
    from hpsearch.searching.verify import prepare
    from hpsearch.training.engines import make_engine

    record, folder = search_of(options)
    trial = find_trial(record, options.trial)
    question = prepare(record, root=options.data_root, device=options.device, engine=None, file=options.data)
    screen = Screen(question.data.metric.name)
    device, repeats = question.data.training.inputs.device, trial.number != options.trial
    screen.row(
        "replay", f"trial {options.trial}" + f", which took over trial {trial.number}," * repeats + f" on {device}"
    )
    engine = make_engine(options.engine, question.data, precision=question.config.training.precision)
    replayed = replay(record, trial, question, engine)
    _tell(screen, trial, replayed)
    if replayed.model is not None:
        name = f"trial-{options.trial}"
        save_model(make_folder(folder), name, replayed.model)
        screen.row("model", folder / f"{name}.safetensors")
    if replayed.verdict == DIFFERS:
        raise HpsearchError(
            f"trial {options.trial} is further from its record than rounding explains. Take the versions and --engine of the record."
        )


def _tell(screen: "Screen", trial: "TrialRecord", replayed: "Replayed") -> None:
    """Print the outcome, and how far the histories are apart."""
    from hpsearch.screen import number
    from hpsearch.searching.verify import COLUMNS

    run, names = replayed.run, [name.replace("_", " ") for name in COLUMNS]
    before = "" if run.outcome == trial.outcome else f"; recorded: {trial.outcome}"
    value = "" if run.value is None else f", {screen.metric} {number(run.value)} at evaluation {run.best}"
    screen.row("outcome", f"{run.outcome}{value}{before}")
    screen.row("history", f"{replayed.verdict} over {replayed.evaluations} evaluations")
    for head, gaps in (("gap", replayed.gaps), ("control", replayed.control)):
        if gaps is not None and (any(gaps) or replayed.control is not None):
            screen.row(
                head, "at most " + ", ".join(f"{name} {number(gap)}" for name, gap in zip(names, gaps, strict=True))
            )
    if replayed.control is not None:
        screen.row("", "control: the same trial, its learning rate one rounding larger")
