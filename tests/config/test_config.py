"""The study's file: what is valid, what is told about what is not, what the command line overrides."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.config import (
    STUDIES,
    StudyConfig,
    check_config,
    find_study,
    parse_value,
    read_comparison,
    read_config,
)
from hpsearch.data import DATASETS
from hpsearch.errors import UserError
from hpsearch.trial import Budget

SMALL = '[data]\nname = "digits"\n'


def told(path: Path, *overrides: tuple[str, Any]) -> list[str]:
    """Return the lines of a refusal."""
    with pytest.raises(UserError) as caught:
        read_config(path, overrides)
    return str(caught.value).splitlines()


def write(folder: Path, content: str | bytes, name: str = "study.toml") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_studies_that_come_along_are_valid(path: Path) -> None:
    """Every study that comes along is valid, named like its file, found by its name, and says what it asks."""
    compared = path.stem.startswith("compare-") or path.stem == "minima"
    data = (
        [("data.file", "mine.csv")] if path.stem == "table" else []
    )  # the study of a table that is given with the command
    config = read_comparison(path.stem)[0] if compared else read_config(find_study(path.stem), data)
    assert config.study.name == path.stem
    assert config.study.question.endswith("?")
    if isinstance(config, StudyConfig):
        assert check_config(json.loads(json.dumps(config.settings())), "again").settings() == config.settings()


@pytest.mark.parametrize(
    ("content", "starts"),
    [
        ('[dta]\nname = "digits"', ["dta: unknown key. Did you mean 'data'?"]),
        ('[data]\nnmae = "digits"', ["data.nmae: unknown key. Did you mean 'name'?"]),
        ("[traning]\n[serach]", ["traning: unknown", "serach: unknown"]),
        ('[dta]\nname = "digits"\n[search]\ntrials = 0', ["dta: unknown key", "search.trials is 0"]),
    ],
)
def test_a_misspelt_key_is_one_finding(tmp_path: Path, content: str, starts: list[str]) -> None:
    """A key that is misspelt is told as unknown, first, and not as missing too."""
    path = write(tmp_path, content)
    lines = told(path)
    assert len(lines) == len(starts)
    assert all(line.startswith(f"{path}: {start}") for line, start in zip(lines, starts, strict=True))


def test_a_study_needs_no_more_than_its_data(tmp_path: Path) -> None:
    """A file that names its data alone has a budget, a sampler and the file's name."""
    config = read_config(write(tmp_path, SMALL, "tiny.toml"))
    assert config.study.name == "tiny"
    assert config.budget == Budget("epochs", 20, 20)
    assert (config.search.sampler, config.search.trials) == ("tpe", 64)


@pytest.mark.parametrize(
    ("training", "budget"),
    [
        ("epochs = 300", Budget("epochs", 300, 100)),
        ("updates = 7", Budget("updates", 7, 20)),
        ("examples = 9\nevaluations = 4\npatience = 2", Budget("examples", 9, 4, 2)),
    ],
)
def test_budget(tmp_path: Path, training: str, budget: Budget) -> None:
    """A budget is counted in what the study says, with a number of evaluations that fits it."""
    assert read_config(write(tmp_path, f"{SMALL}[training]\n{training}\n")).budget == budget


