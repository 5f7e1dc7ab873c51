"""A model: the networks that a search selected, with all that it takes to predict, and where they come from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from math import isfinite, prod
from typing import Any

import numpy as np
from torch import Tensor

from hpsearch import __version__
from hpsearch.data.cells import Array
from hpsearch.data.dataset import Data
from hpsearch.data.target_form import TargetForm
from hpsearch.data.targets import label_text, missing_targets, read_targets
from hpsearch.model.combination import ALONE, Combination
from hpsearch.training.own import OwnNetwork
from hpsearch.trial import Architecture

LABEL_TYPES: dict[str, Any] = {"text": np.str_, "boolean": np.str_, "integer": np.int64, "number": np.float64}
CLASS_KINDS = tuple(LABEL_TYPES)  # what labels were before they became text
PACKAGES = ("torch", "optuna", "numpy")


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One network: its `weights` by the names of its state dict, the `trial` that they are of, and its `seed`.

    One of the user's own has no architecture: `network` makes it.
    """

    architecture: Architecture | None
    weights: Mapping[str, Tensor]
    trial: int
    seed: int
    network: OwnNetwork | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, as far as they are known, inputs and outputs included."""
        if self.architecture is not None:
            return self.architecture.sizes
        assert self.network is not None, "a network without an architecture is of the user's own"
        return prod(self.network.shape), self.network.outputs

    @property
    def inputs(self) -> int:
        """Numbers in one input."""
        if self.architecture is not None:
            return self.architecture.inputs
        return self.sizes[0]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Networks that predict together, and all that turns a source's rows into inputs and outputs into predictions.

    `classes` are the labels as text by class number, none for regression, and `class_kind` (of `CLASS_KINDS`) what they were before;
    `target_mean` and `target_scale` [K] undo the standardising of regression targets, `target_form` is their scale and range, None where
    neither is known. `preprocessing` is `Data.preprocessing`; `metrics` what the search measured; `provenance` where the model comes from.
    Both hold plain values. `labels` names those of a multilabel task. `combination` says how the networks predict together, `single` how
    the first of several predicts by itself.
    """

    members: tuple[Member, ...]
    task: str
    classes: tuple[str, ...]
    class_kind: str
    target_mean: tuple[float, ...]
    target_scale: tuple[float, ...]
    preprocessing: Mapping[str, Any]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    combination: Combination = ALONE
    single: Combination | None = None
    target_form: TargetForm | None = None


def model_of(
    data: Data,
    members: Sequence[Member],
    *,
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    class_kind: str | None = None,
    combination: Combination | None = None,
    single: Combination | None = None,
) -> Model:
    """Return the model of networks that were trained on this data.

    If left out, `class_kind` is what the classes look like, and `combination` the plain mean.
    """
    return Model(
        tuple(members),
        data.task.name,
        data.classes,
        class_kind or kind_of(data.classes),
        tuple(data.target_mean.tolist()),
        tuple(data.target_scale.tolist()),
        data.preprocessing,
        metrics,
        provenance,
        data.labels,
        combination or Combination.equal(len(members)),
        single,
        data.target_form,
    )


def kind_of(classes: Sequence[str]) -> str:
    """Return what labels were before they became text, as far as the text tells: `007` is text, `7` an integer."""
    if set(classes) == {"False", "True"}:
        return "boolean"
    if classes and all(_written(label, int) for label in classes):
        return "integer"
    if classes and all(_written(label, float) for label in classes):
        return "number"
    return "text"


def _written(label: str, kind: type[int] | type[float]) -> bool:
    try:
        return str(kind(label)) == label and isfinite(kind(label))
    except (ValueError, OverflowError):
        return False


def labels_of(model: Model) -> Array:
    """Return a model's labels [C] as an exported file has them: numbers where they were numbers that the type can hold, else text."""
    try:
        return np.array(model.classes).astype(LABEL_TYPES[model.class_kind])
    except OverflowError:  # whole numbers beyond int64
        return np.array(model.classes)


def original_labels(model: Model) -> Array:
    """Return a model's labels [C] as what they were before they became text: truth values, whole numbers, numbers, or text."""
    if model.class_kind == "boolean":
        return np.array([text == "True" for text in model.classes])
    return labels_of(model)


def labels_in(classes: tuple[str, ...], targets: Array) -> Array:
    """Return the labels of classes (their texts, by class number) as the targets have them; some of these may be missing."""
    given = targets[~missing_targets(targets)].reshape(-1)
    if given.dtype.kind != "O":
        given = np.unique(given)
    known = {label_text(read): value for read, value in zip(read_targets(given), given, strict=True)}
    return np.array([known[text] for text in classes], dtype=targets.dtype)


def single_member(model: Model) -> Model:
    """Return a model's first network, which the ensemble was judged against, as a model; its metrics are that network's.

    A model of one network comes back as it is.
    """
    if len(model.members) == 1:
        return model
    known = {name: model.metrics[name] for name in ("metric", "direction", "search", "fresh") if name in model.metrics}
    known |= {"single_of": len(model.members)}
    first = model.members[0]
    provenance = {**model.provenance, "trials": [first.trial]}
    combination = model.single or ALONE
    return replace(model, members=(first,), metrics=known, provenance=provenance, combination=combination, single=None)


def with_weights(model: Model, change: Callable[[Any], Any]) -> Model:
    """Return a model with each of its weights changed."""
    members = []
    for member in model.members:
        weights = {name: change(weight) for name, weight in member.weights.items()}
        members.append(replace(member, weights=weights))
    return replace(model, members=tuple(members))


def provenance_of(data: Data, *, study: str, seed: int, trials: Sequence[int]) -> dict[str, Any]:
    """Return the provenance of a model: the study and its seed, the trials, the data by name and hash, versions, device, date (UTC)."""
    return {
        "study": study,
        "seed": seed,
        "trials": list(trials),
        "data": {"name": data.name, "title": data.title, "hash": data.summary.get("hash")},
        "versions": versions(),
        "device": str(data.training.inputs.device),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a result; hpsearch's own is the code's, installed or not."""
    return {"hpsearch": __version__} | {package: version(package) for package in PACKAGES}
