"""How a text table is written: marks of numbers, encodings, layouts; what was assumed is said, and what may be two things is asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data import Data, load_file
from hpsearch.data.columns import parsing
from hpsearch.data.columns.reading import read_columns
from hpsearch.data.columns.table import Table
from hpsearch.data.loaders.table_files import read_like, read_table
from hpsearch.data.options import ReadOptions, SplitOptions
from hpsearch.errors import UserError

DRAW = np.random.RandomState(0)
VALUES = [round(float(value), 2) for value in DRAW.normal(0, 2e6, 40)]
SMALL = [round(float(value), 2) for value in DRAW.normal(0, 9, 40)]


def written(value: float, thousands: str, decimal: str, minus: str = "-", digits: int = 2) -> str:
    """Return a number as it is written with these marks."""
    text = f"{abs(value):,.{digits}f}".replace(",", "T").replace(".", decimal).replace("T", thousands)
    return minus * (value < 0) + text


def file_of(
    folder: Path, rows: list[list[str]], separator: str = ";", head: str = "a;b;y", name: str = "t.csv"
) -> Path:
    """Write rows below a line of names."""
    path = folder / name
    lines = [head.replace(";", separator), *(separator.join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def with_numbers(folder: Path, write: Callable[[float], str], separator: str = ";") -> Path:
    """Write a table with a column of `VALUES` that `write` writes."""
    rows = [[write(value), str(i % 7), "uv"[i % 2]] for i, value in enumerate(VALUES)]
    return file_of(folder, rows, separator)


def numbers(table: Table, name: str = "a") -> Any:
    """Return a column's numbers, each of which must be one."""
    values, other = parsing.numbers(parsing.with_nulls(table.column(name)), table.decimal)
    assert not other.any()
    return values


def assumed(data: Data, *parts: str) -> bool:
    """Whether one line of what was assumed has all of these parts."""
    return any(all(part in line for part in parts) for line in data.summary["reading"])


@pytest.mark.parametrize(
    ("thousands", "decimal"),
    [
        *((".", ","), (",", "."), ("'", "."), ("\u2019", "."), (" ", ","), ("\u00a0", ","), ("\u202f", ",")),
        *(("\u2009", "."), ("_", "."), ("", ","), ("", ".")),
    ],
)
def test_thousands_are_read_whatever_separates_them(tmp_path: Path, thousands: str, decimal: str) -> None:
    """Points, commas, apostrophes, underscores and spaces of any width between thousands: the numbers are what was written."""
    path = with_numbers(tmp_path, lambda value: written(value, thousands, decimal))
    table = read_table(path, expected=["y"])
    assert numbers(table).tolist() == VALUES
    said = [assumption.sentence for assumption in table.assumptions if assumption.what == "thousands"]
    assert len(said) == 1
    assert ("--thousands none" in said[0]) == bool(thousands)


@pytest.mark.parametrize("minus", ["-", "\u2212", "\u2013", "\u2011", "- "])
def test_a_minus_has_many_forms(tmp_path: Path, minus: str) -> None:
    """A typographic minus, a dash, a minus before a space, behind the number, or parentheses as in accounts: the number is negative."""
    path = with_numbers(tmp_path, lambda value: written(value, "", ".", minus))
    assert numbers(read_table(path, expected=["y"])).tolist() == VALUES
    path = with_numbers(tmp_path, lambda value: written(abs(value), "", ".") + minus.strip() * (value < 0))
    assert numbers(read_table(path, expected=["y"])).tolist() == VALUES
    path = with_numbers(
        tmp_path, lambda value: f"({written(-value, ',', '.')})" if value < 0 else written(value, ",", ".")
    )
    assert numbers(read_table(path, expected=["y"])).tolist() == VALUES


ARABIC = str.maketrans("0123456789.,", "٠١٢٣٤٥٦٧٨٩٫٬")
FULL_WIDTH = str.maketrans("0123456789.,-+", "０１２３４５６７８９．，－＋")


