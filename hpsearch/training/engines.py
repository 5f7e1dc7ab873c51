"""The one door to the engines: which of them trains a trial, and why. Search, tables and report do not know which it was."""

import os
from collections.abc import Callable, Sequence

import torch

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.training import Engine
from hpsearch.training.lanes import Lane, Plan, PullingEngine
from hpsearch.training.reference import ReferenceEngine
from hpsearch.trial import TrialSpec

ENGINES = ("auto", "reference", "fused", "resident")
TINY = 16  # the largest batch size of the resident engine on CUDA


def make_engine(name: str, data: Data, places: int | None = None, explain: Callable[[str], None] | None = None) -> Engine:
    """Return the engine of a name for this data, with `places` for trials in flight (None: chosen from the device and its memory).

    `explain` is told, once for each batch size, which engine trains it and why.
    """
    if name == "reference":
        return ReferenceEngine(data)
    places = places or default_places(data)
    told: set[int] = set()

    def planned(spec: TrialSpec) -> Plan:
        plan = choose(name, spec, data, places)
        if explain is not None and spec.batch_size not in told:
            told.add(spec.batch_size)
            explain(f"batch size {spec.batch_size:,}: {plan.engine} engine, {plan.reason}")
        return plan

    return PullingEngine(data, planned, places=places, workers=workers(data))


def choose(name: str, spec: TrialSpec, data: Data, places: int) -> Plan:
    """Return how trials like this one are to train."""
    if not data.training.inputs.is_cuda:
        if name == "fused":
            return Plan("fused", "as asked", places, _fused)
        return Plan("resident", "a compiled step for each trial, one trial a core, no padding", 1, _compiled)
    raise NotImplementedError


def workers(data: Data) -> int:
    """Return how many lanes train at the same time: the cores that this process may use; one for a GPU, which lanes share in turns."""
    return 1 if data.training.inputs.is_cuda else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_places(data: Data) -> int:
    return workers(data)


def _fused(specs: Sequence[TrialSpec], data: Data) -> Lane:
    from hpsearch.training.fused import FusedLane

    return FusedLane(specs, data)


def _compiled(specs: Sequence[TrialSpec], data: Data) -> Lane:
    from hpsearch.training.resident import CompiledLane

    (spec,) = specs
    return CompiledLane(spec, data)
