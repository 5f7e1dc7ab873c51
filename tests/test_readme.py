"""What the README says of the space is what the code has, and its programs do what it says."""

import re
import tomllib
from pathlib import Path
from runpy import run_path

import numpy as np
import pandas as pd
import pytest

from hpsearch.cli import main
from hpsearch.space.hyperparameters import COEFFICIENTS, HYPERPARAMETERS
from hpsearch.space.reading import read_space
from hpsearch.training.optimizers import OPTIMIZERS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in README.partition("| key of `[space]` |")[2].partition("\n\n")[0].splitlines()[2:]
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}


def test_the_readme_names_every_hyperparameter() -> None:
    """The table of `[space]` has exactly the rows of HYPERPARAMETERS, in their order, with their meanings."""
    assert list(ROWS) == list(HYPERPARAMETERS)
    assert [cells[2] for cells in ROWS.values()] == [row.meaning for row in HYPERPARAMETERS.values()]


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_the_readme_knows_the_values(name: str) -> None:
    """Names are all that there are; numbers at the ends of a range are taken or refused as the README says."""
    row, said = HYPERPARAMETERS[name], ROWS[name][0]
    if row.kind is str:
        assert tuple(said.split(", ")) == row.names
        return
    assert said.startswith("whole number" if row.kind is int else "number")
    low_sign, low, high_sign, high = re.findall(r"([≥>]) (\S+) and ([≤<]) ([\d,e+]*\d)", said)[0]
    low, high = (float(end.replace(",", "")) for end in (low, high))
    for end, closed in ((low, low_sign == "≥"), (high, high_sign == "≤")):
        assert (row.problem(end) is None) == closed
    assert row.problem(low - 1) is not None
    assert row.problem(high * 1.1 + 1) is not None
    assert tuple(re.findall(r"'(\w+)'", said)) == row.words


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_the_readme_knows_the_defaults(name: str) -> None:
    """A default is the table's; one that depends on the optimizer is each optimizer's own."""
    said = ROWS[name][1]
    own = {n: row.learning_rate for n, row in OPTIMIZERS.items()} if name == "learning_rate" else {}
    if name in COEFFICIENTS:
        own = {n: row.coefficients[name] for n, row in OPTIMIZERS.items() if name in row.coefficients}
    if not own:
        default = HYPERPARAMETERS[name].default
        assert said == default if isinstance(default, str) else float(said) == default
        return
    told = {n: float(value) for value, names in re.findall(r"(\S+) \(([^)]+)\)", said) for n in names.split(", ")}
    assert told == own


def test_the_forms_of_the_readme_are_read() -> None:
    """Each form of a domain that the README shows is read, and written back as the same domain."""
    forms = tomllib.loads(README.partition("<!-- forms -->\n```toml\n")[2].partition("```")[0])
    space, problems = read_space(forms)
    assert problems == []
    assert space.domains.keys() == forms.keys()
    assert read_space(space.plain()) == (space, [])


QUICK = ["--trials", "2", "--set", "training.epochs=4", "--set", "confirm.trials=0", "--engine", "reference"]


def test_the_readme_s_onnx_program_gives_hpsearch_s_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A date, a category and a missing number, put in as the program does, are predicted as `predict` does from a file."""
    pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    sales = pd.DataFrame({"city": generator.choice(["Aachen", "Berlin"], 80)})
    sales["sold"] = pd.date_range("2024-01-01", periods=80).strftime("%Y-%m-%d")
    sales["area"] = generator.normal(80, 20, 80).round(1)
    sales["price"] = sales["area"] * 3_000 + 50_000 * (sales["city"] == "Berlin")
    sales.loc[::9, "area"] = np.nan
    sales.to_csv("sales.csv", index=False)
    pd.DataFrame({"city": ["Berlin", "Aachen"], "sold": ["2024-03-01", "2024-03-02"], "area": [82.5, None]}).to_csv(
        "new.csv", index=False
    )
    assert main(["run", "--data", "sales.csv", "--target", "price", "--device", "cpu", *QUICK]) == 0
    assert main(["export", "sales"]) == 0
    assert main(["predict", "sales", "new.csv"]) == 0
    (tmp_path / "program.py").write_text(README.partition("<!-- onnx -->\n```python\n")[2].partition("```")[0])
    made = run_path(str(tmp_path / "program.py"))
    expected = pd.read_csv("predictions.csv")["prediction"].to_numpy()
    np.testing.assert_allclose(made["prices"][:, 0], expected, rtol=1e-6)
