"""TensorBoard: a run for each trial, its learning curves as scalars and its hyperparameters for the HParams page."""

from pathlib import Path

from hpsearch.errors import UserError
from hpsearch.files import make_folder
from hpsearch.reporting.tracking.runs import ended_trials, points, scores
from hpsearch.storage import StudyRecord


def write(record: StudyRecord, folder: Path) -> int:
    """Write the trials that have ended as FOLDER/trial-NUMBER; what was written of them before is replaced.

    Raises:
        UserError: TensorBoard is not installed.
        StorageError: the folder cannot be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("TensorBoard is not installed. Install it: pip install 'hpsearch[tensorboard]'.") from None
    trials = ended_trials(record)
    for trial in trials:
        place = make_folder(folder / f"trial-{trial.number:05}")
        for before in place.glob("events.out.tfevents.*"):
            before.unlink()
        with SummaryWriter(str(place)) as writer:
            for name, update, value in points(record, trial):
                writer.add_scalar(name, value, update)
            writer.add_hparams(dict(trial.params), scores(record, trial), run_name=".")
    return len(trials)
