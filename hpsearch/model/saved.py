"""A model as two files: `NAME.safetensors`, the weights of its networks, and `NAME.json`, everything else as plain values.

No pickle: neither file can hold code. The JSON has the sha256 of the weights and is written last, so that a pair is one model or none.
What was cut or changed by accident is found by the checksums, which anybody can compute anew who changes a file on purpose. So whatever
their checksums say, networks, task and preprocessing are compared with each other, and what does not fit together is refused in one line
when it is loaded. Whether other numbers of the right kind are those that training found no file can prove.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from itertools import pairwise
from math import isfinite
from pathlib import Path
from stat import S_ISREG
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hpsearch.data.memory import check_memory
from hpsearch.data.plain_values import numbers, table, texts, whole
from hpsearch.data.target_form import TargetForm
from hpsearch.data.tasks import TASKS
from hpsearch.data.transform import TRANSFORMS, check_preprocessing, check_scale
from hpsearch.errors import HpsearchError, StorageError, UserError, shown
from hpsearch.files import write_file
from hpsearch.model.combination import Combination
from hpsearch.model.models import CLASS_KINDS, Member, Model, single_member
from hpsearch.storage.folders import SINGLE, model_folder
from hpsearch.storage.trial_writing import fixed_trial
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.training.own import Build, OwnNetwork
from hpsearch.trial import Architecture

FORMAT = 4
FORMAT_WITHOUT_CHECKSUM = 1  # of the description
# Before 3 networks predicted by their plain mean, before 4 numbers had no range.
READABLE = (FORMAT_WITHOUT_CHECKSUM, 2, 3, FORMAT)
LONGEST_JSON = 1 << 28  # bytes: a table of 100,000 categories has some millions


def save_model(folder: Path, name: str, model: Model) -> None:
    """Write `NAME.safetensors` and then `NAME.json` into the folder, each whole or not at all.

    Files that hold this model already stay as they are, with the date on which it was made.

    Raises:
        StorageError: the disk is full, the folder read-only or missing.
    """
    tensors = {}
    for prefix, member in zip(_prefixes(len(model.members)), model.members, strict=True):
        for key, tensor in member.weights.items():
            tensors[prefix + key] = tensor.detach().cpu().contiguous()
    label = json.dumps({"format": FORMAT, "model": name})
    weights = save(tensors, {"hpsearch": label})  # one entry: several are written in a random order
    head = {"format": FORMAT, "weights": f"{name}.safetensors", "sha256": sha256(weights).hexdigest()}
    described = head | describe(model)
    if _holds(folder, name, described, weights):
        return
    write_file(folder / f"{name}.safetensors", weights)
    write_file(folder / f"{name}.json", json.dumps(with_checksum(described), indent=1, allow_nan=False) + "\n")


def _holds(folder: Path, name: str, described: Mapping[str, Any], weights: bytes) -> bool:
    """Whether the folder's files are those of a model with this description, whenever it was made, and these weights."""
    path = folder / f"{name}.json"
    try:
        known = _parsed(path, _content(path))
        same = _content(folder / f"{name}.safetensors") == weights and with_checksum(known) == known
    except HpsearchError:
        return False
    return same and _undated(known) == _undated(described)


