"""Exported files answer as torch does, from raw columns to labels, and none is left that does not."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from hpsearch.data.columns.reading import read_columns
from hpsearch.data.target_form import TargetForm
from hpsearch.errors import HpsearchError, StorageError, UserError
from hpsearch.model import Member, Model, exporting, load_model
from hpsearch.model.combination import Combination
from hpsearch.model.exporting import FORMATS, export
from hpsearch.model.pipeline import InferencePipeline, plausible
from hpsearch.model.signature import Port, lines, of_columns, of_numbers
from hpsearch.training.network import DNN
from hpsearch.trial import Architecture

# torch 2.11's own reading of a pt2 file, which some tests call as a user would.
pytestmark = pytest.mark.filterwarnings("ignore:The given buffer is not writable")

COLUMNS = [
    {"name": "age", "kind": "number", "fill": 38.5, "indicator": True, "mean": [40.0, 0.1], "scale": [10.0, 0.3]},
    {"name": "city", "kind": "category", "categories": ["Aachen", "Berlin", "=x"], "other": True, "missing": True},
    {"name": "prediction", "kind": "boolean", "false": "no", "true": "yes", "fill": 1.0, "indicator": False, "mean": [0.4], "scale": [0.5]},
    {"name": "day", "kind": "date", "format": "%Y-%m-%d", "fill": 19_000.0, "indicator": False, "parts": ["days", "year_sin", "week_cos"],
     "mean": [19_000.0, 0.0, 0.0], "scale": [300.0, 0.7, 0.7]},
]  # fmt: skip
TABLE = {"kind": "table", "version": 1, "target": "y", "columns": COLUMNS}
NUMBERS = {**TABLE, "columns": [COLUMNS[0], COLUMNS[3]]}
IMAGES = {"kind": "images", "version": 1, "shape": [1, 3, 4], "mean": [120.0], "scale": [60.0], "divisor": 1}
INPUTS = {"table": 11, "numbers": 5, "images": 12}
SHARES = {1: (1.0,), 2: (0.25, 0.75), 3: (0.5, 0.25, 0.25)}
PREPROCESSING: dict[str, dict[str, Any]] = {"table": TABLE, "numbers": NUMBERS, "images": IMAGES}


def model(source: str, task: str, members: int = 1, kind: str = "text", form: TargetForm | None = None) -> Model:
    classes = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}[task]
    classes = tuple(str(i * 10) for i in range(len(classes))) if kind == "integer" else classes
    outputs = {"regression": 2, "binary": 1, "multiclass": 3}[task]
    architecture = Architecture(INPUTS[source], (8,), outputs)
    each = [Member(architecture, DNN.initialized(architecture, i).float().state_dict(), i, i) for i in range(members)]
    mean, scale = ((1e6, 5.0), (100.0, 2.0)) if task == "regression" else ((0.0,), (1.0,))
    return Model(
        tuple(each),
        task,
        classes,
        kind,
        mean,
        scale,
        PREPROCESSING[source],
        {"validation": 0.5},
        {"study": "<made>"},
        combination=Combination(SHARES[members], 1.0 if task == "regression" else 1.7),
        target_form=form,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("source", "task", "members"),
    [("table", "multiclass", 2), ("numbers", "regression", 1), ("images", "binary", 1)],
)
def test_a_file_answers_as_torch_does(source: str, task: str, members: int, name: str, tmp_path: Path) -> None:
    """Each format gives torch's predictions, shares and temperature included, of every task; only its own files are left."""
    if name == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    exported = export(model(source, task, members), name, tmp_path / f"it{FORMATS[name].suffix}")
    assert exported.difference < 1e-5
    assert exported.rows == 512
    assert exported.path.is_file()
    assert {file.suffix for file in tmp_path.iterdir()} == {FORMATS[name].suffix} | (
        {".json"} if name == "safetensors" else set()
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_has_the_target_s_scale_and_range(name: str, tmp_path: Path) -> None:
    """Each format turns learned logarithms back and keeps within the range, which some of the rows would leave."""
    if name == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    form = TargetForm((0.0, 0.0), (np.expm1(3.0), np.inf), (1.0, 0.5))
    made = replace(model("numbers", "regression", form=form), target_mean=(3.0, 1.0), target_scale=(2.0, 1.0))
    predictions = InferencePipeline(made)(plausible(made, 512))
    at_limit = predictions[:, 0] == np.expm1(3.0)
    assert 0.1 < at_limit.double().mean() < 0.9
    assert predictions.min() >= 0
    assert export(made, name, tmp_path / f"it{FORMATS[name].suffix}").difference < 1e-5


def ask(path: Path, feed: dict[str, Any]) -> list[Any]:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].name == "prediction"
    return list(session.run(None, feed))


