"""`replay`: one trial trained again exactly, compared with its record, and kept."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.commands.options import add_language, add_reports, add_retraining
from hpsearch.commands.recorded import read_search, recorded_study, show_changed_code
from hpsearch.errors import HpsearchError
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
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Train the trial again, say how far it is from its record, and write `trial-N.safetensors` and `trial-N.json`."""
    from hpsearch.locales import Texts
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.replay import DIFFERS, engine_of, find_trial, model_again, replay

    texts = Texts(options.lang)
    record, folder = read_search(options)
    trial = find_trial(record, options.trial)
    study = recorded_study(record, options)
    screen = Screen(study.data.metric.name, texts)
    device = study.data.training.inputs.device
    key = "line" if trial.number == options.trial else "repeated"
    line = texts(f"screen.replay.{key}", trial=options.trial, first=trial.number, device=device)
    screen.row("replay", line)
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

    texts = screen.texts
    if model is None:
        screen.row("model", texts("screen.replay.no_model", outcome=texts.word(outcome)))
        return
    figures = model.metrics
    if "passes" in figures:
        rows = texts.count("row", figures["rows"])
        screen.row("network", texts("screen.replay.network", rows=rows, passes=f"{figures['passes']:.4g}"))
    save_model(make_folder(folder), name, model)
    screen.row("model", folder / f"{name}.safetensors")


def _show_result(screen: "Screen", trial: "TrialRecord", replayed: "Replayed") -> None:
    """Print the outcome, and how far the histories are apart."""
    from hpsearch.reporting.formatting import MetricFormat, short
    from hpsearch.searching.replay import COLUMNS

    run = replayed.run
    texts = screen.texts
    names = [texts.word(name.replace("_", " ")) for name in COLUMNS]
    outcome = texts.word(str(run.outcome))
    if run.value is not None:
        score = MetricFormat.named(screen.metric, maximize=True, texts=texts).named_text(run.value)
        outcome += texts("screen.replay.value", score=score, evaluation=run.best)
    if run.outcome != trial.outcome:
        outcome += texts("screen.replay.recorded", outcome=texts.word(trial.outcome))
    screen.row("outcome", outcome)
    evaluations = texts.count("evaluation", replayed.evaluations)
    screen.row("history", texts("screen.replay.history", verdict=texts.word(replayed.verdict), evaluations=evaluations))
    for head, gaps in (("gap", replayed.gaps), ("control", replayed.control)):
        if gaps is not None and (any(gaps) or replayed.control is not None):
            largest = [f"{name} {short(gap)}" for name, gap in zip(names, gaps, strict=True)]
            screen.row(head, texts("screen.replay.gaps", gaps=", ".join(largest)))
    if replayed.control is not None:
        screen.row("", texts("screen.replay.control"))