def test_rungs_only_for_a_pruner(tmp_path: Path) -> None:
    """Where nothing prunes there are no rungs."""
    study = write(tmp_path, SMALL)
    assert read_config(study).budget.rungs == ()
    assert read_config(study, [("search.pruner", "median")]).budget.reduction_factor == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "data.name: missing. Give the name of a data set"),
        ("[data]", "data.name: missing. Give the name of a data set"),
        ("data = 3", "data is 3; expected a table."),
        ("[[study]]\nname='x'\n" + SMALL, "study is [{'name': 'x'}]; expected a table."),
        ("space = []\n" + SMALL, "space: expected a table."),
        (SMALL + "row = 3", "data.row: unknown key. Did you mean 'rows'? Known: background, columns,"),
        (
            SMALL + "[traning]",
            "traning: unknown key. Did you mean 'training'? Known: compare, confirm, data, minima, search, space, study, training.",
        ),
        (SMALL + "validation = 1.5", "data.validation is 1.5; expected a number > 0 and < 1, or a whole number ≥ 1 and"),
        (SMALL + "task = 'binry'", "data.task is 'binry'; expected 'regression' or 'binary' or 'multiclass' or 'multilabel'."),
        (SMALL + "[training]\nepochs = 0", "training.epochs is 0; expected a whole number ≥ 1 and ≤ 1,000,000,000,000."),
        (SMALL + "[training]\nepochs = true", "training.epochs is True; expected a whole number"),
        (SMALL + "[training]\nepochs = 1.5", "training.epochs is 1.5; expected a whole number"),
        (SMALL + "[training]\nepochs = 'five'", "training.epochs is 'five'; expected a whole number"),
        (SMALL + "[training]\nepochs = 1\nupdates = 1", "training: more than one of epochs, updates, examples. Keep one."),
        (SMALL + "[training]\npatience = 0", "training.patience is 0; expected a whole number ≥ 1"),
        (SMALL + "[training]\nevaluations = 0", "training.evaluations is 0; expected a whole number ≥ 1 and ≤ 10,000."),
        (SMALL + "[training]\nprecision = 'half'", "training.precision is 'half'; expected 'float32' or 'float64' or"),
        (SMALL + "[search]\nlag = 0", "search.lag is 0; expected a whole number ≥ 1 and ≤ 100,000."),
        (SMALL + "[search]\ntrials = -3", "search.trials is -3; expected a whole number ≥ 1 and ≤ 10,000,000."),
        (SMALL + "[search]\ntimeout = nan", "search.timeout is nan; expected a number > 0 and ≤ 1,000,000,000."),
        (SMALL + "[search]\ntimeout = 1e999", "search.timeout is inf; expected a number > 0"),
        ("9" * 5_000 + " = 1\n" + SMALL, "9" * 79 + "…: unknown key."),
        (SMALL + "[space]\n" + "9" * 5_000 + " = 1", "space." + "9" * 79 + "…: unknown key."),
        (SMALL + "[space.dropout]\nlow" + "9" * 5_000 + " = 1", "space.dropout.low" + "9" * 76 + "…: unknown key."),
        (SMALL + "[[search.start]]\n" + "9" * 5_000 + " = 1", "search.start[0]." + "9" * 79 + "…: unknown key."),
        (SMALL + "[data.columns]\n" + "9" * 5_000 + " = 1", "data.columns." + "9" * 79 + "… is 1; expected text."),
        (SMALL + "[data.columns]\nb.c = 'number'\n'b.c' = 'drop'", "data.columns.b is {'c': 'number'}; expected text."),
        (SMALL + "# a comment\rrows = 3", "not valid TOML: Found invalid character '\\r' (at line 3, column 12). Mend"),
        (SMALL + "[search]\ntarget_value = 1e-400", "search.target_value is '1e-400'; expected a number."),
        (SMALL + "[search]\ntarget_value = '-1e-400'", "search.target_value is '-1e-400'; expected a number."),
        (SMALL + "[search]\nsampler = 3", "search.sampler is 3; expected text."),
        (SMALL + "[study]\nseed = -1", "study.seed is -1; expected a whole number ≥ 0 and < 4,294,967,296."),
        (SMALL + "[study]\nname = 2026-01-01", "study.name is datetime.date(2026, 1, 1); expected text of 1 to 200"),
        (SMALL + "[space]\nlearning_rat = 1", "space.learning_rat: unknown key. Did you mean 'learning_rate'?"),
        (SMALL + '[space]\n"a\\n\\u001b[2Jb" = 1', "space.a\\n\\x1b[2Jb: unknown key."),
    ],
)  # fmt: skip
def test_each_mistake_gives_one_line(tmp_path: Path, text: str, line: str) -> None:
    """Every kind of mistake is one line that prints: file, key, what was given, what is expected or what to do."""
    path = write(tmp_path, text)
    lines = told(path)
    assert [one[: len(f"{path}: {line}")] for one in lines] == [f"{path}: {line}"]
    assert lines[0].endswith(".")
    assert lines[0].isprintable()


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """A file with many mistakes in many tables is told all of them, each in its line."""
    text = "[stdy]\n[data]\nrow = 3\n[space]\nlerning_rate = 3\ndepth = -1\nwidth = {low = 9, high = 3}\n"
    text += "[training]\nepochs = 0\n[search]\ntrials = 0\n"
    lines = told(write(tmp_path, text))
    keys = (
        "stdy",
        "data.row",
        "space.lerning_rate",
        "space.depth",
        "space.width",
        "training.epochs",
        "search.trials",
    )
    assert sorted(line.split(": ")[1].split(" ")[0] for line in lines) == sorted(keys)


