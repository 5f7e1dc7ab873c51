"""Tests of `hpsearch.data.target_form`: what predictions can be, and the scale on which networks learn."""

from math import inf

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hpsearch.data import Data, from_arrays
from hpsearch.data.options import TaskOptions
from hpsearch.data.target_form import TargetForm, form_assumptions, skewness, target_form
from hpsearch.errors import UserError

Numbers = npt.NDArray[np.float64]


def column(*numbers: float) -> Numbers:
    return np.array(numbers, dtype=np.float64)[:, None]


@pytest.mark.parametrize(
    ("numbers", "low", "high"),
    [
        ((0, 3, 8), 0, 8.8),  # never negative
        ((-8, -3, 0), -8.8, 0),  # never positive
        ((0.1, 0.5, 0.9), 0, 1),  # shares
        ((0, 1, 1), 0, 1.1),  # whole numbers are no shares
        ((0.01, 0.02, 0.03), 0, 0.032),  # small numbers are no shares
        ((-2, 0, 2), -2.4, 2.4),  # no limit
    ],
)
def test_range(numbers: tuple[float, ...], low: float, high: float) -> None:
    """The range ends at 0 and 1 where the training rows do, and lies a tenth of their range beyond them elsewhere."""
    form = target_form(column(*numbers), None, None)
    assert form.shifts is None
    assert [*form.low, *form.high] == pytest.approx([low, high])


def test_range_in_time() -> None:
    """Of rows in time's order only what the data state is a limit, since a trend may go on."""
    assert target_form(column(3, 5, 8), None, None, in_order=True) == TargetForm((0.0,), (inf,))


def test_given_range() -> None:
    """A range that is given holds for all columns, "none" is none, and one that training rows leave is refused."""
    values = np.array([[0.0, 5.0], [1.0, -5.0]])
    assert target_form(values, None, [-9, 9]) == TargetForm((-9.0, -9.0), (9.0, 9.0))
    assert target_form(values, None, "none") == TargetForm((-inf, -inf), (inf, inf))
    with pytest.raises(UserError, match="training rows have -5 to 5"):
        target_form(values, None, [0, 9])
    with pytest.raises(UserError, match="the lower one first"):
        target_form(values, None, [9, 0])


def test_bounded() -> None:
    """Predictions beyond the range become its end, and one that is no number stays so, that nobody takes it for a result."""
    form = TargetForm((0.0, -inf), (1.0, inf))
    values = torch.tensor([[-0.5, -1e9], [2.0, 1e9], [torch.nan, 0.0]], dtype=torch.float64)
    bounded = form.bounded(values)
    assert bounded[:2].tolist() == [[0.0, -1e9], [1.0, 1e9]]
    assert bounded[2, 0].isnan()


def lognormal(rows: int = 2_001) -> Numbers:
    """Return quantiles of a lognormal distribution, whose skewness is 6.2 in theory."""
    from scipy.stats import norm

    return np.asarray(np.exp(norm.ppf((np.arange(rows) + 0.5) / rows)))[:, None]


def test_shift_takes_the_skewness_away() -> None:
    """The shift leaves no skewness, and follows the unit: what networks learn of metres and of millimetres is the same."""
    values = np.random.default_rng(0).gamma(2.0, size=(2_000, 1))
    form = target_form(values, "log", None)
    assert abs(skewness(form.learned(torch.from_numpy(values)).numpy()[:, 0])) < 1e-6
    in_thousandths = target_form(1000 * values, "log", None)
    assert form.shifts is not None
    assert in_thousandths.shifts is not None
    assert in_thousandths.shifts[0] == pytest.approx(1000 * form.shifts[0])


def test_shift_is_at_least_the_smallest_number() -> None:
    """Where every logarithm is skewed, as with most numbers 0, the shift is the smallest number above 0: zeros stay near the rest."""
    counts = column(*[0] * 90, *[1] * 6, 2, 2, 7, 30)
    shifts = target_form(counts, "log", None).shifts
    assert shifts is not None
    assert shifts[0] == pytest.approx(1.0)


