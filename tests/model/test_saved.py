"""A model as files: what comes back is what was saved, predicts bit for bit alike, and damage is told in one line."""

import json
import os
from dataclasses import replace
from hashlib import sha256
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from hpsearch.data import Data, from_arrays
from hpsearch.data.options import TaskOptions
from hpsearch.data.target_form import TargetForm
from hpsearch.errors import StorageError, UserError
from hpsearch.model import Member, Model, load_model, model_of, predict, save_model
from hpsearch.model.combination import ALONE, Combination
from hpsearch.model.intervals import HeldOutErrors
from hpsearch.model.models import kind_of, single_member
from hpsearch.model.pipeline import CHUNK
from hpsearch.model.saved import with_checksum
from hpsearch.training import TrialQueue
from hpsearch.training.network import DNN
from hpsearch.training.reference import train
from hpsearch.trial import Architecture, TrainingRun, TrialSpec

TASKS = ("regression", "binary", "multiclass")


def data_of(task: str) -> Data:
    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(90, 5))
    signal = inputs[:, 0] + inputs[:, 1]
    targets = {
        "regression": 1e6 + 40 * signal,
        "binary": np.where(signal > 0, "yes", "no"),
        "multiclass": np.digitize(signal, [-0.5, 0.5]),
    }
    return from_arrays(inputs, targets[task], name="made", task=TaskOptions(task=task))


def trained(data: Data, seed: int = 1, **changes: object) -> tuple[TrialSpec, TrainingRun]:
    architecture = Architecture(data.inputs, (8, 6), data.outputs, **changes)  # type: ignore[arg-type]
    spec = TrialSpec(seed, seed, 0, architecture, "adam", 0.01, 16, (20, 40))
    run = train(spec, data, TrialQueue())
    assert run is not None
    return spec, run


def model(task: str, members: int = 1) -> tuple[Data, Model]:
    data = data_of(task)
    runs = [trained(data, seed) for seed in range(1, members + 1)]
    each = [Member(spec.architecture, run.weights, run.number, spec.seed) for spec, run in runs]  # type: ignore[arg-type]
    return data, model_of(data, each, metrics={"validation": 0.5, "bound": float("inf")}, provenance={"study": "made"})


def test_a_model_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    """Saved once more on another day, the files keep their bytes; another model, and files that are damaged, are written."""
    _, made = model("multiclass")
    save_model(tmp_path, "best", made)
    before = (tmp_path / "best.json").read_bytes()
    later = replace(made, provenance={**made.provenance, "date": "2100-01-01 00:00:00"})
    save_model(tmp_path, "best", later)
    assert (tmp_path / "best.json").read_bytes() == before
    save_model(tmp_path, "best", replace(later, metrics={"validation": 0.25}))
    assert load_model(tmp_path).metrics == {"validation": 0.25}
    (tmp_path / "best.safetensors").write_bytes(b"")
    save_model(tmp_path, "best", later)
    assert load_model(tmp_path).provenance["date"] == "2100-01-01 00:00:00"


@pytest.mark.parametrize("task", TASKS)
def test_a_saved_model_predicts_what_the_trained_network_did(task: str, tmp_path: Path) -> None:
    """Saved, loaded and asked, a model gives the trained network's predictions bit for bit."""
    data, made = model(task)
    save_model(tmp_path, "best", made)
    architecture = made.members[0].architecture
    assert architecture is not None
    network = DNN(architecture)
    network.load_state_dict(dict(made.members[0].weights))
    with torch.no_grad():
        expected = data.predict(network(data.test.inputs))
    found = predict(load_model(tmp_path), data.test.inputs)
    assert torch.equal(found[:, -1:] if task == "binary" else found, expected)
    assert found.dtype == expected.dtype
    if task == "binary":
        assert torch.equal(found[:, 0], 1 - found[:, 1])


@pytest.mark.parametrize("task", TASKS)
def test_several_members_predict_their_mean(task: str, tmp_path: Path) -> None:
    """Members keep their own weights, and their predictions are averaged, not their outputs."""
    data, made = model(task, members=3)
    save_model(tmp_path, "best", made)
    loaded = load_model(tmp_path)
    alone = [
        predict(replace(made, members=(member,), combination=ALONE), data.test.inputs).double()
        for member in made.members
    ]
    assert torch.allclose(
        predict(loaded, data.test.inputs).double(), torch.stack(alone).sum(0) / 3, rtol=1e-6, atol=1e-7
    )
    assert [member.trial for member in loaded.members] == [1, 2, 3]