@pytest.mark.parametrize(
    "write",
    [
        lambda value: written(value, ",", ".").translate(ARABIC),
        lambda value: written(value, ",", ".").translate(FULL_WIDTH),
        lambda value: f"\u200e{value}",
        lambda value: f"\ufeff{value}\u200b",
    ],
)
def test_numbers_of_other_scripts(tmp_path: Path, write: Callable[[float], str]) -> None:
    """Arabic digits and those of full width are digits; signs that nobody sees are none of a number's."""
    assert numbers(read_table(with_numbers(tmp_path, write), expected=["y"])).tolist() == VALUES


@pytest.mark.parametrize(
    ("written_cell", "unit"),
    [
        ("{} €", "€"),
        ("{}\u00a0€", "€"),
        ("-${}", "$"),
        ("(${})", "$"),
        ("USD {}", "USD"),
        ("Rs. {}", "Rs."),
        ("{}\u202f%", "%"),
    ],
)
def test_a_unit_is_told(tmp_path: Path, written_cell: str, unit: str) -> None:
    """Numbers with a currency or a unit stay text; the notice says which it is, wherever it stands."""
    rows = [[written_cell.format(f"{1 + i / 8:.2f}"), str(SMALL[i]), "uv"[i % 2]] for i in range(40)]
    data = load_file(file_of(tmp_path, rows), "y")
    assert any(f"its cells are numbers with '{unit}'" in notice for notice in data.summary["notices"])


@pytest.mark.parametrize("cell", ["2022-{:02}", "{:02}/2022", "2022-W{:02}", "2022年{:02}月"])
def test_categories_that_may_be_dates_are_told(tmp_path: Path, cell: str) -> None:
    """Months of a year, written as no date is read, are categories without an order: a notice has what is read."""
    rows = [[cell.format(1 + i % 12), str(SMALL[i]), "uv"[i % 2]] for i in range(40)]
    data = load_file(file_of(tmp_path, rows), "y")
    assert any("'a': if its cells are dates, write them as 2024-12-31" in notice for notice in data.summary["notices"])


def test_numbers_that_are_all_in_parentheses_are_names(tmp_path: Path) -> None:
    """(1), (2), (3) count things: a category, as they are written."""
    rows = [[f"({i % 3})", str(SMALL[i]), "uv"[i % 2]] for i in range(40)]
    data = load_file(file_of(tmp_path, rows), "y", split=SplitOptions(test=0))
    assert data.preprocessing["columns"][0]["categories"] == ["(0)", "(1)", "(2)"]


def test_one_certain_column_decides_what_another_leaves_open(tmp_path: Path) -> None:
    """Beside 4,40 the cell 3.065 is three thousand, beside 4.40 three; both are said, with the option."""
    german = [[f"{3 + i % 5}.{100 + i:03d}", f"{i},{i % 9}0", f"{1 + i % 7}.{200 + i}"] for i in range(40)]
    data = load_file(file_of(tmp_path, german), "y", split=SplitOptions(test=0))
    assert data.task.name == "regression"
    known = sorted((1 + i % 7) * 1000 + 200 + i for i in range(40))
    targets = [
        part.targets.double() * data.target_scale + data.target_mean for part in (data.training, data.validation)
    ]
    assert np.allclose(sorted(float(value) for part in targets for value in part.flatten()), known)
    assert assumed(data, "decimal mark ','", "'b' has numbers with a comma", "--decimal .")
    assert assumed(data, "thousands '.'", "'a' ('3.100' is 3100)", "'y' ('1.200' is 1200)", "--thousands none")
    english = [[cell.replace(",", ".") for cell in row] for row in german]
    data = load_file(file_of(tmp_path, english), "y", split=SplitOptions(test=0))
    assert assumed(data, "decimal mark '.'", "'b' has numbers with a point")
    assert assumed(data, "thousands none")