def test_restored_undoes_learned() -> None:
    """What is learned turns back into the target, zeros too, over fifteen orders of magnitude."""
    values = torch.tensor([[0.0], [1e-9], [1.0], [1e6]], dtype=torch.float64)
    form = TargetForm((0.0,), (1e7,), (0.3,))
    assert torch.allclose(form.restored(form.learned(values)), values, rtol=1e-12, atol=0)


def test_what_has_no_logarithm() -> None:
    """Negative numbers are refused with the option that helps."""
    values = column(-1, 5, 90, 4000)
    with pytest.raises(UserError, match='Give target_transform = "none"'):
        target_form(values, "log", None)
    with pytest.raises(UserError, match="unknown target transform 'lo'"):
        target_form(values, "lo", None)


def test_plain_values() -> None:
    """A form is the same after JSON, which has no infinity; an older file has none."""
    for form in (TargetForm((0.0, -inf), (inf, 2.0)), TargetForm((0.0,), (1.0,), (0.5,))):
        assert TargetForm.of(form.plain()) == form
    assert TargetForm.of(None) is None


@pytest.mark.parametrize(
    ("low", "high", "shifts"), [((0.0,), (0.0,), None), ((0.0,), (1.0, 2.0), None), ((0.0,), (1.0,), (0.0,))]
)
def test_impossible_forms(low: tuple[float, ...], high: tuple[float, ...], shifts: tuple[float, ...] | None) -> None:
    """A file with a range without width, of other columns, or with a shift of 0 is refused."""
    with pytest.raises(ValueError, match="expected"):
        TargetForm(low, high, shifts)


def test_assumptions_name_the_way_out() -> None:
    """What was assumed is told with its reason and the option that says otherwise."""
    values = lognormal()
    of_range, of_scale = (one.sentence for one in form_assumptions(target_form(values, "log", None), values))
    assert of_range.startswith("predictions from 0 to ")
    assert of_range.endswith("(otherwise: --set data.target_range=none)")
    assert of_scale.startswith("target learned as log(1 + y / ")
    assert "its skewness is 4.8 (otherwise: --set data.target_transform=none)" in of_scale
    (in_python,) = form_assumptions(target_form(values, None, None), values, of_file=False)
    assert in_python.otherwise == "target_range='none'"
    assert form_assumptions(target_form(values, None, "none"), values) == []


def skewed_data(transform: str | None = "log") -> tuple[Numbers, Data]:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(300, 2))
    return np.exp(inputs[:, 0]), from_arrays(
        inputs, np.exp(inputs[:, 0]), task=TaskOptions("regression", target_transform=transform)
    )


def test_data_measure_in_the_unit() -> None:
    """Networks learn standardised logarithms; targets and metrics are in the unit, and predictions keep within the range."""
    true, data = skewed_data()
    learned = torch.cat([data.training.targets])
    assert learned.mean().abs() < 1e-6
    assert abs(skewness(learned.double().numpy()[:, 0])) < 0.3 < skewness(true)
    restored = data.original(data.test.targets.double())
    assert np.allclose(restored[:, 0], true[data.test.units], rtol=1e-6)
    assert data.metric_of(data.predict(data.test.targets), data.test) == pytest.approx(0, abs=1e-6)
    assert data.target_form is not None
    far = data.predict(torch.tensor([[-1e3], [1e3]]))
    assert far[:, 0].tolist() == [0.0, pytest.approx(data.target_form.high[0])]


def test_classes_have_no_form() -> None:
    """Classes have neither range nor scale, and are refused where one is asked for."""
    inputs = np.arange(40.0)[:, None]
    labels = np.arange(40) % 2
    assert from_arrays(inputs, labels).target_form is None
    with pytest.raises(UserError, match="target_transform: a binary task predicts no numbers"):
        from_arrays(inputs, labels, task=TaskOptions(target_transform="log"))