def _undated(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description without its checksum and the date."""
    plain = {key: value for key, value in described.items() if key != "checksum"}
    if isinstance(plain.get("provenance"), dict):
        plain["provenance"] = plain["provenance"] | {"date": None}
    return plain


def load_model(folder: Path, name: str = "best", build: Build | None = None) -> Model:
    """Return a saved model; `build` makes its networks where they are of the user's own, whose code no file holds.

    Raises:
        UserError: its networks are of the user's own, and there is no `build`; or they do not fit into memory.
        StorageError: a file is missing, damaged, of another format, or does not fit the other one.
    """
    path = folder / f"{name}.json"
    described = _parsed(path, _content(path))
    found = described.get("format")
    if found not in READABLE:
        raise StorageError(
            f"{path}: format {shown(found)}, {FORMAT} expected. Read it with the hpsearch that wrote it."
        )
    if found != FORMAT_WITHOUT_CHECKSUM and with_checksum(described) != described:
        raise StorageError(f"{path}: damaged, its checksum differs. Copy both files again.")
    weights = folder / f"{name}.safetensors"
    content = _content(weights)
    if described.get("sha256") != sha256(content).hexdigest():
        raise StorageError(
            f"{weights}: not the file that {path.name} was written with (its sha256 differs). Copy both files again."
        )
    try:
        return _model(described, load(content), build)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError, SafetensorError) as error:
        raise StorageError(f"{path}: no model of hpsearch's ({_reason(error)}). Copy both files again.") from None


def load_named_model(study: str, reports: Path, name: str, build: Build | None = None) -> Model:
    """Load a study's model by its name: "best", "single" (one network of the best), "refit" or "trial-N".

    Raises:
        UserError: there is no such study or model (which there are).
        StorageError: a file is missing or damaged.
    """
    folder = model_folder(study, reports, name)
    if name == SINGLE:
        return single_member(load_model(folder, build=build))
    return load_model(folder, name, build)


def with_checksum(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description with the sha256 of all else that is in it: a digit that has changed is still JSON."""
    plain = {key: value for key, value in described.items() if key != "checksum"}
    return {**plain, "checksum": sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()}


def describe(model: Model) -> dict[str, Any]:
    """Return everything but the weights as strict JSON has it: tuples as lists, numbers that are not finite as null."""
    members = [_described_member(member) for member in model.members]
    described = {field.name: getattr(model, field.name) for field in fields(model)}
    described |= {"members": members, "combination": model.combination.plain()}
    if model.single is not None:
        described["single"] = model.single.plain()
    if model.target_form is not None:
        described["target_form"] = model.target_form.plain()
    return {name: _plain(value) for name, value in described.items()}


def _described_member(member: Member) -> dict[str, Any]:
    described: dict[str, Any] = {"trial": member.trial, "seed": member.seed}
    if member.architecture is not None:
        return {**described, "architecture": asdict(member.architecture)}
    own = member.network
    assert own is not None, "a network without an architecture is of the user's own"
    made = {"build": own.label, "params": own.trial.params, "shape": list(own.shape), "outputs": own.outputs}
    return {**described, "network": made}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        size = status.st_size
        if not S_ISREG(status.st_mode):  # a pipe, from which nothing may ever come
            raise StorageError(f"{path}: no ordinary file. Copy both files again.")
        if path.suffix == ".json" and size > LONGEST_JSON:
            raise StorageError(f"{path}: larger than any model's description. Copy both files again.")
        check_memory(2 * size, str(path), "Take a machine with more memory.")  # the file, and the weights in it
        return path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror}. Run the study, or give the folder that holds the model."
        ) from None


