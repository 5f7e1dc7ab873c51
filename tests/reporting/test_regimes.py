"""The regimes that a search sampled: counted by batch size, with their caveat and the command that compares them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.reporting import page
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.figures.points import Heights
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.headline import compare_command, headline, next_command
from hpsearch.reporting.regimes import DEFAULT, Regime, regime_of, regimes
from hpsearch.reporting.tables import frames
from hpsearch.space.hyperparameters import HYPERPARAMETERS
from hpsearch.storage import StudyRecord
from tests.support.prose import prose
from tests.support.records import confirmed, study


@pytest.mark.parametrize(
    ("batch_size", "rows", "regime"),
    [
        (1, 1257, Regime.ONE),
        (2, 1257, Regime.SOME),
        (1256, 1257, Regime.SOME),
        (1257, 1257, Regime.FULL),
        (5000, 1257, Regime.FULL),
        ("full", None, Regime.FULL),
        (64, None, Regime.SOME),
    ],
)
def test_a_batch_size_has_one_regime(batch_size: Any, rows: int | None, regime: Regime) -> None:
    """One row is SGD's, all rows or more are the full batch, whatever lies between is a mini-batch."""
    assert regime_of(batch_size, rows) is regime


def test_the_table_counts_every_trial_once() -> None:
    """Trials, pruned, diverged and usable ones add up to the study's; the best of all is the best of one of them."""
    record = study()
    table = frames(record)["regimes"]
    assert table["regime"].tolist() == ["batch size 1 (SGD)", "mini-batches (16 to 128)", "the full batch (GD)"]
    assert table["trials"].sum() == len(record.trials)
    for column in ("pruned", "diverged"):
        assert table[column].sum() == sum(trial.outcome == column for trial in record.trials)
    usable = [trial.value for trial in record.trials if trial.usable]
    assert table["best_value"].max() == max(value for value in usable if value is not None)
    assert sum(len(one.trials) for one in regimes(record)) == len(record.trials)


def test_the_section_has_its_caveat_and_its_command() -> None:
    """The page says that a search does not tune regimes alike, and which command does; its curves are one a regime."""
    record = study()
    seen = prose(page(record, frames(record)))
    assert "A search does not tune these alike" in seen
    assert "python -m hpsearch compare digits" in seen
    figure = FIGURES["regimes"].draw(frames(record), record)
    assert figure is not None
    assert {trace.name for trace in figure.data} <= set(frames(record)["regimes"]["regime"])


def test_a_study_of_one_regime_claims_nothing_of_the_others() -> None:
    """Where all trials had one batch size, searched or fixed, the section says so and draws nothing."""
    record = study()
    trials = tuple(replace(t, params={k: v for k, v in t.params.items() if k != "batch_size"}) for t in record.trials)
    space = {**record.settings["space"], "batch_size": 64}
    record = replace(record, trials=trials, settings={**record.settings, "space": space})
    assert FIGURES["regimes"].draw(frames(record), record) is None
    assert "All trials trained with mini-batches of 64" in FIGURES["regimes"].reading(frames(record), record)


def _of_data(**data: Any) -> StudyRecord:
    record = study()
    return replace(record, settings={**record.settings, "data": data})


def test_commands_name_the_study_and_its_data() -> None:
    """The next command predicts with this study, its file's kind; names are quoted for a shell, arrays have no command."""
    assert next_command(study()) == "python -m hpsearch predict digits new.csv -o predictions.csv"
    table = _of_data(name=None, file="sales 2026.parquet")
    assert next_command(table).endswith("predict digits new.parquet -o predictions.csv")
    assert compare_command(table) == "python -m hpsearch compare STUDY.toml"
    arrays = replace(study(), data={**study().data, "source": "arrays"})
    assert compare_command(arrays) == "python -m hpsearch compare STUDY.toml", "no data set has the name of the study"
    assert "'my; study'" in next_command(replace(study(), name="my; study"))
    assert " predict digits new.csv" in next_command(study(), Path("reports/digits"))
    assert " predict elsewhere/digits new.csv" in next_command(study(), Path("elsewhere/digits"))
    assert next_command(_of_data()) == ""
    assert next_command(replace(study(), result={})) == ""


def test_the_headline_is_the_most_honest_value() -> None:
    """Test rows first, then the mean over fresh seeds, then the search's best, which is called flattering."""
    record = confirmed(study())
    found = headline(record)
    assert found is not None
    assert found.text == "97.4\u00a0% accuracy on new data"
    assert "94.7 to 98.7" in found.remark
    untested = replace(record, result={**record.result, "test": {}})
    found = headline(untested)
    assert found is not None
    assert found.text.endswith("on validation rows")
    assert "5\u00a0fresh\u00a0seeds" in found.remark
    found = headline(replace(study(), result={}))
    assert found is not None
    assert "which flatters" in found.remark
    assert headline(study(0)) is None


@pytest.mark.parametrize("baseline", [None, 0.1, 0.97])
def test_the_axis_fits_the_better_half_and_ends_at_the_baseline(baseline: float | None) -> None:
    """The better half of the usable trials lies on the scale; where it would go on below the baseline, it ends there."""
    record = replace(study(), result={**study().result, "baseline": {"validation": baseline}})
    heights = Heights.common(record)
    usable = sorted((trial.value for trial in record.trials if trial.usable and trial.value), reverse=True)
    low, high = heights.ends
    assert low <= usable[len(usable) // 2] or baseline == 0.97
    assert high >= min(1.0, usable[0])
    assert low > min(usable)
    if baseline is not None and low < baseline:
        assert baseline >= high
    assert heights.metric == MetricFormat.of(record)


def test_a_study_that_does_not_say_has_the_default_batch_size() -> None:
    """The report's default is the one that the search takes."""
    assert HYPERPARAMETERS["batch_size"].default == DEFAULT