def test_a_target_s_range_and_scale_come_back(tmp_path: Path) -> None:
    """The range of a target that has no upper limit, and the scale that networks learned, are the same after saving."""
    _, made = model("regression")
    made = replace(made, target_form=TargetForm((0.0,), (inf,), (2.5,)))
    save_model(tmp_path, "best", made)
    assert load_model(tmp_path).target_form == made.target_form


def test_all_but_the_weights_comes_back(tmp_path: Path) -> None:
    """Every field comes back as it was; what is not finite becomes null, so that the file is strict JSON."""
    _, made = model("multiclass")
    save_model(tmp_path, "best", made)
    loaded = load_model(tmp_path)
    for name in ("task", "classes", "class_kind", "target_mean", "target_scale", "provenance", "target_form"):
        assert getattr(loaded, name) == getattr(made, name), name
    assert loaded.metrics == {"validation": 0.5, "bound": None}
    assert loaded.members[0].architecture == made.members[0].architecture
    json.loads((tmp_path / "best.json").read_text(), parse_constant=pytest.fail)


def test_the_same_model_is_the_same_files(tmp_path: Path) -> None:
    """Saving twice gives the same bytes: nothing in the files depends on the order of a set or on time."""
    _, made = model("binary", members=2)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        save_model(tmp_path / folder, "best", made)
    for file in ("best.safetensors", "best.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        (("False", "True"), "boolean"),
        (("0", "1", "10"), "integer"),
        (("-1", "1"), "integer"),
        (("007", "1"), "text"),
        (("0.5", "1.5"), "number"),
        (("nan", "1.0"), "text"),
        (("1_0", "1"), "text"),
        ((), "text"),
    ],
)
def test_labels_tell_what_they_were(classes: tuple[str, ...], kind: str) -> None:
    """A label is a number again only where the number is written just so."""
    assert kind_of(classes) == kind


def damaged(folder: Path, change: dict[str, object]) -> None:
    """Save a model and change its description, all checksums but those that are changed kept right."""
    _, made = model("multiclass")
    save_model(folder, "best", made)
    path = folder / "best.json"
    path.write_text(json.dumps(with_checksum(json.loads(path.read_text()) | change)))


def refused(folder: Path) -> str:
    with pytest.raises(StorageError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 5}, "format 5, 4 expected"),
        ({"format": None}, "format None, 4 expected"),
        ({"sha256": "0" * 64}, "its sha256 differs"),
        ({"task": "ranking"}, "unknown task 'ranking'"),
        ({"classes": ["a", "b"]}, "other outputs than the task has"),
        ({"classes": [1, 2, 3]}, "are not texts alone"),
        ({"class_kind": "colour"}, "an unknown kind of classes"),
        ({"members": []}, "1 shares of 0 networks"),
        ({"members": 3}, "has no len"),
        ({"target_mean": ["x"]}, "is no finite number"),
        ({"target_mean": [0.0, 1.0]}, "two lengths"),
        ({"preprocessing": 3}, "3 is no table"),
        ({"target_scale": [0.0]}, "the target divided by 0.0"),
        ({"target_form": {"low": [0.0], "high": [0.0], "shifts": None}}, "a range from low to high"),
        ({"target_form": {"low": [0.0, 0.0], "high": [1.0, 1.0], "shifts": None}}, "of other targets"),
    ],
)
def test_a_wrong_description_is_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    """What the description says wrongly is told in one line, before a network is made of it."""
    damaged(tmp_path, change)
    assert said in refused(tmp_path)


WRONG_COLUMNS: dict[str, tuple[dict[str, object], str]] = {
    "scale of zero": ({"scale": [0.0]}, "divided by 0.0"),
    "scale below zero": ({"scale": [-1.0]}, "divided by -1.0"),
    "no number": ({"scale": ["1"]}, "standardised by '1'"),
    "no mean": ({"mean": [None]}, "standardised by None"),
    "too many means": ({"mean": [0.0, 1.0]}, "argument 2 is shorter"),
    "truth as a mean": ({"mean": [True]}, "standardised by True"),
    "infinite fill": ({"fill": "inf"}, "standardised by 'inf'"),
    "unknown kind": ({"kind": "colour"}, "unknown kind 'colour'"),
    "one input more": ({"indicator": True, "mean": [0.0, 0.0], "scale": [1.0, 1.0]}, "gives 6 inputs, its network takes 5"),
    "a category more": ({"kind": "category", "categories": ["a", "b"], "other": False, "missing": False}, "gives 6 inputs"),
    "categories that are no text": ({"kind": "category", "categories": [3], "other": False, "missing": False}, "categories of column"),
    "another's name": ({"name": "1"}, "two columns of one name"),
    "no name": ({"name": 3}, "a column called 3"),
    "a date without a format": ({"kind": "date"}, "'format' is missing"),
}  # fmt: skip


