"""What a target's texts look like, other than classes: told as a notice, or first where they cannot be classes."""

from typing import Any

import numpy as np
import pytest

from hpsearch.data import from_arrays
from hpsearch.data.target_looks import looks_of
from hpsearch.errors import UserError

X = np.random.RandomState(0).normal(size=(120, 2))


def repeated(*texts: str) -> Any:
    """Return a target [120] of these texts in turn."""
    return np.array(texts, dtype=object)[np.arange(120) % len(texts)]


LOOKS = {  # texts → what they look like; nothing where they are plain classes
    ("1.7 kg", "2 kg", "3.5 kg"): "numbers with 'kg'",
    ("45%", "50%"): "numbers with '%'",
    ("$1,200", "$900", "$35"): "numbers with '\\$'",
    ("-3 °C", "4 °C"): "numbers with '°C'",
    ("a", "a,b"): "several labels",
    ("red|blue", "blue|green", "green|red"): "several labels",
    ("news; sport", "sport", "news"): "several labels",
    ("NA", "ja", "nein"): "The target's 'NA' is a class",
    ("n/a", "yes", "no"): "The target's 'n/a' is a class",
    ("null", "?", "yes", "no"): "'null', '\\?' are classes",
    ("<=50K", ">50K"): None,
    ("New York, NY", "Boston, MA", "Albany, NY"): None,
    ("1,0", "1,3", "2,0", "2,3", "3,0"): None,
    ("01/02/2024", "02/01/2024"): None,
    ("A+", "A", "B+", "B"): None,
    ("2 kg", "3 g"): None,
    ("yes", "no"): None,
}


@pytest.mark.parametrize("texts", LOOKS)
def test_what_texts_look_like_is_told(texts: tuple[str, ...]) -> None:
    """Numbers with a unit, several labels in a cell and marks of missing cells are classes with a notice; others without."""
    data = from_arrays(X, repeated(*texts))
    assert len(data.classes) == len(texts)
    notices = [text for text in data.summary["notices"] if "target" in text]
    if LOOKS[texts] is None:
        assert not notices
    else:
        assert len(notices) == 1
        with pytest.raises(AssertionError, match=LOOKS[texts]):
            raise AssertionError(notices[0])


def test_texts_that_cannot_be_classes_say_what_they_look_like_first() -> None:
    """Where texts are too many or too rare to be classes, the error begins with what they look like and what to do."""
    rare = np.array([f"{value:.1f} kg" for value in X[:, 0]], dtype=object)
    with pytest.raises(UserError, match=r"look like numbers with 'kg' .*write the numbers alone.* As classes: "):
        from_arrays(X, rare)
    many = np.array([f"{value:.5f} kg" for value in X[:, 0]], dtype=object)
    with pytest.raises(UserError, match=r"look like numbers with 'kg' .*As classes: target: 119 different values"):
        from_arrays(X, many)
    alone = repeated("yes", "no")
    alone[3] = "NA"
    with pytest.raises(UserError, match=r"missing_values = \['NA'\] reads it so \(--missing-value 'NA'\).*As classes"):
        from_arrays(X, alone)


def test_numbers_look_like_nothing() -> None:
    """Numbers and truth values have no texts."""
    for labels in (np.arange(5), np.array([True, False]), X):
        assert [*looks_of(labels)] == []
