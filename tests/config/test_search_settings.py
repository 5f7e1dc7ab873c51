"""Numbers however they are written, what the command line makes superfluous, and how a search begins and ends."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.config import STUDIES, StudyConfig, check_config, read_comparison, read_config
from hpsearch.errors import UserError
from hpsearch.storage.fingerprint import stated
from tests.config.test_config import SMALL, told, write

# ------------------------------------------------------------------ numbers, and what the command line makes superfluous


@pytest.mark.parametrize(
    ("given", "value"),
    [("3", 3), ("3.0", 3), (3.0, 3), ("1e2", 100), (np.int64(3), 3), (np.float32(3), 3), (" 3 ", 3)],
)
def test_a_number_is_read_however_it_is_written(given: Any, value: int) -> None:
    """A text that is a whole number, a real number without a fraction and NumPy's scalars are the whole number."""
    raw = {"data": {"name": "iris"}, "training": {"epochs": given}, "space": {"depth": [given], "width": given}}
    config = check_config(raw, "here")
    assert (config.training.epochs, type(config.training.epochs)) == (value, int)
    assert config.space.plain() == {"depth": value, "width": value}
    json.dumps(config.settings())  # plain values, as a storage keeps them


@pytest.mark.parametrize("given", ["three", "3.5", 3.5, True, np.float64(3.5), np.bool_(True), [3], ""])
def test_what_is_no_whole_number_is_refused_in_a_line(given: Any) -> None:
    """Everything else is one line with what was given and what was expected."""
    with pytest.raises(UserError) as caught:
        check_config({"data": {"name": "iris"}, "training": {"epochs": given}, "space": {}}, "here")
    assert re.fullmatch(r"here: training\.epochs is .*; expected a whole number ≥ 1 and ≤ [\d,]+\.", str(caught.value))


def test_arrays_and_tuples_are_lists() -> None:
    """From Python a list may be a tuple, a range or an array, and the ends of a range NumPy's numbers."""
    space = {"depth": range(1, 4), "width": np.array([8, 16]), "activation": ("relu", "tanh")}
    space |= {"learning_rate": {"low": np.float32(0.125), "high": np.float64(0.5), "log": np.bool_(True)}}
    config = check_config({"data": {"name": "iris"}, "space": space}, "here")
    assert config.space.plain() == {
        "depth": [1, 2, 3],
        "width": [8, 16],
        "activation": ["relu", "tanh"],
        "learning_rate": {"low": 0.125, "high": 0.5, "log": True},
    }


@pytest.mark.parametrize("key", ["optimizer", "space.optimizer"])
@pytest.mark.parametrize("value", ["sgd", ["sgd", "adam"]])
def test_a_narrowed_space_loses_what_nobody_has(key: str, value: Any) -> None:
    """Where the command line names optimizers without momentum, the file's momentum falls away, and a sentence says so."""
    config = read_config(STUDIES / "digits.toml", [(key, value)])
    assert "momentum" not in config.space.domains
    assert "space.momentum left out: the optimizers of the command line have none" in config.notices
    assert "notices" not in str(config.settings())
    assert "momentum" in read_config(STUDIES / "digits.toml", [(key, ["sgd", "momentum"])]).space.domains


def test_what_the_command_line_names_itself_is_not_dropped() -> None:
    """A coefficient that the command line asks for, and a file that contradicts itself, are refused as before."""
    (line,) = told(STUDIES / "digits.toml", ("optimizer", "sgd"), ("momentum", 0.9))
    assert line.startswith("command line: space.momentum: none of the optimizers sgd has it.")


def test_a_narrowed_space_loses_first_settings_outside_it() -> None:
    """Of the file's first settings those stay that the space of the command line holds, a sentence counts the others; a grid has none."""

    def of_table(*overrides: tuple[str, Any]) -> StudyConfig:
        return read_config(STUDIES / "table.toml", [("data.name", "iris"), *overrides])

    every = of_table().search.start
    assert isinstance(every, list)
    assert of_table(("search.trials", 3)).search.start == every
    narrowed = of_table(("depth", 2), ("optimizer", ["adam", "adamw"]))
    kept = [each for each in every if each.get("optimizer") != "momentum" and each.get("depth", 2) == 2]
    assert narrowed.search.start == kept
    dropped = len(every) - len(kept)
    assert (
        f"search.start: {dropped} of {len(every)} first settings left out, which the space does not hold"
        in narrowed.notices
    )
    grid = {"depth": [1, 2], "width": 16, "optimizer": "adam"}
    assert of_table(("search.sampler", "grid"), ("space", grid)).search.start is None


def test_a_budget_of_the_command_line_has_no_bound_of_the_file() -> None:
    """`max_examples` of the file bounds the file's epochs alone; given beside epochs it bounds those."""

    def bound(*overrides: tuple[str, Any]) -> int | None:
        return read_config(STUDIES / "table.toml", [("data.name", "iris"), *overrides]).budget.max_examples

    assert bound() == 400_000
    assert bound(("training.epochs", 100)) is None
    assert bound(("training.epochs", 100), ("training.max_examples", 5_000)) == 5_000


