"""Errors: exit statuses, the look-up that suggests, values shown in one short line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.errors import (
    LONGEST,
    HpsearchError,
    SearchFailed,
    Stopped,
    StorageError,
    UserError,
    listed,
    look_up,
    percent_text,
    shown,
    suggestion,
)


def test_every_kind_has_its_exit_status() -> None:
    """The statuses of the command line are those that the documentation promises."""
    kinds = (HpsearchError, UserError, StorageError, SearchFailed)
    assert [kind.status for kind in kinds] == [1, 2, 3, 4]
    assert Stopped("stopped", 143).status == 143
    assert all(issubclass(kind, HpsearchError) for kind in (*kinds, Stopped))


def test_listed_counts_the_rest_as_every_number_is_written() -> None:
    """Of many values the first are shown, and how many more there are, with separators of thousands."""
    assert listed(range(1236), 2) == "0, 1 and 1,234 more"
    assert listed([1, 2], 2) == "1, 2"


def test_look_up_finds_the_row() -> None:
    """A name that is known gives its row."""
    assert look_up({"adam": 1, "sgd": 2}, "sgd", "optimizer") == 2


def test_look_up_suggests_the_nearest_name() -> None:
    """A name that is not known is told with the nearest one and all others, in order."""
    with pytest.raises(UserError) as caught:
        look_up({"sgd": 1, "adam": 2}, "adma", "optimizer")
    assert str(caught.value) == "unknown optimizer 'adma'. Did you mean 'adam'? Known: adam, sgd."


@pytest.mark.parametrize("name", ["", "zzzzzz", "\x1b[31m", "a\nb", "x" * 600])
def test_suggestion_of_nothing_near(name: str) -> None:
    """A name unlike all others gets the list alone."""
    assert suggestion(name, ["sgd", "adam"]) == "Known: adam, sgd."


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), "\x1b[2J\n", "x" * 10_000, [[1] * 999], {"a": {"b": "\0"}}, "\udcff"],
    ids=lambda value: type(value).__name__,
)
def test_shown_is_one_short_line(value: object) -> None:
    """Whatever was given is shown in one line that prints, and that a screen can hold."""
    assert 0 < len(shown(value)) <= LONGEST
    assert shown(value).isprintable()


@settings(deadline=None, derandomize=True)
@given(st.text() | st.floats() | st.integers() | st.lists(st.text()))
def test_shown_prints_any_value(value: object) -> None:
    """No text, number or list makes a line break or a control character."""
    assert shown(value).isprintable()


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_an_unknown_name_is_one_line(name: str) -> None:
    """A name of any characters that is not known gives one line."""
    with pytest.raises(UserError) as caught:
        look_up({"known row": 1}, name + "?", "row")
    assert len(str(caught.value).splitlines()) == 1


def test_a_hundred_percent_is_all() -> None:
    """A share that is neither none nor all is never rounded to one of them."""
    assert [percent_text(part) for part in (0, 0.001, 0.254, 0.998, 1)] == ["0 %", "1 %", "25 %", "99 %", "100 %"]