@pytest.mark.parametrize("mark", [".", ","])
def test_what_no_column_decides_is_asked(tmp_path: Path, mark: str) -> None:
    """Where every number may be two the refusal shows both and the option for each; each option then reads its one."""
    rows = [[f"{i + 1}{mark}{234 + i}", str(i % 7), "uv"[i % 2]] for i in range(40)]
    path = file_of(tmp_path, rows)
    other = "," if mark == "." else "."
    with pytest.raises(
        UserError, match=rf"may be a decimal mark or separate thousands.*--decimal '?\{mark}'? \(1\.234\)"
    ) as caught:
        read_table(path, expected=["y"])
    assert f"--decimal {other} (1234)" in str(caught.value)
    assert numbers(read_table(path, ReadOptions(decimal=mark)))[0] == 1.234
    assert numbers(read_table(path, ReadOptions(decimal=other)))[0] == 1234
    assert numbers(read_table(path, ReadOptions(thousands=mark)))[0] == 1234
    assert numbers(read_table(path, ReadOptions(thousands="none", decimal=mark)))[0] == 1.234


def test_points_in_a_file_with_commas_between_cells_are_decimal(tmp_path: Path) -> None:
    """Where commas separate cells 1.234 is read as ever."""
    rows = [[f"{i + 1}.{234 + i}", str(i % 7), "uv"[i % 2]] for i in range(40)]
    assert numbers(read_table(file_of(tmp_path, rows, ",")))[0] == 1.234


def test_each_column_may_have_its_own_decimal_mark(tmp_path: Path) -> None:
    """Grades 1,3 beside chapters 2.4: both are numbers, the task is a regression, and the other form is said."""
    rows = [[str(i), f"{i % 5}.{i % 4}", f"{1 + i % 4},{3 * (i % 3)}"] for i in range(40)]
    data = load_file(
        file_of(tmp_path, rows), "y", split=SplitOptions(test=0), read=ReadOptions(columns={"a": "number"})
    )
    assert data.task.name == "regression"
    assert [column["kind"] for column in data.preprocessing["columns"]] == ["number", "number"]
    assert assumed(data, "numbers in another form: 'y' ('1,0' is 1.0)")
    kept = json.loads(json.dumps(data.preprocessing))
    assert kept["reading"]["numbers"] == {"y": {"decimal": ",", "thousands": ""}}


def test_lists_of_codes_stay_text(tmp_path: Path) -> None:
    """Beside decimal points in a file with commas between cells, "1,2" is a text, and a notice says how it would be a number."""
    rows = [[f'"{i % 3},{i % 2}"', str(SMALL[i]), "uv"[i % 2]] for i in range(40)]
    path = file_of(tmp_path, rows, ",")
    data = load_file(path, "y", split=SplitOptions(test=0))
    assert data.preprocessing["columns"][0]["kind"] == "category"
    assert any("--set data.columns.a=number" in notice for notice in data.summary["notices"])
    data = load_file(path, "y", split=SplitOptions(test=0), read=ReadOptions(columns={"a": "number"}))
    assert data.preprocessing["columns"][0]["kind"] == "number"


@pytest.mark.parametrize("code", ["192.168.100.1{:02}", "10.{}.{}.1{:02}", "1.{}.3{:02}"])
def test_codes_with_points_are_no_thousands(tmp_path: Path, code: str) -> None:
    """An IP address or a version is no number, and does not make 1,234 of the 1.234 in another column."""
    rows = [[code.format(*[10 + i] * code.count("{")), f"{1 + i / 1000:.3f}", "uv"[i % 2]] for i in range(40)]
    path = file_of(tmp_path, rows, ",")
    data = load_file(path, "y")
    assert [(column["name"], column["kind"]) for column in data.summary["columns"]] == [
        ("b", "number"),
        ("a", "dropped"),
    ]
    table = read_table(path, ReadOptions())
    assert numbers(table, "b") == pytest.approx([1 + i / 1000 for i in range(40)])


