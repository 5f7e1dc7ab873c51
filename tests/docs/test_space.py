"""What the page of the search space says is what the code has."""

import re
import tomllib

import pytest

from hpsearch.space.hyperparameters import COEFFICIENTS, HYPERPARAMETERS
from hpsearch.space.reading import read_space
from hpsearch.training.optimizers import OPTIMIZERS
from tests.support.pages import DOCS, marked, read

PAGE = DOCS / "space.md"
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in read(PAGE).partition("| key of `[space]` |")[2].partition("\n\n")[0].splitlines()[2:]
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}


def test_the_page_names_every_hyperparameter() -> None:
    """The table of `[space]` has exactly the rows of HYPERPARAMETERS, in their order, with their meanings."""
    assert list(ROWS) == list(HYPERPARAMETERS)
    assert [cells[2] for cells in ROWS.values()] == [row.meaning for row in HYPERPARAMETERS.values()]


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_the_page_knows_the_values(name: str) -> None:
    """Names are all that there are; numbers at the ends of a range are taken or refused as the page says."""
    row, said = HYPERPARAMETERS[name], ROWS[name][0]
    if row.kind is str:
        assert said.split(", ") == [*row.names]
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
def test_the_page_knows_the_defaults(name: str) -> None:
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


def test_the_forms_of_the_page_are_read() -> None:
    """Each form of a domain that the page shows is read, and written back as the same domain."""
    forms = tomllib.loads(marked(PAGE, "forms"))
    space, problems = read_space(forms)
    assert problems == []
    assert space.domains.keys() == forms.keys()
    assert read_space(space.plain()) == (space, [])


def test_the_smoothing_of_the_page_is_read() -> None:
    """The page's example leaves it to the search whether labels are smoothed."""
    space, problems = read_space(tomllib.loads(marked(PAGE, "smoothing")))
    assert problems == []
    assert space.smooths_labels
    assert not read_space({"label_smoothing": 0})[0].smooths_labels


def test_the_learning_rates_of_the_page_are_read() -> None:
    """The page's example gives two of its three optimizers a learning rate of their own."""
    space, problems = read_space(tomllib.loads(marked(PAGE, "rates")))
    assert problems == []
    assert space.rates.keys() == {"sgd", "momentum"}