@pytest.mark.parametrize("change", WRONG_COLUMNS)
def test_a_preprocessing_that_does_not_fit_is_refused(change: str, tmp_path: Path) -> None:
    """Whatever its checksum says, a model whose preprocessing is inconsistent is refused when it is loaded, not when it predicts."""
    column, said = WRONG_COLUMNS[change]
    _, made = model("multiclass")
    first, *others = made.preprocessing["columns"]
    damaged(tmp_path, {"preprocessing": {**made.preprocessing, "columns": [{**first, **column}, *others]}})
    assert said in refused(tmp_path)


def test_names_in_a_file_without_a_line_of_names_are_refused(tmp_path: Path) -> None:
    """Columns of such a file are called by their numbers; a model that says otherwise could not read new rows by their places."""
    _, made = model("multiclass")
    reading = {"header": False, "separator": ","}
    first, *others = made.preprocessing["columns"]
    damaged(
        tmp_path,
        {"preprocessing": {**made.preprocessing, "reading": reading, "columns": [{**first, "name": "day"}, *others]}},
    )
    assert "columns with names, of a file without a line of names" in refused(tmp_path)


IMAGES = {
    "kind": "images",
    "version": 1,
    "shape": [1, 1, 5],
    "mean": [0.5],
    "scale": [2.0],
    "source": "arrays",
    "divisor": 1,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": [1, 5, 5]}, "gives 25 inputs, its network takes 5"),
        ({"shape": [1, -1, -5]}, "images of shape"),
        ({"shape": "abc"}, "images of shape"),
        ({"mean": [0.5, 0.5]}, "means of 2 channels"),
        ({"scale": [0]}, "divided by 0"),
        ({"divisor": 0}, "divided by 0"),
    ],
)
def test_a_preprocessing_of_images_that_does_not_fit_is_refused(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    """Shape, means and scales of images have to fit each other and the network; those that do are loaded."""
    damaged(tmp_path, {"preprocessing": IMAGES})
    assert load_model(tmp_path).preprocessing == IMAGES
    damaged(tmp_path, {"preprocessing": {**IMAGES, **change}})
    assert said in refused(tmp_path)


def test_a_changed_digit_of_the_description_is_found(tmp_path: Path) -> None:
    """What is still JSON, and still a model, is not the model that was written: its checksum says so; before it had one, nothing did."""
    damaged(tmp_path, {})
    path = tmp_path / "best.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "provenance": {"study": "another"}}))
    assert "its checksum differs" in refused(tmp_path)
    del described["checksum"]
    path.write_text(json.dumps(described))
    assert "its checksum differs" in refused(tmp_path)
    path.write_text(json.dumps({**described, "format": 1}))
    assert load_model(tmp_path).task == "multiclass"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("widths", [8, 7], "[8, 6], [7, 8] expected|layers.1.weight is [6, 8], [7, 8] expected"),
        ("widths", [10**12, 6], "expected"),
        ("widths", [8, 6, 4], "expected"),
        ("widths", "86", "widths|expected|must"),
        ("activation", "swish", "unknown activation"),
        ("colour", 1, "unexpected keyword"),
    ],
)
def test_an_architecture_that_does_not_fit_is_refused(field: str, value: object, said: str, tmp_path: Path) -> None:
    """An architecture that the weights do not have is refused by their shapes; no memory is asked for."""
    _, made = model("multiclass")
    save_model(tmp_path, "best", made)
    path = tmp_path / "best.json"
    described = json.loads(path.read_text())
    described["members"][0]["architecture"][field] = value
    path.write_text(json.dumps(with_checksum(described)))
    message = refused(tmp_path)
    assert any(part in message for part in said.split("|")), message


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"format": ', b'{"format": 1' + b"0" * 5_000 + b"}"]
)
def test_what_is_no_json_of_a_model_is_refused(content: bytes, tmp_path: Path) -> None:
    """Empty, binary, cut, nested a hundred thousand deep, a number of thousands of digits: one line each."""
    damaged(tmp_path, {})
    (tmp_path / "best.json").write_bytes(content)
    assert "best.json" in refused(tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    """One changed bit among the weights, which safetensors itself would load, is found; so is a missing file."""
    damaged(tmp_path, {})
    path = tmp_path / "best.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert "its sha256 differs" in refused(tmp_path)
    path.unlink()
    assert "best.safetensors: No such file" in refused(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are pipes of this kind on POSIX alone")
@pytest.mark.parametrize("name", ["best.json", "best.safetensors"])
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    """A pipe in the place of a model's file, from which nothing ever comes, is refused at once."""
    damaged(tmp_path, {})
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    assert f"{name}: no ordinary file" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"x" * 40, b"\xff" * 40])
def test_a_file_that_is_no_safetensors_is_refused(content: bytes, tmp_path: Path) -> None:
    """A weights' file of another kind is refused though its hash is right."""
    damaged(tmp_path, {"sha256": sha256(content).hexdigest()})
    (tmp_path / "best.safetensors").write_bytes(content)
    assert "no model of hpsearch's" in refused(tmp_path)