def test_groups_of_two_and_three_digits(tmp_path: Path) -> None:
    """Indian numbers, 12,34,567.5, have groups of two digits; with a point or a space between, these are codes."""
    indian = file_of(tmp_path, [[f"12,{10 + i},567.5", "1", "uv"[i % 2]] for i in range(40)])
    assert numbers(read_table(indian, ReadOptions())) == pytest.approx(
        [1_200_567.5 + 1000 * (10 + i) for i in range(40)]
    )
    spaced = file_of(tmp_path, [[f"12 {10 + i} 567", "1", "uv"[i % 2]] for i in range(40)], name="s.csv")
    assert read_table(spaced, ReadOptions()).column("a")[0].as_py() == "12 10 567"


def test_a_few_texts_among_such_numbers_are_named(tmp_path: Path) -> None:
    """Beside 1.234,50 a few "k.A." are told with the option that reads them as missing, which then gives a column of numbers."""
    path = with_numbers(tmp_path, lambda value: "k.A." if VALUES.index(value) % 8 == 0 else written(value, ".", ","))
    data = load_file(path, "y", split=SplitOptions(test=0))
    assert any("% of its cells are numbers, the others 'k.A.'" in notice for notice in data.summary["notices"])
    data = load_file(path, "y", split=SplitOptions(test=0), read=ReadOptions(missing_values=["k.A."]))
    assert data.preprocessing["columns"][0]["kind"] == "number"


def test_an_unknown_thousands_separator_is_refused(tmp_path: Path) -> None:
    """What separates no thousands is refused with what does, and so is one mark for two things."""
    with pytest.raises(UserError, match="decimal and thousands are both"):
        read_table(with_numbers(tmp_path, str), ReadOptions(thousands=".", decimal="."))
    with pytest.raises(UserError, match="thousands 'x': one of ','"):
        read_table(with_numbers(tmp_path, str), ReadOptions(thousands="x"))


BODY = [[f"{value}", "Köln" if i % 3 else "Ulm", "uv"[i % 2]] for i, value in enumerate(SMALL)]
PLAIN = "\n".join(["x,c,y", *(",".join(row) for row in BODY)]) + "\n"
LAYOUTS: dict[str, tuple[str, int, str]] = {  # text, the line of the first row, what is said
    "Excel's separator": ("sep=;\n" + PLAIN.replace(",", ";"), 3, "the first line says so (sep=;)"),
    "Excel's comma, quoted": ('"SEP=,"\n' + PLAIN, 3, "the first line says so (sep=,)"),
    "a title": ("My report\n\n" + PLAIN, 4, "1 line above the names: left out, the first 'My report'"),
    "comments": ("# one\n# two\n" + PLAIN, 4, "2 lines above the names"),
    "a title as wide as the table": ("My report,,\n,,\n" + PLAIN, 4, "2 lines above the names"),
    "separators behind all lines": (PLAIN.replace("\n", ",\n"), 2, "1 column without name and cells"),
    "separators behind the rows": (
        PLAIN.replace("\n", ",\n").replace("y,\n", "y\n"),
        2,
        "a separator at the end of each row",
    ),
    "a separator behind the names": (PLAIN.replace("y\n", "y,\n"), 2, "a separator behind the names"),
    "rows of separators": (PLAIN + ",,\n,,\n", 2, "2 rows without a cell: left out, the first in line 42"),
    "spaces before quotes": (PLAIN.replace("Köln", ' "Köln"').replace("c", ' "c"'), 2, "spaces beside a quote"),
    "spaces behind quotes": (PLAIN.replace("Köln", '"Köln" '), 2, "spaces beside a quote"),
    "aligned by spaces": (
        "\n".join(f"  {row[0]:>9} {row[1]:<8}   {row[2]}" for row in [["x", "c", "y"], *BODY]) + "\n",
        2,
        "separator spaces",
    ),
    "aligned, decimal commas": (
        "\n".join(f"  {row[0].replace('.', ','):>9}   {i},5  {row[2]}" for i, row in enumerate(BODY)) + "\n",
        1,
        "separator spaces",
    ),
    "spaces around names": (PLAIN.replace("x,c,y", " x , c , y "), 2, "separator comma"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_stands_around_the_cells_is_left_out(tmp_path: Path, layout: str) -> None:
    """Titles, Excel's separator line, aligning spaces and needless separators are no cells; lines count on, and all of it is said."""
    text, line, said = LAYOUTS[layout]
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    table = read_table(tmp_path / "t.csv", expected=["y"])
    assert len(table) == len(SMALL)
    assert table.row_numbers[0] == line
    assert numbers(table, table.names[0]).tolist() == SMALL
    assert table.columns[-1].to_pylist() == [row[2] for row in BODY]
    assert any(said in assumption.sentence for assumption in table.assumptions)


def test_names_of_rows_as_r_writes_them(tmp_path: Path) -> None:
    """Where the line of names has one less than the rows have cells, and each row another first one, that is the row's name."""
    lines = PLAIN.splitlines()
    (tmp_path / "t.csv").write_text(
        "\n".join([lines[0], *(f'"{i}",{row}' for i, row in enumerate(lines[1:], 1))]) + "\n"
    )
    table = read_table(tmp_path / "t.csv", expected=["y"])
    assert table.names == ("unnamed", "x", "c", "y")
    assert numbers(table, "x").tolist() == SMALL


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (PLAIN + "Source: me\n", "If it is a note below the table, remove it"),
        ("Sales, Q3\n" + PLAIN, "if it stands above the table, remove it"),
        ("Sales\n" + PLAIN.split("\n", 1)[1], "if it stands above the table, remove it"),
    ],
)
def test_what_may_be_two_things_is_refused(tmp_path: Path, text: str, hint: str) -> None:
    """A note below the table, and a title that may be names, are refused with what to do."""
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=hint):
        read_table(tmp_path / "t.csv", expected=["1"])