NAMES = ["", " ", "\u3000", "a\0b", "a\nb", "a\tb", "\x1b[31mred", "a\x7f", "\u202etxt", "x" * 201, "x" * 600]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_do_not_print_are_refused(tmp_path: Path, name: str) -> None:
    """A name that is empty, too long or does not print is refused in one line that prints."""
    (line,) = told(write(tmp_path, SMALL), ("study.name", name))
    assert "study.name is" in line
    assert "1 to 200 characters" in line
    assert line.isprintable()
    assert len(line) < 250


@pytest.mark.parametrize("name", ["../x", "CON", "Größe 日本", "<script>", "a/b", "'; drop table", "x" * 200, "=1+1"])
def test_names_that_print_are_taken(tmp_path: Path, name: str) -> None:
    """Any name that prints is a name; its folder is another matter."""
    assert read_config(write(tmp_path, SMALL), [("study.name", name)]).study.name == name


def test_a_file_whose_name_does_not_print_asks_for_a_name(tmp_path: Path) -> None:
    """A study that would be named after an odd file asks for another name."""
    (line,) = told(write(tmp_path, SMALL, "a\nb.toml"))
    assert "(--name)" in line
    assert line.isprintable()


BOMBS: dict[str, str | bytes] = {
    "open brackets": "x = " + "[" * 5000,
    "brackets": "x = " + "[" * 5000 + "]" * 5000,
    "tables": SMALL + "[space]\ndepth = " + "{a=" * 5000 + "1" + "}" * 5000,
    "keys": SMALL + "[training]\n" + "a." * 3000 + "b = 1",
    "digits": SMALL + "[training]\nepochs = " + "9" * 5000,
    "fewer digits": SMALL + "[training]\nepochs = " + "9" * 4000,
    "hexadecimal": SMALL + "[training]\nepochs = 0x" + "f" * 5000,
    "digits in the space": SMALL + "[space]\ndepth = " + "9" * 4000,
    "hexadecimal in the space": SMALL + "[space]\ndepth = [0x" + "f" * 5000 + "]",
    "nan": SMALL + "[space]\ndropout = nan",
    "infinity": SMALL + "[space]\nlearning_rate = {low = 1, high = 1e999}",
    "long text": SMALL + "[space]\noptimizer = '" + "x" * 900_000 + "'",
    "long list": SMALL + "[space]\ndepth = [" + "-1," * 50_000 + "]",
    "long list, last twice": SMALL + "[space]\nwidth = [" + ",".join(map(str, [*range(1, 50_000), 49_999])) + "]",
    "binary": bytes(range(256)) * 16,
    "UTF-16": SMALL.encode("utf-16"),
    "NUL": b"\0" * 4096,
    "large": b"#" * 2_000_000,
    "twice": SMALL + SMALL,
    "unfinished": SMALL + "[space",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_hostile_files_are_one_short_line(tmp_path: Path, bomb: str) -> None:
    """Whatever the file holds, one short line names the file and says what is wrong; nothing runs away."""
    path = write(tmp_path, BOMBS[bomb])
    (line,) = told(path)
    assert line.startswith(f"{path}: ")
    assert line.isprintable()
    assert len(line) < len(str(path)) + 400


@pytest.mark.slow
@pytest.mark.parametrize("file", ["table.csv", "pictures", "x" * 600, "a\0b"])
def test_sizes_and_targets_of_images(tmp_path: Path, file: str) -> None:
    """A size is refused where there is no folder of images, a target where there is one: neither would do anything."""
    (tmp_path / "pictures").mkdir()
    path = write(tmp_path, SMALL.replace("name", "file").replace("digits", "x"))
    place = str(tmp_path / file)
    key, other = ("data.target", "data.size") if file == "pictures" else ("data.size", "data.target")
    value: dict[str, Any] = {"data.size": 16, "data.target": "price"}
    (line,) = told(path, ("data.file", place), (key, value[key]))
    assert f"{key}: " in line
    assert line.isprintable()
    assert read_config(path, [("data.file", place), (other, value[other])]).data.file == place


def test_an_editors_mark_is_no_mistake(tmp_path: Path) -> None:
    """The byte order mark and line ends of Windows are read over."""
    assert read_config(write(tmp_path, b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())).data.name == "digits"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nosuch",
        "digit",
        "missing.toml",
        "/nonexistent/x.toml",
        ".",
        "/dev/null",
        "x" * 600,
        "a\0b",
        "a\nb",
        "\udcff",
    ],
)
def test_studies_that_are_not_there(name: str) -> None:
    """A missing file, a folder, a device and an impossible name are one line that lists what there is."""
    with pytest.raises(UserError) as caught:
        find_study(name)
    assert f"Known: {', '.join(sorted({*(file.stem for file in STUDIES.glob('*.toml')), *DATASETS}))}" in str(
        caught.value
    )
    assert str(caught.value).isprintable()
    assert ("Did you mean 'digits'?" in str(caught.value)) == (name == "digit")


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.3", 0.3), ("true", True), ("[1, 2]", [1, 2]), ("{low = 1, high = 2}", {"low": 1, "high": 2}), ('"3"', "3"),
     ("adam", "adam"), ("/a b", "/a b"), ("", ""), ("[" * 5000, "[" * 5000), ("9" * 5000, "9" * 5000), ("1\nx = 2", 1)],
    ids=range(12),
)  # fmt: skip
def test_values_of_the_command_line(text: str, value: Any) -> None:
    """A value is TOML where it is TOML, else the text itself."""
    assert parse_value(text) == value


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_any_value_of_the_command_line_is_read(text: str) -> None:
    """No text makes the reading of a value fail."""
    parse_value(text)


