"""From a table to predictions of new rows: a study end to end, its model on files of every kind, refitted and exported."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hpsearch.cli import main
from hpsearch.data import load_file
from hpsearch.data.columns.reading import read_columns
from hpsearch.data.loaders.table_files import read_like
from hpsearch.data.options import SplitOptions
from hpsearch.data.transform import transform_of
from hpsearch.errors import UserError
from hpsearch.model import load_model, predict
from hpsearch.model import new_rows as rows_module
from hpsearch.model.new_rows import NewRows, evaluate, predict_rows, read_rows, unseen_in_rows
from hpsearch.storage.reading import read_study
from tests.support.preprocessing import inputs_by_numpy

ROWS = 120
SETTINGS = [
    "--trials",
    "2",
    "--set",
    "training.epochs=4",
    "--set",
    "confirm.trials=0",
    "--engine",
    "reference",
    "--device",
    "cpu",
]


def table() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": generator.normal(40, 10, ROWS).round(1),
            "member": generator.choice(["yes", "no"], ROWS),
            "city": generator.choice(["Aachen", "Berlin", "=cmd"], ROWS),
            "day": pd.date_range("2020-01-01", periods=ROWS, freq="37h").strftime("%Y-%m-%d %H:%M:%S"),
        }
    )
    score = (frame["age"] - 40) / 10 + 2 * (frame["city"] == "Berlin") + (frame["member"] == "yes")
    frame["kind"] = np.where(score > 1.2, "=high", "low")
    frame.loc[::9, "age"] = np.nan
    return frame


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table and the study that was run on it."""
    folder = tmp_path_factory.mktemp("predict")
    table().to_csv(folder / "sales.csv", index=False)
    command = ["run", "--data", str(folder / "sales.csv"), "--target", "kind", "--reports", str(folder), *SETTINGS]
    assert main(command) == 0
    return folder


def predicted(place: Path, file: str, *more: str) -> list[list[str]]:
    """Return the rows of the CSV that `predict` writes."""
    output = ["-o", str(place / "out.csv"), "--force", "--no-id"]
    assert main(["predict", str(place / "sales"), str(place / file), *output, *more]) == 0
    with (place / "out.csv").open(newline="") as opened:
        return list(csv.reader(opened))


def test_predictions_are_those_of_the_trained_network(place: Path) -> None:
    """Rows that the study trained on get the predictions that training's own inputs give, in their order."""
    data = load_file(place / "sales.csv", "kind", split=SplitOptions(folds="auto"))  # as the study of a table does
    model = load_model(place / "sales")
    expected = torch.cat([predict(model, part.inputs) for part in (data.training, data.validation, data.test)])
    found = torch.cat(list(predict_rows(model, read_rows(model, place / "sales.csv"))))
    assert torch.allclose(found.sort(dim=0).values, expected.sort(dim=0).values, atol=1e-6)
    head, *rows = predicted(place, "sales.csv")
    assert head == ["prediction", "probability_=high", "probability_low"]
    assert np.allclose(np.array([row[1:] for row in rows], dtype=float), found.numpy(), atol=1e-7)
    assert [row[0] for row in rows] == [("'=high", "low")[i] for i in found.argmax(dim=1)]


def test_the_torch_transform_is_as_specified(place: Path) -> None:
    """Inputs of numbers, truth values, dates with hours, categories, unseen and missing cells are those of the NumPy specification."""
    preprocessing = load_model(place / "sales").preprocessing
    frame = table().drop(columns="kind")
    frame.loc[:4, ["age", "member", "city"]] = [np.nan, np.nan, "Paris"]
    frame.loc[5:9, "city"] = np.nan
    frame.to_csv(place / "odd.csv", index=False)
    numbers = read_columns(preprocessing, read_like(place / "odd.csv", dict(preprocessing)))
    assert {column["kind"] for column in preprocessing["columns"]} == {"number", "boolean", "date", "category"}
    found = transform_of(preprocessing)(torch.from_numpy(numbers)).numpy()
    np.testing.assert_allclose(found, inputs_by_numpy(preprocessing, numbers), rtol=1e-6, atol=1e-7)


