"""A study that Optuna ran through `Objective`, concluded as a study of hpsearch's.

Its trials are written into a storage of hpsearch's own, as `run` would have written them. Then the best ones are trained again on fresh
seeds, a model is selected, and it is scored on the test rows.

Trials keep their numbers, since a trial's seed follows from its number: a network that is trained again is the trial's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FixedTrial, FrozenTrial

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.searching.array_study import run_interruptibly
from hpsearch.searching.loop import previous_run
from hpsearch.searching.opening import open_study
from hpsearch.searching.run_options import RunOptions
from hpsearch.searching.specifications import ask_network
from hpsearch.storage.attributes import RUN
from hpsearch.storage.writing import StudyWriter
from hpsearch.trial import History, Outcome, TrainingRun


def conclude_trials(trials: Sequence[FrozenTrial], config: StudyConfig, run_options: RunOptions, data: Data) -> None:
    """Write the trials of an Optuna study into a new one of hpsearch's, and conclude it.

    Raises:
        UserError: a trial does not have the hyperparameters of the study's space.
        SearchFailed: no trial gave a usable network.
        KeyboardInterrupt, SystemExit: see `run_interruptibly`.
    """
    params = [_params(trial, config, data) for trial in trials]
    with open_study(config, run_options, data) as study:
        written = {number for number, trial in enumerate(study.writer.previous_trials()) if trial.finished}
        for trial, own in zip(trials, params, strict=True):
            if trial.number in written:
                continue
            distributions = {name: trial.distributions[name] for name in own}
            study.writer.begin(trial.number, own, distributions)
            _finish(study.writer, trial, float(data.summary["worst"]))
        study.writer.flush()
        run_interruptibly(study, None)


def _params(trial: FrozenTrial, config: StudyConfig, data: Data) -> dict[str, Any]:
    """Return the hyperparameters of a trial that are this study's; a function around the objective may have asked for others."""
    asked = FixedTrial(trial.params, trial.number)
    try:
        config.space.suggest(asked, custom_network=config.code.build is not None)
        if config.code.build is not None:
            ask_network(config, asked, data)
    except ValueError as error:
        raise UserError(
            f"trial {trial.number} does not belong to this objective: {error}. "
            "Give the objective that the study was run with."
        ) from None
    return asked.params


def _finish(writer: StudyWriter, trial: FrozenTrial, worst: float) -> None:
    """Write a trial's result; one that Optuna saw fail, or that another function ran, is a failed one."""
    kept = trial.user_attrs.get(RUN)
    run = _run(trial, kept)
    value = worst if run.value is None else run.value
    if run.outcome is Outcome.PRUNED:
        value = run.history.metric[-1]
    seconds = float(kept["seconds"]) if isinstance(kept, Mapping) else 0.0
    writer.finish(run, value, trial.intermediate_values, seconds)


def _run(trial: FrozenTrial, kept: Any) -> TrainingRun:
    if isinstance(kept, Mapping):
        return previous_run(trial.number, kept)
    detail = f"not run by Objective to its end ({trial.state.name.lower()})"
    return TrainingRun(trial.number, Outcome.ERROR, History(), detail=detail)