@pytest.mark.slow
def test_an_onnx_file_takes_raw_columns(tmp_path: Path) -> None:
    """Columns go in by name as they stand in the table, unseen and missing cells with them; labels come out, for one row or several."""
    pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    made = model("table", "multiclass")
    export(made, "onnx", tmp_path / "it.onnx")
    rows = [
        (41.0, "Berlin", "yes", 19_100.5),
        (np.nan, "Paris", "no", np.nan),
        (3.0, "", "", 18_000.0),
        (9.0, "=x", "maybe", 0.0),
    ]
    codes = torch.tensor(
        [(41, 1, 1, 19_100.5), (np.nan, 3, 0, np.nan), (3, np.nan, np.nan, 18_000), (9, 2, np.nan, 0)],
        dtype=torch.float64,
    )
    for count in (1, 4):
        age, city, member, day = (np.array(column)[:, None] for column in zip(*rows[:count], strict=True))
        labels, probabilities = ask(
            tmp_path / "it.onnx",
            {"age": age, "city": city.astype(object), "prediction_": member.astype(object), "day": day},
        )
        expected = InferencePipeline(made)(codes[:count])
        np.testing.assert_allclose(probabilities, expected, atol=1e-6)
        assert labels.tolist() == [made.classes[i] for i in expected.argmax(1)]


BLANKS = [("", ""), (" ", ""), ("", "   "), ("\t", "\r\n"), ("\u00a0", "\u3000 ")]
CITIES = ["New  York", "New York", "a.b*(c", "é|x\\d"]
ODD = {
    "reading": {"missing_values": ["k.A."]},
    "columns": [
        {"name": "code 0", "kind": "category", "categories": CITIES, "other": False, "missing": True},
        {**COLUMNS[2], "name": "code", "false": "False", "true": "True"},
    ],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), BLANKS)
def test_an_onnx_file_reads_texts_as_a_table_is_read(before: str, after: str, tmp_path: Path) -> None:
    """Blanks around a text change nothing, and blanks in it do; truth values come in any spelling: in the file as in the model."""
    onnx = pytest.importorskip("onnx", reason="needs the extra 'export'")
    architecture = Architecture(6, (8,), 3)
    weights = DNN.initialized(architecture, 1).float().state_dict()
    made = replace(
        model("table", "multiclass"),
        members=(Member(architecture, weights, 1, 1),),
        preprocessing={**TABLE, **ODD},
    )
    path = tmp_path / "it.onnx"
    _, truth = [port.name for port in onnx_inputs(made, path)]
    cities = ["New York", "New  York", "New   York", "new york", "a.b*(c", "aXb*(c", "é|x\\d", "é", "", "k.A."]
    truths = ["true", "False", "YES", "n", "1", "0", "1.0", "maybe", "", "k.A."]
    padded = {name: [before + cell + after for cell in cells] for name, cells in (("code 0", cities), ("code", truths))}
    feed = {"code 0": padded["code 0"], truth: padded["code"]}
    _, found = ask(path, {name: np.array(cells, dtype=object)[:, None] for name, cells in feed.items()})
    frame = pd.DataFrame(padded)
    numbers = torch.from_numpy(read_columns(made.preprocessing, frame))
    np.testing.assert_allclose(found, InferencePipeline(made)(numbers), atol=1e-6)
    assert numbers[:, 0].nan_to_num(-1).tolist() == [1, 0, 4, 4, 2, 4, 3, 4, -1, -1]
    assert numbers[:, 1].nan_to_num(-1).tolist() == [1, 0, 1, 0, 1, 0, 1, -1, -1, -1]
    onnx.checker.check_model(onnx.load(path), full_check=True)