def test_overrides_take_the_place_of_the_file() -> None:
    """A section's key, a hyperparameter's name and a part of its range can all be set."""
    overrides = [
        ("search.trials", 5),
        ("space.depth", 2),
        ("width.high", 99),
        ("optimizer", ["sgd", "momentum"]),
        ("data.rows", 7),
    ]
    config = read_config(find_study("digits"), overrides)
    assert (config.search.trials, config.data.rows) == (5, 7)
    plain = config.space.plain()
    assert (plain["depth"], plain["width"], plain["optimizer"]) == (
        2,
        {"low": 16, "high": 99, "log": True},
        ["sgd", "momentum"],
    )


def test_a_whole_range_can_be_set(tmp_path: Path) -> None:
    """A hyperparameter that the file does not name can be set as a range, at once or part by part."""
    study = write(tmp_path, SMALL)
    whole = read_config(study, [("dropout", {"low": 0.0, "high": 0.5})])
    parts = read_config(study, [("dropout.low", 0.0), ("space.dropout.high", 0.5)])
    assert whole.space == parts.space


@pytest.mark.parametrize("unit", ["updates", "examples", "epochs"])
def test_a_budget_takes_the_place_of_the_files(unit: str) -> None:
    """A budget on the command line replaces the file's, in whatever unit that is; two of them are one too many."""
    config = read_config(find_study("digits"), [(f"training.{unit}", 5)])
    assert (config.budget.unit, config.budget.amount, config.budget.patience) == (unit, 5, 9)
    (line,) = told(find_study("digits"), ("training.epochs", 1), ("training.updates", 1))
    assert "more than one of epochs, updates, examples" in line


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("search.trials", 0, "command line: search.trials is 0; expected a whole number ≥ 1"),
        ("learning_rate.lo", 1, "command line: space.learning_rate.lo: unknown key. Did you mean 'low'?"),
        ("learning_rate.high", 1e-9, f"{STUDIES}/digits.toml: space.learning_rate is reversed: low = 0.0001 is above"),
        ("learning_rat", 1, "--set learning_rat: unknown key. Did you mean 'learning_rate'?"),
        ("serach.sampler", "tpe", "--set serach.sampler: unknown key. Did you mean 'search'?"),
        ("", 1, "--set : unknown key."),
        (".", 1, "--set .: unknown key."),
        ("space.", 1, "--set space.: unknown key."),
        ("optimizer.low", 1, "--set optimizer.low: space.optimizer is ['sgd',"),
        ("data.name.x", 1, "--set data.name.x: data.name is 'digits' in the study, not a table. Set it whole: --set data.name=VALUE."),
        ("batch_size.low", 1, "--set batch_size.low: space.batch_size is [1, 8, 16, 32, 64, 128, 256, 'full'] in the study, not a"),
        ("study", 3, "command line: study is 3; expected a table."),
        ("search", {}, ""),
    ],
)  # fmt: skip
def test_overrides_that_are_wrong_name_themselves(key: str, value: Any, line: str) -> None:
    """A mistake on the command line is not blamed on the file, and says what to write instead."""
    if not line:
        assert read_config(find_study("digits"), [(key, value)]).search.trials == 64
        return
    (only,) = told(find_study("digits"), (key, value))
    assert only[: len(line)] == line