def test_a_study_of_an_earlier_version_goes_on_without_a_range(tmp_path: Path) -> None:
    """Its predictions had no limits, so trials to come have none either, whosever its space is, unless its file says so."""
    recorded: dict[str, Any] = {"data": {"file": "y.csv", "target": "y"}, "space": {"depth": 1}}
    begun = stated(recorded, {"task": "regression"})
    assert stated(recorded, {"task": "binary"}) == recorded
    own = write(tmp_path, '[data]\nfile = "y.csv"\ntarget = "y"\n[space]\ndepth = 1\n')
    assert read_config(own, begun=begun).data.target_range == "none"
    assert read_config(own, [("data.target_range", [0, 9])], begun=begun).data.target_range == [0, 9]
    assert read_config(own).data.target_range is None
    assert read_config(STUDIES / "table.toml", begun=begun).data.target_range == "none"
    now = {**recorded, "data": {**recorded["data"], "target_range": None}}
    assert read_config(own, begun=stated(now, {"task": "regression"})).data.target_range is None


def test_first_settings_of_the_command_line_are_not_dropped() -> None:
    """Settings that lie outside the space are an error where the command line gives them, as before."""
    given = [("data.name", "iris"), ("depth", 2), ("search.start", [{"depth": 3}])]
    (line,) = told(STUDIES / "table.toml", *given)
    assert line.startswith("command line: search.start[0].depth is 3; the space has 2.")


def test_several_objectives_leave_the_files_pruner_out(tmp_path: Path) -> None:
    """Asked for on the command line they run without the file's pruner, said; two settings of one place are refused with the option."""
    objectives = ("search.objectives", ["accuracy", "parameters"])
    config = read_config(STUDIES / "digits.toml", [objectives])
    assert (config.search.pruner, config.budget.rungs) == ("none", ())
    assert config.notices == ("search.pruner = 'median' left out: trials of several objectives run to their end",)
    (line,) = told(STUDIES / "digits.toml", objectives, ("search.pruner", "median"))
    assert line.endswith('compared at its end only. Give pruner = "none" (--pruner none).')
    file = write(tmp_path, SMALL + '[search]\npruner = "median"\nobjectives = ["accuracy", "parameters"]\n')
    (line,) = told(file)
    assert "search.pruner: a trial of several objectives" in line


# ------------------------------------------------------------------ first settings and early ends


def test_first_settings_are_a_table_a_list_or_a_name(tmp_path: Path) -> None:
    """One table is a list of one; a text is the name of a study; all are part of the study's settings."""
    for written, expected in (
        ("{ depth = 2 }", [{"depth": 2}]),
        ("[{ depth = 2 }, {}]", [{"depth": 2}, {}]),
        ('"other"', "other"),
    ):
        config = read_config(write(tmp_path, SMALL + f"[search]\nstart = {written}\n[space]\ndepth = [1, 2]\n"))
        assert config.search.start == expected
        assert config.settings()["search"]["start"] == expected


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "search.start",
            [{"learning_rate": 5}, {"depth": 99}],
            "search.start[0].learning_rate is 5.0; the space has 0.0001 to 1",
        ),
        ("search.start", [{"depth": 99}], "search.start[0].depth is 99; the space has 1 to 4. Widen space.depth"),
        ("search.start", [], "search.start is []; expected a list, not empty, of: a table, or text"),
        ("search.start", 3, "search.start is 3; expected a list"),
        ("search.patience", 0, "search.patience is 0; expected a whole number ≥ 1"),
        ("search.target_value", "high", "search.target_value is 'high'; expected a number"),
        ("training.max_seconds", 0, "training.max_seconds is 0; expected a number > 0"),
    ],
)
def test_first_settings_and_ends_that_cannot_be(key: str, value: Any, message: str) -> None:
    """What is outside the space, empty or no number is told in a line that names the command line."""
    assert told(STUDIES / "digits.toml", (key, value))[0].startswith(f"command line: {message}")


def test_a_grid_and_a_comparison_have_no_start(tmp_path: Path) -> None:
    """A grid has its own points, a comparison its own tuning: each says so."""
    (line,) = told(write(tmp_path, SMALL + '[search]\nsampler = "grid"\nstart = "other"\n'))
    assert "search.start: a grid has its own points." in line
    text = SMALL + '[search]\nstart = "other"\npatience = 3\n[space]\noptimizer = "sgd"\n'
    config, notices = read_comparison(str(write(tmp_path, text)))
    assert isinstance(config, StudyConfig)
    assert config.search.start is None
    assert "search.start, search.patience" in notices[0]


def test_batch_sizes_of_the_command_line_replace_those_of_a_study_that_is_compared(tmp_path: Path) -> None:
    """A search's study has a list of batch sizes in its space: other ones that are asked for take its place, and both are refused."""
    file = str(write(tmp_path, SMALL + '[space]\noptimizer = "sgd"\nbatch_size = [16, 64]\n'))
    config, _ = read_comparison(file)
    assert isinstance(config, StudyConfig)
    assert config.space.plain()["batch_size"] == [16, 64]
    sizes = ("compare.batch_sizes", [8, "full"])
    config, _ = read_comparison(file, [sizes])
    assert isinstance(config, StudyConfig)
    assert config.compare
    assert config.compare.batch_sizes == [8, "full"]
    assert "batch_size" not in config.space.plain()
    with pytest.raises(UserError, match=r"the batch sizes stand in compare\.batch_sizes already"):
        read_comparison(file, [sizes, ("space.batch_size", 32)])