def onnx_inputs(made: Model, path: Path) -> tuple[Port, ...]:
    """Export a model, and return what its file takes."""
    signature = export(made, "onnx", path).signature
    assert signature is not None
    return signature.inputs


def test_integer_labels_come_back_as_integers(tmp_path: Path) -> None:
    """Labels that were whole numbers are whole numbers again."""
    pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    made = model("numbers", "multiclass", kind="integer")
    export(made, "onnx", tmp_path / "it.onnx")
    rows = plausible(made, 20)
    labels, _ = ask(tmp_path / "it.onnx", {"numbers": rows.numpy()})
    assert labels.dtype == np.int64
    assert labels.tolist() == [10 * int(i) for i in InferencePipeline(made)(rows).argmax(1)]


@pytest.mark.slow
def test_an_onnx_file_says_where_it_comes_from_but_not_from_which_machine(tmp_path: Path) -> None:
    """Classes and provenance are in the file's metadata; no path of this machine is anywhere in it."""
    onnx = pytest.importorskip("onnx", reason="needs the extra 'export'")
    export(model("table", "binary"), "onnx", tmp_path / "it.onnx")
    found = {entry.key: json.loads(entry.value) for entry in onnx.load(tmp_path / "it.onnx").metadata_props}
    assert found["classes"] == ["no", "yes"]
    assert found["provenance"] == {"study": "<made>"}
    assert b".py" not in (tmp_path / "it.onnx").read_bytes()


TYPES = {"string": "tensor(string)", "double": "tensor(double)", "float": "tensor(float)", "int64": "tensor(int64)"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "task", "kind"),
    [("table", "multiclass", "text"), ("numbers", "regression", "text"), ("images", "binary", "integer")],
)
def test_what_an_onnx_file_takes_is_described(source: str, task: str, kind: str, tmp_path: Path) -> None:
    """Names, types and shapes that are told are those that onnxruntime finds, and each input says in the file what it holds."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    onnx = pytest.importorskip("onnx", reason="needs the extra 'export'")
    signature = export(model(source, task, kind=kind), "onnx", tmp_path / "it.onnx").signature
    assert signature is not None
    session = onnxruntime.InferenceSession(tmp_path / "it.onnx", providers=["CPUExecutionProvider"])
    told = {port.name: (TYPES[port.type], port.shape) for port in (*signature.inputs, *signature.outputs)}
    found = {
        port.name: (port.type, f"[{', '.join(map(str, port.shape))}]")
        for port in (*session.get_inputs(), *session.get_outputs())
    }
    assert {name: told[name] for name in found} == found
    assert not [name for name in told.keys() - found.keys() if "[:, " not in name]
    stored = onnx.load(tmp_path / "it.onnx")
    holds = {port.name: port.holds for port in (*signature.inputs, *signature.outputs)}
    assert {v.name: v.doc_string for v in (*stored.graph.input, *stored.graph.output)} == {n: holds[n] for n in found}
    described = {entry.key: json.loads(entry.value) for entry in stored.metadata_props}
    assert described["inputs"] == signature.plain()["inputs"]
    assert stored.doc_string.splitlines()[0].startswith(f"input {signature.inputs[0].name}: ")


def test_what_each_column_holds_is_told(tmp_path: Path) -> None:
    """Dates are days since 1970, categories their texts or their places, missing cells what stands for them."""
    made = model("table", "multiclass")
    signature = export(made, "pt2", tmp_path / "it.pt2").signature
    assert signature is not None
    whole, age, city, member, day = signature.inputs
    assert (whole.name, whole.type, whole.shape) == ("numbers", "double", "[rows, 4]")
    assert age.holds == "column 'age': a number; NaN where missing"
    assert "0 'Aachen', 1 'Berlin', 2 '=x'; 3 for any other; NaN where missing" in city.holds
    assert "0 'no', 1 'yes'" in member.holds
    days = (np.datetime64("2024-03-01") - np.datetime64("1970-01-01")).astype(int)
    assert f"days since 1970-01-01: 2024-03-01 is {days}" in day.holds
    extra = {exporting.EXTRA: ""}
    torch.export.load(tmp_path / "it.pt2", extra_files=extra)
    assert json.loads(extra[exporting.EXTRA])["inputs"] == signature.plain()["inputs"]
    by_name = of_columns(made, ["age", "city", "prediction_", "day"])
    assert by_name[1].holds == "a text, seen in training: 'Aachen', 'Berlin', '=x'; empty text where missing"
    assert by_name[2].holds.startswith("column 'prediction': 'no' or 'yes'")


def test_a_wide_table_is_told_in_part() -> None:
    """On the screen many columns are the first ones and how many more there are."""
    ports = of_numbers(replace(model("table", "binary"), preprocessing={**TABLE, "columns": COLUMNS * 30}), "numbers")
    told = [*lines(ports, 10)]
    assert len(told) == 10
    assert told[-1] == "… 112 more, which the file's metadata describe"
    assert len([*lines(ports, 121)]) == len(ports) == 121


def test_a_program_carries_its_description(tmp_path: Path) -> None:
    """A pt2 file holds classes and provenance in an extra file, and takes any number of rows."""
    made = model("table", "binary", members=2)
    export(made, "pt2", tmp_path / "it.pt2")
    extra = {exporting.EXTRA: ""}
    program = torch.export.load(tmp_path / "it.pt2", extra_files=extra)
    assert json.loads(extra[exporting.EXTRA])["classes"] == ["no", "yes"]
    for count in (1, 2, 7):
        rows = plausible(made, count)
        assert torch.equal(program.module()(rows), InferencePipeline(made)(rows))


def test_exporting_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The exporters' progress and advice stay off the screen."""
    pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    export(model("images", "binary"), "onnx", tmp_path / "it.onnx")
    assert capfd.readouterr() == ("", "")