WRONG_VALUES = [
    0,
    1,
    3,
    -0.5,
    10**30,
    float("nan"),
    True,
    "",
    "yes",
    "x" * 5000,
    [],
    [[1]],
    [None, {}],
    {},
    {"a": 3},
    {"a": {"b": 1}},
]


@pytest.mark.parametrize("value", WRONG_VALUES, ids=lambda value: repr(value)[:20])
def test_a_value_of_a_wrong_type_is_told_for_every_key(value: Any) -> None:
    """Whatever a key of any section holds, the study is read, or each line of the refusal names the section and says what is expected."""
    sections = {name: field.annotation for name, field in StudyConfig.model_fields.items() if name != "space"}
    for name, annotation in sections.items():
        section = next(kind for kind in (annotation, *get_args(annotation)) if hasattr(kind, "model_fields"))
        for key in section.model_fields:
            tables: dict[str, Any] = {"data": {"name": "digits"}}
            tables.setdefault(name, {})[key] = value
            try:
                check_config(tables, "my.toml")
            except UserError as error:
                for line in str(error).splitlines():
                    assert line.startswith(f"my.toml: {name}")
                    assert len(line) < 400


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("header", 0, "data.header is 0; expected true or false."),
        ("header", "yes", "data.header is 'yes'; expected true or false."),
        ("separator", ";;", "data.separator is ';;'; expected text of 1 character."),
        ("missing_values", [3], "data.missing_values[0] is 3; expected text."),
        ("columns", {"a": 3}, "data.columns.a is 3; expected text."),
        ("parts", {"a": "x"}, "data.parts.a is 'x'; expected 'train' or 'validation' or 'test' or 'drop' or 'class'."),
        ("drop_rows", ["x"], "data.drop_rows[0] is 'x'; expected 'missing-target' or 'rare-classes'."),
    ],
)
def test_what_is_wrong_within_a_value_is_named(key: str, value: Any, expected: str) -> None:
    """A refusal shows the item or entry that is wrong, and what it has to be."""
    with pytest.raises(UserError) as caught:
        check_config({"data": {"name": "digits", key: value}}, "my.toml")
    assert expected in str(caught.value).splitlines()[0]


