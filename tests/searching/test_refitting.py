"""The selected networks train once more on training and validation rows, after everything is selected; or they stay as they were."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.trial import FixedTrial

from hpsearch.data.dataset import Rows
from hpsearch.errors import SearchFailed
from hpsearch.model import load_model, predict
from hpsearch.reporting.selection import trained_on
from hpsearch.searching import refitting
from hpsearch.searching.networks import members_of
from hpsearch.searching.opening import open_study
from hpsearch.searching.run_options import RunOptions
from hpsearch.searching.specifications import replicate, specification
from hpsearch.storage.urls import sqlite_url
from hpsearch.training import TrialQueue
from hpsearch.training.reference import train
from tests.searching.test_replicates import config, folded, run
from tests.support.small import small_data

OF_THE_END = ("refitted", "rows", "refit_declined", "test", "gaps", "baseline", "predicted", "looks")  # of a result


def weights_of(folder: Path) -> list[dict[str, torch.Tensor]]:
    """The weights of the model in a folder."""
    return [dict(member.weights) for member in load_model(folder).members]


def equal(one: list[dict[str, torch.Tensor]], other: list[dict[str, torch.Tensor]]) -> bool:
    """Whether networks are the same bit for bit."""
    pairs = zip(one, other, strict=True)
    return all(torch.equal(first[name], second[name]) for first, second in pairs for name in first)


@pytest.fixture(scope="module", autouse=True)
def _any_network() -> Iterator[None]:
    """Take the networks on all rows however they predict: after three epochs they may be worse than the best evaluation was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refitting, "_error", lambda members, data: 0.0)
        yield


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A study whose networks stay as they are."""
    folder = tmp_path_factory.mktemp("own")
    return folder, run(folder, small_data(), config(refit=False))[0]


@pytest.fixture(scope="module")
def refitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[str]]:
    """The same study as it is by default, and what was announced."""
    folder = tmp_path_factory.mktemp("refitted")
    return folder, *run(folder, small_data(), config())


@pytest.mark.parametrize("folds", [False, True])
def test_the_selected_run_is_trained_once_more_on_all_rows(tmp_path: Path, folds: bool) -> None:
    """The network has trained on training and validation rows, as many passes as its best evaluation took, with or without folds."""
    data = folded() if folds else small_data()
    result, _ = run(tmp_path, data, config())
    assert result["refitted"]
    assert result["rows"] == len(data.training) + len(data.validation)
    assert len(result["confirmed"][0]["runs"]) == 3
    (member,) = load_model(tmp_path).members
    kept = result["seed"]
    best = next((r["best"] for r in result["confirmed"][0]["runs"] if r["seed"] == kept), None)
    run_options = RunOptions(tmp_path, sqlite_url(tmp_path.absolute() / "study.db"), "cpu")
    with open_study(config(), run_options, data) as study:
        (stored,) = (t for n, t in enumerate(study.writer.previous_trials()) if n == result["trial"])
    best = best or stored.run["best"]
    values = config().space.suggest(FixedTrial(dict(stored.params)))
    spec = replace(specification(config(), values, result["trial"], data), seed=member.seed)
    parts = (data.training, data.validation)
    rows = Rows(torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts]))
    updates = max(1, round(spec.evaluate_at[best - 1] / len(data.training) * len(rows)))
    order = spec.order_seed if kept is None else replicate(spec, 0, kept).order_seed
    alone = train(
        replace(spec, evaluate_at=(updates,), order_seed=order), replace(data, training=rows, folds=()), TrialQueue([])
    )
    assert alone is not None
    assert alone.weights is not None
    for name, tensor in alone.weights.items():
        torch.testing.assert_close(member.weights[name], tensor, rtol=1e-9, atol=1e-9)


def test_nothing_is_selected_after_it(
    own: tuple[Path, dict[str, Any]], refitted: tuple[Path, dict[str, Any], list[str]]
) -> None:
    """All that validation rows say is that of the study whose networks stay as they are; the test rows are scored once, by the others."""
    _, before = own
    folder, after, lines = refitted
    for result in (before, after):
        assert result["looks"] == 1
    assert {key: before[key] for key in before if key not in OF_THE_END} == {
        key: after[key] for key in after if key not in OF_THE_END
    }
    data = small_data()
    assert (before["refitted"], before["rows"]) == (False, len(data.training))
    assert f"training 1 network again on {after['rows']} rows: training and validation" in lines
    right = (predict(load_model(folder), data.test.inputs).argmax(dim=1) == data.test.targets).double().mean()
    assert float(right) == pytest.approx(after["test"]["value"])


def test_it_is_said_on_how_many_rows(
    own: tuple[Path, dict[str, Any]], refitted: tuple[Path, dict[str, Any], list[str]]
) -> None:
    """The model's file and the sentence of screen and page have the rows; of networks that stayed nothing is said."""
    folder, result, _ = refitted
    assert load_model(folder).metrics["rows"] == result["rows"]
    assert trained_on(result).startswith(
        f"Trained once more on {result['rows']} rows, training and validation together;"
    )
    assert trained_on(own[1]) == ""


