"""Trials whose layers see pieces of the numbers: every engine trains them alike, and a model of them predicts from plain inputs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hpsearch.data import Data
from hpsearch.errors import StorageError
from hpsearch.model import Member, load_model, predict, save_model
from hpsearch.model.models import model_of
from hpsearch.training import TrialQueue
from hpsearch.training.engines import make_engine
from hpsearch.training.network import dense_network
from hpsearch.training.workers.messages import deserialize, serialize
from hpsearch.trial import TrainingRun, TrialSpec
from tests.support.small import small_data, small_spec
from tests.support.worker_pools import reference_runs, transmitted


def data_with_pieces(dtype: torch.dtype = torch.float64) -> Data:
    """Small data whose numbers have pieces."""
    return small_data(dtype=dtype).with_pieces()


def mixed(data: Data, **changes: Any) -> list[TrialSpec]:
    """Return trials of both encodings, which train in one run."""
    encodings = [data.piece_counts, (), data.piece_counts]
    return [small_spec(data, number=n, seed=n, pieces=pieces, **changes) for n, pieces in enumerate(encodings)]


@pytest.mark.parametrize("name", ["auto", "fused", "compiled"])
@pytest.mark.parametrize("batch_size", [1, 10])
def test_engines_train_both_encodings_side_by_side(name: str, batch_size: int) -> None:
    """Trials with pieces and without, in one run, have the reference's weights and figures, and the encoding among the weights."""
    data = data_with_pieces()
    specs = mixed(data, batch_size=batch_size, optimizer="adam", learning_rate=0.01)
    expected = reference_runs(specs, data)
    source = TrialQueue(specs)
    make_engine(name, data, max_concurrency=3).run(source)
    for number, run in source.runs.items():
        assert run.weights is not None
        weights = expected[number].weights
        assert weights is not None
        assert run.weights.keys() == weights.keys()
        assert ("encoding.low" in weights) == bool(specs[number].dense_architecture.pieces)
        for key, tensor in run.weights.items():
            assert torch.allclose(tensor, weights[key], atol=1e-10)
        assert run.value == pytest.approx(expected[number].value, abs=1e-10)


def member(spec: TrialSpec, run: TrainingRun) -> Member:
    """Return a run's network."""
    assert run.weights is not None
    return Member(spec.architecture, run.weights, spec.number, spec.seed)


def test_a_model_predicts_from_plain_inputs(tmp_path: Path) -> None:
    """Networks of both encodings together, saved and loaded, take the inputs as they are, and reach what the engine measured."""
    data = data_with_pieces(torch.float32)
    specs = mixed(data)
    runs = reference_runs(specs, data)
    members = [member(spec, runs[spec.number]) for spec in specs]
    save_model(tmp_path, "best", model_of(data, members[:2], metrics={}, provenance={}))
    loaded = load_model(tmp_path)
    assert [one.architecture for one in loaded.members] == [one.architecture for one in members[:2]]
    assert predict(loaded, data.test.inputs).shape == (len(data.test), data.outputs)
    for spec, one in zip(specs, members, strict=True):
        network = dense_network(spec.dense_architecture)
        network.load_state_dict(dict(one.weights))
        with torch.no_grad():
            outputs = network(data.validation.inputs)
        run = runs[spec.number]
        assert data.score(outputs, data.validation)[0] == pytest.approx(run.loss, rel=1e-6)


def test_pieces_of_other_inputs_are_damage(tmp_path: Path) -> None:
    """A model whose pieces are not those of each input, or whose intervals are missing or have no width, is refused when it is read."""
    data = data_with_pieces(torch.float32)
    specs = mixed(data)
    run = reference_runs(specs[:1], data)[0]
    good = member(specs[0], run)
    short = replace(specs[0].dense_architecture, pieces=data.piece_counts[:-1])
    without = {name: tensor for name, tensor in good.weights.items() if not name.startswith("encoding")}
    flat = {**good.weights, "encoding.width": torch.zeros(sum(data.piece_counts))}
    for bad in (replace(good, architecture=short), replace(good, weights=without), replace(good, weights=flat)):
        save_model(tmp_path, "best", model_of(data, [bad], metrics={}, provenance={}))
        with pytest.raises(StorageError, match=r"5 expected|'encoding.low' is missing|intervals without width"):
            load_model(tmp_path)


def test_workers_get_the_pieces() -> None:
    """Data that travel to another process train a trial with pieces as they do here."""
    data = data_with_pieces()
    there = deserialize(transmitted(serialize(data)))
    assert there.piece_counts == data.piece_counts
    specs = mixed(data)
    here = reference_runs(specs, data)
    for number, run in reference_runs(specs, there).items():
        assert run.value == here[number].value