def test_weights_that_do_not_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that would take more memory than is free are refused in a line before they are read."""
    damaged(tmp_path, {})
    size = (tmp_path / "best.safetensors").stat().st_size
    monkeypatch.setattr("hpsearch.data.memory.available", lambda: size)
    with pytest.raises(UserError, match=r"best\.\w+ would need about .* of memory, .* are free\."):
        load_model(tmp_path)


def test_weights_of_nobody_are_refused(tmp_path: Path) -> None:
    """Tensors that no layer has do not ride along."""
    _, made = model("multiclass")
    content = save({**made.members[0].weights, "more": torch.zeros(1)})
    damaged(tmp_path, {"sha256": sha256(content).hexdigest()})
    (tmp_path / "best.safetensors").write_bytes(content)
    assert "weights of no member" in refused(tmp_path)


def test_chunks_change_nothing_but_rounding() -> None:
    """More rows than a chunk holds give each row's prediction once, in order."""
    architecture = Architecture(6, (8,), 3)
    weights = DNN.initialized(architecture, 0).float().state_dict()
    made = Model((Member(architecture, weights, 0, 0),), "multiclass", ("a", "b", "c"), "text", (0.0,), (1.0,), {})
    rows = torch.randn(3_000, 6, generator=torch.Generator().manual_seed(0))
    found = predict(made, rows.repeat(6, 1))
    assert len(found) == 18_000 > 2 * CHUNK
    assert torch.allclose(found, predict(made, rows).repeat(6, 1), atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_a_combination_is_saved_and_predicts_by_hand(task: str, tmp_path: Path) -> None:
    """Shares and temperature come back, and predictions are the weighted mean, its logits divided; the single one has its own."""
    data, plain = model(task, members=2)
    degree = 1.0 if task == "regression" else 1.7
    errors = HeldOutErrors(9, ((0.5, 1.0),)) if task == "regression" else None
    made = replace(
        plain, combination=Combination((0.25, 0.75), degree, errors), single=Combination((1.0,), degree, errors)
    )
    save_model(tmp_path, "best", made)
    loaded = load_model(tmp_path)
    assert (loaded.combination, loaded.single) == (made.combination, made.single)
    assert single_member(loaded).combination == made.single
    each = [
        predict(replace(made, members=(member,), combination=ALONE), data.test.inputs).double()
        for member in made.members
    ]
    expected = 0.25 * each[0] + 0.75 * each[1]
    if task != "regression":
        powers = expected ** (1 / degree)
        expected = powers / powers.sum(dim=1, keepdim=True)
    assert torch.allclose(predict(loaded, data.test.inputs).double(), expected, rtol=1e-5, atol=1e-6)


def test_a_model_of_an_earlier_format_predicts_by_the_plain_mean(tmp_path: Path) -> None:
    """A description of format 2 knows neither shares nor temperature: each network has the same share, and no errors are known."""
    _, made = model("binary", members=2)
    save_model(tmp_path, "best", made)
    path = tmp_path / "best.json"
    described = json.loads(path.read_text())
    del described["combination"], described["checksum"]
    path.write_text(json.dumps(with_checksum({**described, "format": 2})))
    assert load_model(tmp_path).combination == Combination((0.5, 0.5))
