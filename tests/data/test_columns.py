"""What the columns of a table mean: names with dots, columns that cannot be read, names of identifiers."""

import re
import shlex
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpsearch.commands.options import overrides
from hpsearch.config import find_study, read_config
from hpsearch.data import Data, from_frame, load_file
from hpsearch.data.options import ReadOptions
from hpsearch.errors import UserError

DRAW = np.random.RandomState(0)
ROWS = 120
X = DRAW.normal(size=ROWS).round(4)
Y = np.where(X + DRAW.normal(size=ROWS) > 0, "yes", "no")


def write(folder: Path, **columns: Any) -> Path:
    """Write a CSV file with these columns beside `x` and `y`."""
    path = folder / "table.csv"
    pd.DataFrame({"x": X, **columns, "y": Y}).to_csv(path, index=False)
    return path


def kinds(data: Data) -> dict[str, str]:
    """Return each column's kind by its name."""
    return {column["name"]: column["kind"] for column in data.summary["columns"]}


def settings_of(text: str, path: Path) -> dict[str, str]:
    """Return the columns of a study whose command line has the options of a text, as a shell splits it."""
    options = re.search(r"\((--set .*)\)", text)
    assert options is not None
    words = shlex.split(options[1])
    given = overrides(Namespace(command="run", set=words[1::2], data=str(path), target="y"))
    return read_config(find_study("table"), given, "it").data.columns


@pytest.mark.parametrize("name", ["Sepal.Length", "a b", "it's", "a=b", ".", "x.y.z", "$HOME", 'say "hi"', "Größe"])
def test_the_option_of_a_notice_works_when_it_is_pasted(tmp_path: Path, name: str) -> None:
    """A column that gives the target away is named with the option that drops it, whatever dots and marks its name has."""
    path = write(tmp_path, **{name: np.where(Y == "yes", 3.5, 7.25)})
    notice = next(text for text in load_file(path, "y").summary["notices"] if "alone tells" in text)
    columns = settings_of(notice, path)
    assert columns == {name: "drop"}
    assert kinds(load_file(path, "y", read=ReadOptions(columns=columns)))[name] == "dropped"


@pytest.mark.parametrize(
    "line", ["columns.Sepal.Length = 'drop'", "columns.'Sepal.Length' = 'drop'", "columns = {'Sepal.Length' = 'drop'}"]
)
def test_a_name_with_dots_in_a_study(tmp_path: Path, line: str) -> None:
    """A study's file may write a column's name with its dots as they are, or in quotes."""
    (tmp_path / "it.toml").write_text(f"[data]\nfile = 't.csv'\ntarget = 'y'\n{line}\n")
    assert read_config(tmp_path / "it.toml").data.columns == {"Sepal.Length": "drop"}
    quoted = [("data.columns.'Sepal.Width'", "drop")]
    both = {"Sepal.Length": "drop", "Sepal.Width": "drop"}
    assert read_config(tmp_path / "it.toml", quoted).data.columns == both


def unreadable() -> pd.DataFrame:
    """Return a table with columns that no network can read."""
    frame = pd.DataFrame({"x": X, "y": Y})
    return frame.assign(tags=[[1, i] for i in range(ROWS)], place=[{"lat": 1.5}] * ROWS, blob=b"\xff", lasts=pd.Timedelta("1h"))


@pytest.mark.parametrize("name", ["tags", "place", "blob", "lasts"])
def test_a_column_that_cannot_be_read_is_refused_unless_it_is_dropped(tmp_path: Path, name: str) -> None:
    """Lists, structures, bytes and durations are refused with the option that drops them, and dropped if that is asked for."""
    frame = unreadable()[["x", name, "y"]]
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    with pytest.raises(UserError, match=f"'{name}' holds .*expected") as caught:
        load_file(path, "y")
    assert settings_of(str(caught.value), path) == {name: "drop"}
    with pytest.raises(UserError, match=rf"columns=\{{'{name}': 'drop'\}}"):
        from_frame(frame, "y")
    read = ReadOptions(columns={name: "drop"})
    for data in (load_file(path, "y", read=read), from_frame(frame, "y", read=read)):
        assert [column["name"] for column in data.preprocessing["columns"]] == ["x"]