def test_a_stray_byte_does_not_decide_the_encoding(tmp_path: Path) -> None:
    """One byte of Latin-1 among lines of UTF-8 is told with its line and place, the rest stays UTF-8; half of each is refused."""
    lines = PLAIN.encode().split(b"\n")
    lines[2] = lines[2].decode().encode("cp1252")
    assert b"\xf6" in lines[2]
    (tmp_path / "t.csv").write_bytes(b"\n".join(lines))
    table = read_table(tmp_path / "t.csv", expected=["y"])
    assert set(table.column("c").to_pylist()) == {"Köln", "Ulm"}
    place = lines[2].index(b"\xf6") + 1
    assert f"line 3, character {place} (byte 0xF6, read as 'ö')" in table.notices[0]
    mixed = [line.decode().encode("cp1252") if i % 2 else line for i, line in enumerate(PLAIN.encode().split(b"\n"))]
    (tmp_path / "t.csv").write_bytes(b"\n".join(mixed))
    with pytest.raises(UserError, match=r"line 3|line 4 is not UTF-8, other lines are.*--encoding cp1252"):
        read_table(tmp_path / "t.csv", expected=["y"])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig", "cp1252"])
def test_encodings_that_show_are_found(tmp_path: Path, encoding: str) -> None:
    """UTF-16 with and without a mark, and one byte a letter, are read; which it was is said with the option."""
    (tmp_path / "t.csv").write_bytes(PLAIN.encode(encoding))
    table = read_table(tmp_path / "t.csv", expected=["y"])
    assert set(table.column("c").to_pylist()) == {"Köln", "Ulm"}
    assert any(f"encoding {encoding}" in a.sentence and "--encoding" in a.sentence for a in table.assumptions)


