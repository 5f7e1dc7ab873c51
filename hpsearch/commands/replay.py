"""`replay`: one trial trained again exactly, compared with its record, and kept."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.commands.options import add_reports, add_retraining
from hpsearch.commands.recorded import read_search, recorded_study, show_changed_code
from hpsearch.errors import HpsearchError, counted
from hpsearch.files import make_folder

if TYPE_CHECKING:
    from hpsearch.data.dataset import Data
    from hpsearch.model import Model
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.replay import Replayed
    from hpsearch.storage.records import TrialRecord
    from hpsearch.training import Engine


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_retraining(command)
    command.add_argument("trial", type=int, metavar="TRIAL", help="the trial's number")
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Train the trial again, say how far it is from its record, and write `trial-N.safetensors` and `trial-N.json`."""
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.replay import DIFFERS, engine_of, find_trial, model_again, replay

    record, folder = read_search(options)
    trial = find_trial(record, options.trial)
    study = recorded_study(record, options)
    screen = Screen(study.data.metric.name)
    device = study.data.training.inputs.device
    name = f"trial {options.trial}"
    if trial.number != options.trial:
        name += f", which took over trial {trial.number},"
    screen.row("replay", f"{name} on {device}")
    show_changed_code(screen, options, record)

    def engine_for(data: "Data") -> "Engine":
        return engine_of(study.config, options.engine, data)

    replayed = replay(record, trial, study, engine_for(study.data))
    _show_result(screen, trial, replayed)
    model = model_again(record, study, replayed, engine_for, screen)
    _save(screen, folder, f"trial-{options.trial}", model, replayed.run.outcome)
    if replayed.verdict == DIFFERS:
        raise HpsearchError(
            f"trial {options.trial} is further from its record than rounding explains. Take the versions and --engine of the record."
        )


def _save(screen: "Screen", folder: Path, name: str, model: "Model | None", outcome: str) -> None:
    """Write the model and say what its network trained on, or that there is none."""
    from hpsearch.model import save_model

    if model is None:
        screen.row("model", f"none is kept: a trial that ended as {outcome} leaves no network")
        return
    figures = model.metrics
    if "passes" in figures:
        rows = f"on all {figures['rows']:,} rows but the test rows"
        passes = f"for the {figures['passes']:.4g} passes that served the folds best"
        screen.row("network", f"trained once more, as the search's last one is: {rows}, {passes}")
    save_model(make_folder(folder), name, model)
    screen.row("model", folder / f"{name}.safetensors")


def _show_result(screen: "Screen", trial: "TrialRecord", replayed: "Replayed") -> None:
    """Print the outcome, and how far the histories are apart."""
    from hpsearch.reporting.formatting import MetricFormat, short
    from hpsearch.searching.replay import COLUMNS

    run = replayed.run
    names = [name.replace("_", " ") for name in COLUMNS]
    outcome = str(run.outcome)
    if run.value is not None:
        score = MetricFormat.named(screen.metric, maximize=True).named_text(run.value)
        outcome += f", {score} at evaluation {run.best}"
    if run.outcome != trial.outcome:
        outcome += f"; recorded: {trial.outcome}"
    screen.row("outcome", outcome)
    screen.row("history", f"{replayed.verdict} over {counted(replayed.evaluations, 'evaluation')}")
    for head, gaps in (("gap", replayed.gaps), ("control", replayed.control)):
        if gaps is not None and (any(gaps) or replayed.control is not None):
            largest = [f"{name} {short(gap)}" for name, gap in zip(names, gaps, strict=True)]
            screen.row(head, f"at most {', '.join(largest)}")
    if replayed.control is not None:
        screen.row("", "control: the same trial, its learning rate one rounding larger")