def test_it_can_be_turned_off_and_on(own: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """A study that goes on with the other setting has the other networks, which are a further look at the test rows; then nothing new."""
    first, _ = run(tmp_path, small_data(), config(refit=False))
    before = weights_of(tmp_path)
    second, _ = run(tmp_path, small_data(), config())
    assert not equal(before, weights_of(tmp_path))
    third, _ = run(tmp_path, small_data(), config(refit=False))
    assert equal(before, weights_of(tmp_path))
    assert [result["refitted"] for result in (first, second, third)] == [False, True, False]
    assert [result["looks"] for result in (first, second, third)] == [1, 2, 3]
    again, lines = run(tmp_path, small_data(), config(refit=False))
    assert again == third
    assert not any("training and validation" in line for line in lines)


@pytest.mark.parametrize("how", ["fails", "is worse"])
def test_networks_stay_where_those_on_all_rows_are_no_good(
    own: tuple[Path, dict[str, Any]], tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a run fails, or they predict validation rows worse, the networks of the training rows are the model; it is tried once."""

    def fail(*values: Any, all_rows: bool = False) -> Any:
        if all_rows:
            raise SearchFailed("diverged")
        return members_of(*values)

    if how == "fails":
        monkeypatch.setattr(refitting, "members_of", fail)
    else:
        errors = iter([2.0, 1.0])
        monkeypatch.setattr(refitting, "_error", lambda members, data: next(errors))
    result, lines = run(tmp_path, small_data(), config())
    assert any("the networks of the training rows stay" in line for line in lines)
    assert (result["refitted"], result["refit_declined"]) == (False, True)
    assert equal(weights_of(tmp_path), weights_of(own[0]))
    again, lines = run(tmp_path, small_data(), config())
    assert again == result
    assert not any("training and validation" in line for line in lines)


def test_a_study_of_an_earlier_version_keeps_its_networks(tmp_path: Path) -> None:
    """A result that does not say on how many rows its networks trained is left as it is."""
    asked = config(refit=False)
    run(tmp_path, small_data(), asked)
    run_options = RunOptions(tmp_path, sqlite_url(tmp_path.absolute() / "study.db"), "cpu")
    with open_study(asked, run_options, small_data()) as study:
        result = study.writer.read_attribute("result")
        old = {key: value for key, value in result.items() if key not in ("rows", "refit_declined")}
        study.writer.write_attribute("result", old)
        study.writer.flush()
    before = weights_of(tmp_path)
    after, lines = run(tmp_path, small_data(), config())
    assert (after["refitted"], after["looks"]) == (False, 1)
    assert equal(before, weights_of(tmp_path))
    assert not any("training and validation" in line for line in lines)


def test_without_test_rows_the_rows_that_are_shown_trained_no_network(tmp_path: Path) -> None:
    """The predictions of validation rows are those of the networks before, which did not train on them."""
    data = small_data()
    empty = replace(data, test=Rows(data.test.inputs[:0], data.test.targets[:0]))
    shown = []
    for name, refit in (("a", False), ("b", True)):
        result, _ = run(tmp_path / name, empty, config(refit=refit))
        assert result["refitted"] is refit
        assert result["predicted"]["rows"] == "validation"
        shown.append(result["predicted"])
    assert shown[0] == shown[1]