def _no_json(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        described = json.loads(content, parse_constant=_no_json)
    except (ValueError, RecursionError):
        described = None
    if not isinstance(described, dict):
        raise StorageError(f"{path}: damaged, no JSON of a model. Copy both files again.")
    return described


def _model(described: Mapping[str, Any], tensors: Mapping[str, Tensor], build: Build | None) -> Model:
    """Return the model that both files hold; whatever is not as it was written raises."""
    entries = described["members"]
    prefixes = _prefixes(len(entries))
    members = [_member(entry, tensors, prefix, build) for entry, prefix in zip(entries, prefixes, strict=True)]
    model = Model(
        tuple(members),
        described["task"],
        texts(described["classes"]),
        described["class_kind"],
        numbers(described["target_mean"]),
        numbers(described["target_scale"]),
        table(described["preprocessing"]),
        table(described["metrics"]),
        table(described["provenance"]),
        texts(described.get("labels", ())),
        Combination.of(described.get("combination"), len(members)),
        None if described.get("single") is None else Combination.of(described["single"], 1),
        TargetForm.of(described.get("target_form")),
    )
    _check(model, len(tensors))
    return model


def _prefixes(members: int) -> list[str]:
    """Return what stands before the names of each member's weights; nothing where there is one."""
    if members == 1:
        return [""]
    return [f"members.{number}." for number in range(members)]


def _member(entry: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str, build: Build | None) -> Member:
    if "architecture" not in entry:
        return _own_member(entry, tensors, prefix, build)
    given = entry["architecture"]
    architecture = Architecture(**{**given, "widths": tuple(given["widths"]), "pieces": tuple(given.get("pieces", ()))})
    weights = {}
    for key, shape in _shapes(architecture).items():
        tensor = tensors[prefix + key]
        weights[key] = tensor
        if tensor.shape != shape or not tensor.is_floating_point():
            raise ValueError(f"{prefix}{key} is {list(tensor.shape)}, {list(shape)} expected")
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{prefix}{key} holds numbers that are not finite")
    if architecture.pieces and not bool((weights["encoding.width"] > 0).all()):
        raise ValueError(f"{prefix}encoding.width holds intervals without width")
    return Member(architecture, weights, whole(entry["trial"]), whole(entry["seed"]))


def _shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a dense network's state, by name.

    Raises:
        ValueError: the pieces are not those of each input.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (inputs, outputs) in enumerate(pairwise(architecture.sizes)):
        shapes |= {f"layers.{layer}.weight": (outputs, inputs), f"layers.{layer}.bias": (outputs,)}
    pieces = architecture.pieces
    if pieces:
        if len(pieces) != architecture.inputs or not all(type(count) is int and count >= 0 for count in pieces):
            raise ValueError(f"pieces of {len(pieces)} inputs, {architecture.inputs} expected")
        shapes |= {"encoding.low": (sum(pieces),), "encoding.width": (sum(pieces),)}
    return shapes


def _own_member(entry: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str, build: Build | None) -> Member:
    made = entry["network"]
    if build is None:
        raise UserError(
            f"the model's network is of your own ({shown(made['build'])}), and a model's files hold no code. Give what makes it: "
            "--build FILE.py:NAME, or load(..., build=...)."
        )
    trial = fixed_trial(made["params"], int(entry["trial"]))
    shape = tuple(int(size) for size in made["shape"])
    network = OwnNetwork(build, trial, shape, int(made["outputs"]), torch.zeros(2, *shape))
    weights = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return Member(None, weights, whole(entry["trial"]), whole(entry["seed"]), network)


def _check(model: Model, tensors: int) -> None:
    """Refuse what could be read, but makes no model."""
    if model.task not in TASKS:
        raise ValueError(f"unknown task {shown(model.task)}")
    task = TASKS[model.task]
    outputs = task.outputs(len(model.target_mean), len(model.classes))
    activations = [member.architecture.activation for member in model.members if member.architecture]
    fits = {
        "weights of no member": tensors == sum(len(member.weights) for member in model.members),
        "unknown activation": all(activation in ACTIVATIONS for activation in activations),
        "other outputs than the task has": all(member.sizes[-1] == outputs for member in model.members),
        "members of different inputs": len({member.inputs for member in model.members}) == 1,
        "classes of another task": task.has_classes == bool(model.classes),
        "an unknown kind of classes": model.class_kind in CLASS_KINDS,
        "labels of another task": len(model.labels) == outputs * (task.predicts == "labels"),
        "errors of other targets": not model.combination.errors or len(model.combination.errors.errors) == outputs,
        "a target's scaling of two lengths": len(model.target_mean) == len(model.target_scale),
        "a form of other targets": not model.target_form or len(model.target_form.low) == outputs,
        "a form of targets that are no numbers": not model.target_form or task.predicts == "values",
    }
    for problem, fine in fits.items():
        if not fine:
            raise ValueError(problem)
    check_scale("the target", model.target_mean, model.target_scale)
    if model.preprocessing.get("kind") in TRANSFORMS and model.preprocessing.get("version") == 1:
        check_preprocessing(model.preprocessing, model.members[0].inputs)


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, KeyError):
        text = f"{error} is missing"
    return " ".join(text.split())[:200]
