"""The selected networks trained once more at the end of a study, on training and validation rows, or left as they are.

A study that goes on takes over what an earlier process of it came to: networks that were trained on all rows, networks that stayed as they
were because those on all rows were worse, and those of a version that had no such end.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from hpsearch.data.dataset import Data
from hpsearch.errors import SearchFailed, counted, rows_text
from hpsearch.model import Member
from hpsearch.progress import Observer
from hpsearch.searching.networks import StoredWeights, members_of, with_all_rows
from hpsearch.searching.replicates import NetworkKey, TrainedNetwork, Weights
from hpsearch.searching.scoring import outputs_of
from hpsearch.storage.records import StudyResult
from hpsearch.training import Engine


@dataclass(frozen=True, slots=True)
class FinalNetworks:
    """The networks of the selected model.

    `own` are those of the runs that selection saw, which did not train on validation rows; None where they are not needed. `refitted`:
    the `members` have trained on training and validation rows, which are `rows` together. `declined`: such networks were trained, and
    were worse.
    """

    members: Sequence[Member]
    own: Sequence[Member] | None
    rows: int
    refitted: bool
    declined: bool = False

    @property
    def figures(self) -> dict[str, Any]:
        """What the result of a study says of it."""
        return {"refitted": self.refitted, "rows": self.rows, "refit_declined": self.declined}


def final_networks(
    networks: Sequence[TrainedNetwork],
    at_hand: Mapping[NetworkKey, Weights],
    stored: StoredWeights,
    known: Mapping[str, Any],
    data: Data,
    refit: bool,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
    deadline: float,
) -> FinalNetworks:
    """Return the selected networks, trained once more on training and validation rows if `refit` asks for it and there is time.

    Args:
        networks: the selected ones.
        at_hand: weights of runs of this process that did not train on validation rows.
        stored: weights in the study's folder.
        known: the result of an earlier process of this study, empty where there is none.
        data: the study's.
        refit: whether they train once more; after a cross-validation they always do.
        engine_for: gives an engine for other rows.
        observer: is told how far it is.
        deadline: the time, as `time.monotonic` has it, after which nothing more is trained than has to be.

    Raises:
        SearchFailed: a run gave no usable network.
        Stopped: a signal ended the training.
    """
    every = len(data.training) + len(data.validation)
    if data.folds:
        members = members_of(networks, stored.weights, data, engine_for, observer)
        return FinalNetworks(members, None, every, refitted=True)
    concluded = StudyResult.of(known).networks == tuple((network.trial, network.seed) for network in networks)
    if refit and concluded and known.get("refitted"):
        weights = stored.weights if stored.all_rows else {}
        members = members_of(networks, weights, data, engine_for, observer, all_rows=True)
        return FinalNetworks(members, None, every, refitted=True)
    weights = {} if stored.all_rows else stored.weights
    own = members_of(networks, {**weights, **at_hand}, data, engine_for, observer)
    kept = FinalNetworks(own, own, len(data.training), refitted=False)
    if not refit or (concluded and "rows" not in known):  # an earlier version concluded it
        return kept
    if concluded and known.get("refit_declined"):
        return FinalNetworks(own, own, len(data.training), refitted=False, declined=True)
    if time.monotonic() >= deadline:
        observer.announce("time is up: the selected networks keep to the training rows; the same command goes on")
        return kept
    refitted = _refitted(networks, own, data, engine_for, observer)
    if refitted is None:
        return FinalNetworks(own, own, len(data.training), refitted=False, declined=True)
    return FinalNetworks(refitted, own, every, refitted=True)


def _refitted(
    networks: Sequence[TrainedNetwork],
    members: Sequence[Member],
    data: Data,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> list[Member] | None:
    """Return the networks, whose `members` trained on the training rows, trained once more on training and validation rows.

    Nothing selects these runs, so one of them may be bad, its last weights above all where the learning rate is high to the end. None
    comes back where one of them fails, or where they predict the validation rows, on which they trained, worse than the members do, which
    did not.

    Raises:
        Stopped: a signal ended the training.
    """
    rows = with_all_rows(data)
    count = counted(len(networks), "network")
    observer.announce(f"training {count} again on {rows_text(len(rows.training))}: training and validation")
    try:
        refitted = members_of(networks, {}, data, engine_for, observer, all_rows=True)
    except SearchFailed:
        observer.announce("one of them failed there: the networks of the training rows stay")
        return None
    if _error(refitted, data) > _error(members, data):
        observer.announce("they predict the validation rows worse than before: the networks of the training rows stay")
        return None
    return refitted


def _error(members: Sequence[Member], data: Data) -> float:
    """Return the networks' mean loss on the validation rows."""
    rows = data.validation
    return fmean(data.score(outputs_of(member, rows.inputs), rows)[0] for member in members)