def test_a_target_may_be_astronomically_large(tmp_path: Path) -> None:
    """4e25 and whole numbers of 26 digits are numbers; long codes that come again are classes."""
    for large in ([f"{i + 1.5}e25" for i in range(40)], [str((i + 1) * 10**25) for i in range(40)]):
        rows = [[str(SMALL[i]), str(i % 7), large[i]] for i in range(40)]
        data = load_file(file_of(tmp_path, rows, ","), "y", split=SplitOptions(test=0))
        assert data.task.name == "regression"
    rows = [[str(SMALL[i]), str(i % 7), f"1234567890123456789{i % 2}"] for i in range(40)]
    data = load_file(file_of(tmp_path, rows, ","), "y", split=SplitOptions(test=0))
    assert data.classes == ("12345678901234567890", "12345678901234567891")


def test_the_list_of_assumptions_is_complete(tmp_path: Path) -> None:
    """Separator, header, encoding, decimal mark, thousands, missing cells, kinds and what is left out: a line each, with its option."""
    rows = [[str(SMALL[i]), f"name {i}", "uv"[i % 2]] for i in range(40)]
    data = load_file(file_of(tmp_path, rows), "y", split=SplitOptions(test=0))
    heads = [
        "separator semicolon",
        "the first line holds names",
        "encoding utf-8",
        "decimal mark '.'",
        "thousands none",
    ]
    heads += ["missing cells", "kinds", "left out"]
    lines = data.summary["reading"]
    assert [line.startswith(head) for line, head in zip(lines, heads, strict=True)] == [True] * len(heads)
    assert all("(otherwise: --" in line for line in lines)
    assert lines[-2] == "kinds: number ('a') (otherwise: --set data.columns.a=category)"
    assert lines[-1] == "left out: 'b' (identifier) (otherwise: --set data.columns.b=category)"


def test_odd_names_do_not_break_the_list(tmp_path: Path) -> None:
    """Names of thousands of letters, or with letters that do not print, leave each line printable and short."""
    for name in ("n" * 5_000, "\x1b[2J", "it's a $name"):
        rows = [[str(SMALL[i]), str(i % 7), "uv"[i % 2]] for i in range(40)]
        data = load_file(file_of(tmp_path, rows, head=f"{name};b;y"), "y", split=SplitOptions(test=0))
        assert all(line.isprintable() and len(line) < 300 for line in data.summary["reading"])


def trained(folder: Path, target: str = "y", **options: Any) -> dict[str, Any]:
    """Return the preprocessing of the table that was written, as a model keeps it."""
    data = load_file(folder / "t.csv", target, split=SplitOptions(test=0), read=ReadOptions(**options))
    kept: dict[str, Any] = json.loads(json.dumps(data.preprocessing))
    return kept