def test_a_file_that_answers_otherwise_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose answers differ is an error, and the file that was there before stays."""
    (tmp_path / "it.pt2").write_text("before")
    row = FORMATS["pt2"]

    def wrong(made: Model, path: Path) -> None:
        weights = {name: 1.01 * tensor for name, tensor in made.members[0].weights.items()}
        row.write(replace(made, members=(replace(made.members[0], weights=weights),)), path)

    monkeypatch.setitem(FORMATS, "pt2", replace(row, write=wrong))
    with pytest.raises(HpsearchError, match="differ from torch's"):
        export(model("table", "binary"), "pt2", tmp_path / "it.pt2")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("it.pt2", "before")]


def test_safetensors_are_the_model_again(tmp_path: Path) -> None:
    """The two files of the format safetensors load as the model that was exported."""
    made = model("table", "multiclass", members=2)
    export(made, "safetensors", tmp_path / "it.safetensors")
    loaded = load_model(tmp_path, "it")
    assert loaded.preprocessing == made.preprocessing
    assert [member.architecture for member in loaded.members] == [member.architecture for member in made.members]


def test_what_cannot_be_written_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown format, a name that ends otherwise, a missing folder or package, another preprocessing: one line each."""
    made = model("table", "binary")
    with pytest.raises(UserError, match=r"unknown format 'onxn'\. Did you mean 'onnx'"):
        export(made, "onxn", tmp_path / "it.onnx")
    with pytest.raises(UserError, match=r"ends with \.pt2 expected"):
        export(made, "pt2", tmp_path / "it.onnx")
    with pytest.raises(UserError, match="no such folder"):
        export(made, "pt2", tmp_path / "none" / "it.pt2")
    with pytest.raises(StorageError, match="gives 12 inputs, its network takes 11"):
        export(replace(made, preprocessing=IMAGES), "pt2", tmp_path / "it.pt2")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install onnx onnxscript onnxruntime"):
        export(made, "onnx", tmp_path / "it.onnx")
    assert list(tmp_path.iterdir()) == []