def test_the_metric_is_told_where_the_target_is_there(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the target the share of right labels is printed, without it nothing of the kind; the predictions are the same."""
    labels = [row[0].removeprefix("'") for row in predicted(place, "sales.csv")[1:]]
    right = np.mean([label == known for label, known in zip(labels, table()["kind"], strict=True)])
    assert f"accuracy {100 * right:.1f} % on {ROWS} rows" in capsys.readouterr().out
    table().drop(columns="kind").to_csv(place / "new.csv", index=False)
    assert [row[0].removeprefix("'") for row in predicted(place, "new.csv")[1:]] == labels
    assert "metric" not in capsys.readouterr().out


def test_a_target_that_is_not_known_is_left_out(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows without a target, or with a class that the model never saw, are predicted and not judged."""
    frame = table()
    frame.loc[0, "kind"], frame.loc[1, "kind"] = np.nan, "medium"
    frame.to_csv(place / "gaps.csv", index=False)
    assert len(predicted(place, "gaps.csv")) == ROWS + 1
    assert f"on {ROWS - 2} rows (2 without a target that is known left out)" in capsys.readouterr().out


def test_columns_may_come_in_any_order_and_format(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Semicolons, another order, a further column, Parquet: the same predictions, and the further column is named."""
    expected = predicted(place, "sales.csv")
    frame = table()[["kind", "day", "city", "member", "age"]].assign(extra=1)
    frame.to_csv(place / "other.csv", index=False, sep=";")
    frame.to_parquet(place / "other.parquet")
    assert predicted(place, "other.csv") == expected
    assert "Columns that are not used: 'extra'" in capsys.readouterr().out
    assert predicted(place, "other.parquet") == expected


def test_rows_go_through_in_parts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows go through at a time, each has its prediction, in order."""
    model = load_model(place / "sales")
    whole = torch.cat(list(predict_rows(model, read_rows(model, place / "sales.csv"))))
    monkeypatch.setattr(rows_module, "CHUNK", 1)
    monkeypatch.setattr(rows_module, "FEWEST", 7)
    parts = list(predict_rows(model, read_rows(model, place / "sales.csv")))
    assert [len(part) for part in parts] == [7] * (ROWS // 7) + [ROWS % 7]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("age,member,city\n1,yes,Berlin\n", "no column 'day'"),
        ("age,member,city,day\nold,yes,Berlin,2020-01-01 00:00:00\n", "'age'"),
        ("age,member,city,day\n1e300,yes,Berlin,2020-01-01 00:00:00\n", "'age' has values too large"),
        ("", ""),
    ],
)
def test_rows_that_cannot_be_predicted_are_told(
    content: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing column, text among numbers, a number out of range, an empty file: one line, status 2, and no file."""
    (place / "bad.csv").write_text(content)
    assert main(["predict", str(place / "sales"), str(place / "bad.csv"), "-o", str(place / "none.csv")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error
    assert not (place / "none.csv").exists()


def test_a_column_of_another_kind_is_told_without_an_option(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a column that cannot be read `predict` says what it holds; it has no option to leave out an input of the model."""
    frame = table().assign(city=[["Berlin"]] * ROWS)
    frame.to_parquet(place / "lists.parquet")
    assert main(["predict", str(place / "sales"), str(place / "lists.parquet"), "-o", "-"]) == 2
    error = capsys.readouterr().err
    assert "column 'city' holds 'list<" in error
    assert error.endswith("Convert or drop it.\n")


def test_what_is_asked_wrongly_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No such study, model or file, and an output that would overwrite the rows: one line each."""
    sales, study = str(place / "sales.csv"), str(place / "sales")
    for arguments, status, said in (
        (["predict", "nobody", sales, "--reports", str(place)], 2, "no study 'nobody'"),
        (["predict", "sale", sales, "--reports", str(place)], 2, "Did you mean 'sales'? There: 'sales'"),
        (["predict", study, sales, "--model", "trial-9"], 2, f"python -m hpsearch replay {study} 9. Its models: best."),
        (
            ["predict", study, sales, "-o", str(place / "no" / "p.csv")],
            2,
            "no such folder. Make it, or give another -o",
        ),
        (["predict", study, sales, "-o", str(place)], 2, "is a folder. Give a file"),
        (["predict", study, sales, "--keep", "agee"], 2, "no column 'agee'. Did you mean 'age'"),
        (["predict", study, sales, "--model", "../sales/best"], 2, "--model '../sales/best'"),
        (["predict", study, str(place / "none.csv")], 2, "no such file"),
        (["predict", study, sales, "-o", sales], 2, "would take the place of the rows"),
    ):
        assert main(arguments) == status, arguments
        assert said in capsys.readouterr().err


def test_what_training_never_saw_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By column, how many rows have an unseen category, and where the first is; nothing where all are known, or missing."""
    frame = table().drop(columns="kind")
    frame.loc[3:5, "city"] = ["Paris", "Rome", None]
    frame.to_csv(place / "unseen.csv", index=False)
    predicted(place, "unseen.csv")
    assert (
        "Column 'city': 2 rows have a value that training never saw, the first 'Paris' in line 5."
        in capsys.readouterr().out
    )
    predicted(place, "sales.csv")
    assert "never saw" not in capsys.readouterr().out


def test_rare_and_unseen_categories_are_not_told_apart(tmp_path: Path) -> None:
    """Where training put rare values together, a value that it lists not may have been one of them, and the line says so."""
    preprocessing = {"columns": [{"name": "city", "kind": "category", "categories": ["A"], "other": True}]}
    (tmp_path / "rows.csv").write_text("city,x\nB,1\nA,2\n")
    rows = NewRows(read_like(tmp_path / "rows.csv", {"reading": {}, **preprocessing}), preprocessing)
    assert [*unseen_in_rows(rows)] == [
        "Column 'city': 1 row has a value that was rare in training or never there, the first 'B' in line 2."
    ]


def test_one_row_is_one_row(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A single row is counted in the singular."""
    table().head(1).to_csv(place / "one.csv", index=False)
    predicted(place, "one.csv")
    said = capsys.readouterr().out
    assert "1 row with" in said
    assert "on 1 row\n" in said
    assert "1 rows" not in said


def test_columns_are_kept_beside_the_predictions(place: Path) -> None:
    """Kept columns stand first, row by row as in the file; formulas among them are inert, negative numbers stay numbers."""
    frame = table().drop(columns="kind").assign(id=np.arange(ROWS) - 60, note='say "hi", then\nleave')
    frame.loc[0, "note"] = "=1+1"
    frame.loc[1, "note"] = None
    frame.to_csv(place / "kept.csv", index=False)
    plain = predicted(place, "kept.csv")
    assert predicted(place, "kept.csv", "--keep", "id")[3] == ["-58", *plain[3]]
    head, *rows = predicted(place, "kept.csv", "--keep", "id,note", "--keep", "city")
    assert head == ["id", "note", "city", *plain[0]]
    assert [row[3:] for row in rows] == plain[1:]
    assert [row[0] for row in rows] == [str(i - 60) for i in range(ROWS)]
    assert [row[1] for row in rows[:3]] == ["'=1+1", "", 'say "hi", then\nleave']
    assert [row[2] for row in rows] == [city.replace("=cmd", "'=cmd") for city in frame["city"]]
    frame.to_parquet(place / "kept.parquet")
    assert predicted(place, "kept.parquet", "--keep", "id")[1][0] == "-60"


def head_and_first(place: Path, file: str, *more: str) -> tuple[list[str], list[str]]:
    """Return the columns and the first row that `predict` writes without being told what to keep."""
    output = ["-o", str(place / "named.csv"), "--force"]
    assert main(["predict", str(place / "sales"), str(place / file), *output, *more]) == 0
    with (place / "named.csv").open(newline="") as opened:
        head, first, *_ = csv.reader(opened)
    return head, first


def test_rows_are_named_in_the_output(place: Path) -> None:
    """Without --keep the output has the id of the rows where the file has one, else the row's number; --no-id leaves both out."""
    frame = table().drop(columns="kind")
    frame.to_csv(place / "numbered.csv", index=False)
    frame.assign(customer_id=np.arange(ROWS) + 500).to_csv(place / "with_id.csv", index=False)
    frame.assign(prediction_id=np.arange(ROWS)).to_csv(place / "clashing.csv", index=False)
    assert [row[0] for row in head_and_first(place, "numbered.csv")] == ["row", "1"]
    assert [row[0] for row in head_and_first(place, "with_id.csv")] == ["customer_id", "500"]
    assert [row[0] for row in head_and_first(place, "clashing.csv")] == ["row", "1"]
    assert head_and_first(place, "with_id.csv", "--no-id")[0][0] == "prediction"


def test_an_output_is_not_overwritten_unasked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there stays, with a line that says what to do, unless --force is given."""
    output = place / "mine.csv"
    output.write_text("mine")
    command = ["predict", str(place / "sales"), str(place / "sales.csv"), "-o", str(output)]
    assert main(command) == 2
    assert capsys.readouterr().err == (
        f"error: {str(output)!r} is there already. Give another file (-o FILE), or --force to overwrite it.\n"
    )
    assert output.read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert output.read_text().startswith("row,prediction,")


def test_a_kept_column_cannot_be_called_as_a_prediction(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two columns of one name would be told apart by nobody."""
    table().rename(columns={"kind": "prediction"}).to_csv(place / "clash.csv", index=False)
    arguments = ["predict", str(place / "sales"), str(place / "clash.csv"), "-o", str(place / "none.csv")]
    assert main([*arguments, "--keep", "prediction"]) == 2
    assert "is what a column of the predictions is called" in capsys.readouterr().err
    assert not (place / "none.csv").exists()


@pytest.mark.slow
def test_a_dash_prints_the_predictions_alone(place: Path) -> None:
    """With `-o -` the CSV goes to the standard output and all else to the standard error; a reader may leave early."""
    command = [sys.executable, "-m", "hpsearch", "predict", str(place / "sales"), str(place / "sales.csv"), "-o", "-"]
    command.append("--no-id")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0
    assert done.stdout.startswith("prediction,probability_=high,probability_low\n")
    assert done.stdout.count("\n") == ROWS + 1
    assert "accuracy" in done.stderr


def test_numbers_are_predicted_in_the_targets_units(place: Path) -> None:
    """A regression's predictions are values of the target; R² and its kin are computed against the cells."""
    frame = table().drop(columns="kind")
    frame["price"] = 1e5 + 100 * np.arange(ROWS)
    frame.to_csv(place / "prices.csv", index=False)
    assert (
        main(["run", "--data", str(place / "prices.csv"), "--target", "price", "--reports", str(place), *SETTINGS]) == 0
    )
    model = load_model(place / "prices")
    rows = read_rows(model, place / "prices.csv")
    found = torch.cat(list(predict_rows(model, rows)))
    assert found.shape == (ROWS, 1)
    assert found.dtype == torch.float64
    judged = evaluate(model, [found], rows.targets)
    assert judged is not None
    error = np.sqrt(np.mean((found[:, 0].numpy() - frame["price"].to_numpy()) ** 2))
    assert (judged.metric, judged.rows) == ("rmse", ROWS)
    assert judged.value == pytest.approx(error, rel=1e-9)


@pytest.mark.slow
def test_refit_trains_on_all_but_the_test_rows(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The best trial is trained for as many passes as its best evaluation had, on more rows; the look at the test rows is counted."""
    study = place / "sales"
    before = read_study(f"sqlite:///{study / 'study.db'}")
    assert main(["refit", str(study), "--engine", "reference", "--device", "cpu"]) == 0
    assert "used 2 times" in capsys.readouterr().out
    model = load_model(study, "refit")
    sizes, best = before.data["rows"], before.trials[before.result["trial"]]
    rows = sizes["training"] + sizes["validation"]
    assert best.history is not None
    passes = best.history.examples[best.history.evaluation.index(best.best_evaluation)] / sizes["training"]
    assert model.metrics["rows"] == rows
    assert model.metrics["passes"] == pytest.approx(passes)
    batch = min(int(best.params["batch_size"]), rows) if best.params["batch_size"] != "full" else rows
    assert model.metrics["updates"] == max(1, round(passes * rows / batch))
    after = read_study(f"sqlite:///{study / 'study.db'}")
    assert after.result["looks"] == before.result["looks"] + 1
    assert after.result["refit"]["test"] == model.metrics["test"]
    assert len(predicted(place, "sales.csv", "--model", "refit")) == ROWS + 1
    assert (
        main(["run", "--data", str(place / "sales.csv"), "--target", "kind", "--reports", str(place), *SETTINGS]) == 0
    )


def test_refit_rewrites_the_page(place: Path, tmp_path: Path) -> None:
    """After `refit` the page counts the new look at the test rows, without `report`."""
    study = Path(shutil.copytree(place / "sales", tmp_path / "sales"))
    looks = read_study(f"sqlite:///{study / 'study.db'}").result["looks"]
    (study / "report.html").unlink()
    assert main(["refit", str(study), "--engine", "reference", "--device", "cpu"]) == 0
    page = (study / "report.html").read_text(encoding="utf-8")
    assert f"The test rows were used {looks + 1} times" in page
    assert "The test rows were used once" not in page


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "pt2", "safetensors"])
def test_a_study_is_exported(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes each format from the study's folder, and prints how far its answers are from torch's."""
    if name == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    file = place / f"it.{name}"
    assert main(["export", str(place / "sales"), "--format", name, "-o", str(file)]) == 0
    assert file.is_file()
    assert "largest difference from torch" in capsys.readouterr().out


@pytest.mark.parametrize("there", ["it.safetensors", "it.json"])
def test_an_exported_file_is_not_overwritten(
    there: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is there, also the one that is written beside, is left as it is in one line; --force overwrites it."""
    (tmp_path / there).write_text("mine")
    words = ["export", str(place / "sales"), "--format", "safetensors", "-o", str(tmp_path / "it.safetensors")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert there in error
    assert "--force" in error
    assert (tmp_path / there).read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert (tmp_path / there).read_bytes() != b"mine"


def test_rows_are_read_as_the_options_say(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that may be read in two ways are read as the study's file, or as the options of `predict` say; wrong ones are one line."""
    expected = predicted(place, "sales.csv")
    semicolons = table().to_csv(index=False, sep=";", decimal=",", na_rep="nil")
    (place / "own.csv").write_bytes(semicolons.replace("Aachen", "Köln").encode("utf-16-le"))
    options = [
        "--separator",
        ";",
        "--decimal",
        ",",
        "--missing-value",
        "nil",
        "--encoding",
        "utf-16-le",
        "--header",
        "yes",
    ]
    rows = predicted(place, "own.csv", *options)
    known = [i for i, city in enumerate(table()["city"]) if city != "Aachen"]
    assert [rows[i + 1] for i in known] == [expected[i + 1] for i in known]
    (place / "open.csv").write_text("age;member;city;day\n40,125;yes;Berlin;2020-01-01 00:00:00\n")
    thousands = predicted(place, "open.csv")
    assert predicted(place, "open.csv", "--thousands", ",") == thousands
    assert predicted(place, "open.csv", "--decimal", ",") != thousands
    capsys.readouterr()
    for wrong in (["--decimal", "x"], ["--thousands", "x"], ["--encoding", "x"], ["--separator", "xy"]):
        assert main(["predict", str(place / "sales"), str(place / "open.csv"), "-o", "-", *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_one_mistake_does_not_decide_the_decimal_mark(tmp_path: Path) -> None:
    """In new rows with decimal commas the one cell that is no number is told, not the good ones beside it; and a name that may be meant."""
    preprocessing: dict[str, Any] = {
        "kind": "table",
        "reading": {},
        "columns": [{"name": "area", "kind": "number", "fill": 1.0}],
    }
    (tmp_path / "rows.csv").write_text("area;garage\n58,82;yes\nabc;no\n61,2;no\n")
    with pytest.raises(UserError, match=r"line 3 holds 'abc', a number expected\. "):
        read_columns(preprocessing, read_like(tmp_path / "rows.csv", preprocessing))
    (tmp_path / "rows.csv").write_text("garage;Area_m2\n1;2,5\n2;3,5\n")
    preprocessing["columns"].append({"name": "garage", "kind": "number", "fill": 1.0})
    with pytest.raises(UserError, match=r"no column 'area'\. Did you mean 'Area_m2'\? Columns: "):
        read_columns(preprocessing, read_like(tmp_path / "rows.csv", preprocessing))


def test_images_are_named_by_their_files(tmp_path: Path) -> None:
    """Predictions of a folder of images have each image's file, from the folder on, in the order of the predictions."""
    for number in range(40):
        folder = tmp_path / "pictures" / ("dark" if number % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8), 20 if number % 2 else 220, dtype=np.uint8) + np.uint8(number % 7)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    assert main(["run", "--data", str(tmp_path / "pictures"), "--reports", str(tmp_path / "out"), *SETTINGS]) == 0
    output = tmp_path / "named.csv"
    assert (
        main(["predict", "pictures", str(tmp_path / "pictures"), "-o", str(output), "--reports", str(tmp_path / "out")])
        == 0
    )
    with output.open(newline="") as opened:
        head, *rows = csv.reader(opened)
    assert head[:2] == ["file", "prediction"]
    assert {row[0] for row in rows} == {f"{'dark' if n % 2 else 'light'}/{n:02}.png" for n in range(40)}