def new_numbers(folder: Path, kept: dict[str, Any], text: str | bytes, **options: Any) -> list[list[float]]:
    """Return the numbers of new rows for a model with this preprocessing."""
    (folder / "new.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    table = read_like(folder / "new.csv", kept, ReadOptions(**options))
    return [list(row) for row in read_columns(kept, table)]


def test_new_rows_are_read_as_the_studys_file(tmp_path: Path) -> None:
    """What a file of new rows leaves open is as it was in the study's file: decimal mark, thousands; its options say otherwise."""
    rows = [[f"0,{100 + 7 * i}", f"{i % 5},{i % 10}5", "uv"[i % 2]] for i in range(40)]
    file_of(tmp_path, rows)
    kept = trained(tmp_path, decimal=",")
    assert new_numbers(tmp_path, kept, "a;b\n1,234;2\n-3,456;1\n") == [[1.234, 2], [-3.456, 1]]
    assert new_numbers(tmp_path, kept, "a;b\n1,234;2\n-3,456;1\n", decimal=".") == [[1234, 2], [-3456, 1]]
    assert new_numbers(tmp_path, kept, "a,b\n1.25,2\n") == [[1.25, 2]]
    assert new_numbers(tmp_path, kept, "a;b\n1.234,5;2\n") == [[1234.5, 2]]
    assert new_numbers(tmp_path, kept, "a;b\n(1,5);\u22122,5\n") == [[-1.5, -2.5]]


def test_new_rows_without_a_line_of_names(tmp_path: Path) -> None:
    """With --header no new rows are the study's columns by their place: all, or all but the target, wherever that is."""
    rows = [[f"row {i}", str(SMALL[i]), "uv"[i % 2], str(i % 7)] for i in range(40)]
    file_of(tmp_path, rows, ",", "id,a,y,b")
    kept = trained(tmp_path)
    assert [entry["name"] for entry in kept["columns"]] == ["a", "b"]
    assert new_numbers(tmp_path, kept, "x,1.5,u,3\n", header=False) == [[1.5, 3]]
    assert new_numbers(tmp_path, kept, "x,1.5,3\nz,-2,4\n", header=False) == [[1.5, 3], [-2, 4]]
    assert new_numbers(tmp_path, kept, "x;1,5;3\nz;-2,5;4\n", header=False) == [[1.5, 3], [-2.5, 4]]
    with pytest.raises(UserError, match=r"2 columns without names; 4 expected, .*, or 3: all but the target 'y'"):
        new_numbers(tmp_path, kept, "1.5,3\n", header=False)
    with pytest.raises(UserError, match=r"If the first line holds values: --header no\.$"):
        new_numbers(tmp_path, kept, "x,1.5,3\nz,-2,4\n")


def test_new_rows_without_names_for_an_older_model(tmp_path: Path) -> None:
    """A model that does not keep the order of all columns takes its inputs by place where it has all, and else says why it cannot."""
    kept = {}
    for head in ("a,b,y", "id,a,y"):
        rows = [[str(SMALL[i]) if head[0] == "a" else f"row {i}", str(i % 7), "uv"[i % 2]] for i in range(40)]
        file_of(tmp_path, rows, ",", head)
        kept[head] = trained(tmp_path)
        del kept[head]["reading"]["names"]
    assert new_numbers(tmp_path, kept["a,b,y"], "1.5,3\n", header=False) == [[1.5, 3]]
    with pytest.raises(UserError, match=r"^3 columns without names; 2 expected, all but the target 'y'"):
        new_numbers(tmp_path, kept["a,b,y"], "1.5,3,u\n", header=False)
    with pytest.raises(UserError, match=r"^no line of names, and the model of an earlier version does not keep"):
        new_numbers(tmp_path, kept["id,a,y"], "x,3\n", header=False)


def test_new_rows_of_one_column(tmp_path: Path) -> None:
    """A network with one input reads a file with one column, in which a comma can only be a decimal mark."""
    rows = [[f"{value}", f"{2 * value}"] for value in SMALL]
    file_of(tmp_path, rows, ",", "x,y")
    kept = trained(tmp_path)
    assert new_numbers(tmp_path, kept, "x\n1.5\n-0.2\n") == [[1.5], [-0.2]]
    assert new_numbers(tmp_path, kept, '\ufeff"x"\r\n1,5\r\n-0,2\r\n') == [[1.5], [-0.2]]


def test_new_rows_in_the_studys_encoding(tmp_path: Path) -> None:
    """New rows in the study's encoding are read by it, and those in UTF-8 as that; an option overrules both."""
    rows = [["Москва" if i % 3 else "Тверь", str(SMALL[i]), "uv"[i % 2]] for i in range(40)]
    path = file_of(tmp_path, rows, ",", "город,x,y")
    path.write_bytes(path.read_text(encoding="utf-8").encode("cp1251"))
    kept = trained(tmp_path, encoding="cp1251")
    text = "город,x\nМосква,1.0\nТверь,-1.0\n"
    expected = [[0, 1.0], [1, -1.0]]
    assert new_numbers(tmp_path, kept, text.encode("cp1251")) == expected
    assert new_numbers(tmp_path, kept, text) == expected
    assert new_numbers(tmp_path, kept, text.encode("koi8-r"), encoding="koi8-r") == expected


def test_new_rows_with_the_studys_separator(tmp_path: Path) -> None:
    """A separator that nobody would find is the study's for new rows too; another that shows is found."""
    rows = [[str(SMALL[i]), f"{i % 5}.5", "uv"[i % 2]] for i in range(40)]
    file_of(tmp_path, rows, "~", "a;b;y")
    kept = trained(tmp_path, separator="~")
    assert new_numbers(tmp_path, kept, "a~b\n1.5~2\n") == [[1.5, 2]]
    assert new_numbers(tmp_path, kept, "a;b\n1.5;2\n") == [[1.5, 2]]
    assert new_numbers(tmp_path, kept, "sep=|\nb|a\n2|1.5\n") == [[1.5, 2]]


def test_new_rows_without_names_have_the_studys_width(tmp_path: Path) -> None:
    """Without a line of names new rows have all columns, or all but the target, wherever that was; any other number is refused."""
    rows = [[str(i * 1.5), str(SMALL[i]), "7", str(VALUES[i])] for i in range(40)]
    file_of(tmp_path, rows[1:], ",", ";".join(rows[0]))
    kept = trained(tmp_path, target="0")
    assert new_numbers(tmp_path, kept, "1.5,-1.5,7,3\n") == [[-1.5, 3]]
    assert new_numbers(tmp_path, kept, "-1.5,7,3\n-2.5,7,4\n") == [[-1.5, 3], [-2.5, 4]]
    with pytest.raises(
        UserError, match="2 columns without names; 4 expected, as in the study's file, or 3: all but the target '0'"
    ):
        new_numbers(tmp_path, kept, "-1.5,3\n")
    with pytest.raises(UserError, match="5 columns without names"):
        new_numbers(tmp_path, kept, "1,2,3,4,5\n")


def test_new_rows_without_names_are_split_by_width(tmp_path: Path) -> None:
    """Without names the separator is one that gives the study's width: decimal commas do not separate cells, aligning spaces do."""
    rows = [[f"{i},{i % 9}", f"0,{i}", str(i % 3)] for i in range(40)]
    file_of(tmp_path, rows[1:], ";", ";".join(rows[0]))
    kept = trained(tmp_path, target="2")
    assert new_numbers(tmp_path, kept, "0,1;2,5\n") == [[0.1, 2.5]]
    (tmp_path / "t.csv").write_text("\n".join("   ".join(row).replace(",", ".") for row in rows) + "\n")
    kept = trained(tmp_path, target="2")
    assert kept["reading"]["separator"] == " "
    assert new_numbers(tmp_path, kept, "  0.1    2.5\n") == [[0.1, 2.5]]
    assert new_numbers(tmp_path, kept, "0.1,2.5,1\n") == [[0.1, 2.5]]


def test_new_rows_below_a_title(tmp_path: Path) -> None:
    """New rows are laid out as any file may be: below a title, with separators behind each line."""
    file_of(tmp_path, BODY, ",", "x,c,y")
    kept = trained(tmp_path)
    assert new_numbers(tmp_path, kept, "New rows\n\nx,c,\n1.5,Ulm,\n2.5,Ulm,\n") == [[1.5, 1], [2.5, 1]]
    assert new_numbers(tmp_path, kept, "x,c\n1.5,Ulm\n,\n2.5,Ulm\n", missing_values=[])[1][0] != 2.5


def test_new_rows_with_another_decimal_mark_say_so(tmp_path: Path) -> None:
    """New rows whose decimal mark is certain and is not the study's are read by theirs, and a notice says so."""
    file_of(tmp_path, BODY, ",", "x,c,y")
    kept = trained(tmp_path)
    assert new_numbers(tmp_path, kept, "x;c\n1,5;Ulm\n")[0][0] == 1.5
    table = read_like(tmp_path / "new.csv", kept)
    assert any("the study's file had '.'" in notice and "--decimal ." in notice for notice in table.notices)