def test_a_file_that_is_too_large_is_one_sentence(tmp_path: Path) -> None:
    """A file of megabytes is refused by its size alone, not as broken TOML."""
    large = write(tmp_path, "x" * 1_000_001)
    with pytest.raises(UserError, match=r"bytes are too many for a study's file\. Is this the right file\?$"):
        read_config(large, [])


def test_a_constant_says_how_to_make_it_a_range(tmp_path: Path) -> None:
    """A part of a range cannot be set where the study has a constant; the line shows the range to write."""
    (line,) = told(write(tmp_path, SMALL + "[space]\nlearning_rate = 0.1"), ("learning_rate.high", 1))
    assert line.endswith("not a table. Set it whole: --set space.learning_rate='{ low = ..., high = ... }'.")


keys = st.lists(
    st.sampled_from(["study", "data", "space", "search", "training", "depth", "name", "low", "epochs", "", "x"]),
    max_size=4,
)
values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.lists(st.tuples(keys.map(".".join), values), max_size=3))
def test_any_overrides_work_or_are_told(overrides: list[tuple[str, Any]]) -> None:
    """Whatever is set, the study is valid or every problem is a line that prints."""
    with suppress(UserError):
        read_config(find_study("digits"), overrides)
        return
    lines = told(find_study("digits"), *overrides)
    assert all(line.isprintable() and line for line in lines)


def test_a_file_as_data_is_searched_as_a_table(tmp_path: Path) -> None:
    """A study that gives a file and no space has the space and budget of `run --data`; what it says itself stays."""
    table = read_config(find_study("table"), [("data.file", "mine.csv"), ("study.name", "mine")])
    own = read_config(write(tmp_path, '[data]\nfile = "mine.csv"\n[study]\nname = "mine"\n[search]\ntrials = 3\n'))
    assert own.space == table.space
    assert (own.training, own.confirm, own.data) == (table.training, table.confirm, table.data)
    assert (own.search.trials, own.search.pruner) == (3, table.search.pruner)
    weighed = read_config(write(tmp_path, '[data]\nfile = "mine.csv"\n[training]\nclass_weights = "balanced"\n'))
    assert weighed.training == table.training.model_copy(update={"class_weights": "balanced"})
    counted = read_config(write(tmp_path, '[data]\nfile = "mine.csv"\n[training]\nupdates = 50\n'))
    assert (counted.training.epochs, counted.training.updates) == (None, 50)
    several = '[data]\nfile = "mine.csv"\n[search]\nobjectives = ["accuracy", "parameters"]\n'
    assert (read_config(write(tmp_path, several)).search.pruner, read_config(write(tmp_path, several)).folds) == (
        "none",
        "auto",
    )
    divided = read_config(write(tmp_path, '[data]\nfile = "mine.csv"\nvalidation = 0.2\n'))
    assert (divided.data.folds, divided.space) == (None, table.space)
    spaced = read_config(write(tmp_path, '[data]\nfile = "mine.csv"\n[space]\nwidth = 8\n'))
    assert set(spaced.space.domains) == {"width"}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("last", "last"),
        ("last:5000", "last:5000"),
        ("last:0.1", "last:0.1"),
        ("given", "given"),
        ("0.2", 0.2),
        ("300", 300),
    ],
)
def test_validation_rows_are_a_size_or_where_they_lie(given: str, read: Any) -> None:
    """A text that is a number is one; "last" and "given" say where the rows lie."""
    assert check_config({"data": {"name": "iris", "validation": given}, "space": {}}, "x").data.validation == read


@pytest.mark.parametrize("given", ["first", "last:x", "last:", 1.5])
def test_other_validation_rows_are_refused_with_what_is_expected(given: Any) -> None:
    """The line has what was given and an example of each form."""
    with pytest.raises(UserError, match=r"data\.validation is .*; expected a number .*'given', or 'last:5000'"):
        check_config({"data": {"name": "iris", "validation": given}, "space": {}}, "x")
