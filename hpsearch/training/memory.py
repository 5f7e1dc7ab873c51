"""Exhausted memory, recognised and turned into an outcome, for every engine."""

import torch

from hpsearch.data.dataset import Data
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is exhausted; torch raises a bare RuntimeError for it on a CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def exhausted(spec: TrialSpec) -> TrainingRun:
    """Return the run of a trial that does not fit."""
    detail = f"out of memory with batch size {spec.batch_size}"
    return TrainingRun(spec.number, Outcome.OUT_OF_MEMORY, History(), detail=detail)


def release(data: Data) -> None:
    """Give a device's cached memory back; call it outside the `except`, whose traceback keeps tensors alive."""
    if data.training.inputs.is_cuda:
        torch.cuda.empty_cache()
