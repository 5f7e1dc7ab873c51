"""Mutated models: refused in a line when they are loaded, or the model is what its two files say, and predicts."""

import json
import random
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.cli import main
from hpsearch.errors import StorageError
from hpsearch.model import load_model
from hpsearch.model.new_rows import predict_rows, read_rows
from hpsearch.model.saved import describe, with_checksum
from tests.support.fuzzing import Fuzz
from tests.support.mutants import NOT_JSON, OF_BYTES, VALUES, mutated, mutated_values
from tests.support.second_readers import safetensors_of

ROWS = 80
OF_FILES = ("format", "weights", "sha256", "checksum")  # keys that are of no model
STUDY = """
[data]
file = "rows.csv"
target = "{target}"
[space]
depth = 1
width = 4
[training]
epochs = 2
[search]
trials = 2
[confirm]
trials = 1
seeds = 2
"""


@pytest.fixture(scope="module", params=["price", "kind"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a network on a table with columns of every kind, and return its folder; its rows lie in `rows.csv`."""
    folder = tmp_path_factory.mktemp(request.param)
    draw = np.random.RandomState(0)
    lines = ["length,day,town,member,price,kind"]
    for row in range(ROWS):
        length = "" if row % 9 == 0 else f"{draw.normal():.3f}"
        day = f"2024-{1 + row % 12:02d}-{1 + row % 28:02d}"
        town = ["Ulm", "Köln", "Bonn"][row % 3]
        lines.append(f"{length},{day},{town},{['no', 'yes'][row % 2]},{draw.normal():.2f},{'abc'[row % 3]}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    file = folder / "study.toml"
    file.write_text(STUDY.format(target=request.param).replace("rows.csv", str(folder / "rows.csv")))
    assert main(["run", str(file), "--reports", str(folder), "--device", "cpu"]) == 0
    return folder / "study"


def sealed(described: Mapping[str, Any], weights: bytes) -> str:
    """Return a description with the checksums that belong to it, as whoever changes it on purpose can compute them."""
    return json.dumps(with_checksum({**described, "sha256": sha256(weights).hexdigest()}))


def predict(folder: Path) -> None:
    """Predict some rows with a model, and check that the predictions are numbers."""
    loaded = load_model(folder)
    rows = read_rows(loaded, folder.parent / "rows.csv")
    for predictions in predict_rows(loaded, rows):
        assert predictions.isfinite().all()


def assert_same(ours: Any, theirs: Any, key: str) -> None:
    """Check that plain values are those of a file; a whole number may be one with a fraction of 0."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in ours.keys() & theirs.keys():
            assert_same(ours[name], theirs[name], f"{key}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        assert len(ours) == len(theirs), key
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_same(*pair, f"{key}[{number}]")
    elif theirs is not None or key != "model.combination":  # the plain mean
        is_float = isinstance(ours, float) and isinstance(theirs, int)
        assert ours == (float(theirs) if is_float else theirs), (key, ours, theirs)
        assert isinstance(ours, bool) == isinstance(theirs, bool), (key, ours, theirs)


def test_mutated_descriptions(fuzz: Fuzz, model: Path) -> None:
    """Every mutated best.json, its checksum computed anew or not, is refused in a line, or the model has its values and predicts."""
    file = model / "best.json"
    sound = file.read_bytes()
    weights = (model / "best.safetensors").read_bytes()
    described = json.loads(sound)
    model_alone = {name: value for name, value in described.items() if name not in OF_FILES}

    def attempt(draw: random.Random) -> bool:
        if draw.random() < 0.15:
            file.write_bytes(mutated(sound, draw))
            try:
                load_model(model)
            except StorageError:
                return True
            assert json.loads(file.read_bytes()) == described
            return True
        changed = mutated_values(model_alone, draw, [*VALUES, *NOT_JSON])
        head = {name: described[name] for name in OF_FILES}
        if draw.random() < 0.1:
            head = mutated_values(head, draw)
        text = sealed({**head, **changed}, weights)
        file.write_text(text)
        loaded = load_model(model)
        assert_same(describe(loaded), json.loads(text), "model")
        predict(model)
        return True

    try:
        fuzz.run("best.json", attempt)
    finally:
        file.write_bytes(sound)


def test_mutated_weights(fuzz: Fuzz, model: Path) -> None:
    """Every mutated best.safetensors, its checksum computed anew, is refused in a line, or the networks have its numbers and predict."""
    file = model / "best.json"
    weights_file = model / "best.safetensors"
    sound = file.read_bytes()
    weights = weights_file.read_bytes()
    described = json.loads(sound)
    length = 8 + int.from_bytes(weights[:8], "little")

    def attempt(draw: random.Random) -> bool:
        way = draw.choice(["bytes", "header", "numbers", "numbers"])
        if way == "bytes":
            content = mutated(weights, draw)
        elif way == "header":
            header = json.dumps(mutated_values(json.loads(weights[8:length]), draw)).encode()
            content = len(header).to_bytes(8, "little") + header + weights[length:]
        else:
            content = weights[:length] + mutated(weights[length:], draw, OF_BYTES[:2])
        weights_file.write_bytes(content)
        file.write_text(sealed(described, content))
        loaded = load_model(model)
        tensors = safetensors_of(content)
        ours = {name: tensor.numpy() for member in loaded.members for name, tensor in member.weights.items()}
        assert len(loaded.members) == 1
        assert ours.keys() == tensors.keys()
        for name, values in ours.items():
            np.testing.assert_array_equal(values, tensors[name])
        predict(model)
        return True

    try:
        fuzz.run("best.safetensors", attempt)
    finally:
        file.write_bytes(sound)
        weights_file.write_bytes(weights)
