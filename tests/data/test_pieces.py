"""The piecewise-linear encoding of numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hpsearch.data import Data, from_arrays
from hpsearch.data.options import SplitOptions
from hpsearch.data.pieces import FEWEST_PIECES, MOST_PIECES, NARROWEST, PIECES, Pieces, PiecewiseLinear, piece_counts
from hpsearch.errors import UserError
from hpsearch.searching.run_options import with_pieces
from hpsearch.space import Choice, SearchSpace
from hpsearch.trial import Architecture


def column(*values: float) -> torch.Tensor:
    """Inputs of one column."""
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def folded() -> Data:
    """Rows of a number, a whole number of few values and a truth value, in three folds."""
    generator = np.random.default_rng(1)
    inputs = np.stack([generator.normal(size=90), generator.integers(0, 6, 90), generator.integers(0, 2, 90)], axis=1)
    return from_arrays(inputs, generator.normal(size=90), split=SplitOptions(0, folds=3))


def test_a_piece_is_the_place_in_its_interval() -> None:
    """Of intervals [0, 1], [1, 3], [3, 7] the number 2 has passed the first, is half through the second and before the third."""
    pieces = Pieces((3,), torch.tensor([0.0, 1, 3]), torch.tensor([1.0, 2, 4]))
    encoded = pieces.encode(torch.tensor([[2.0], [-9.0], [99.0]]))
    assert encoded.tolist() == [[2, 0.5, 0, -0.5], [-9, -0.5, -0.5, -0.5], [99, 0.5, 0.5, 0.5]]


def test_intervals_lie_between_quantiles_of_the_training_rows() -> None:
    """An input of many values gets `PIECES` intervals of like many rows each, side by side from the smallest value to the largest."""
    inputs = torch.randn(1_601, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64) ** 3
    pieces = Pieces.fit(inputs, piece_counts(inputs))
    assert pieces.counts == (PIECES,)
    ends = pieces.low + pieces.width
    assert torch.allclose(ends[:-1], pieces.low[1:])
    assert [float(pieces.low[0]), float(ends[-1])] == pytest.approx([float(inputs.min()), float(inputs.max())])
    inside = [int(((inputs >= low) & (inputs < high)).sum()) for low, high in zip(pieces.low, ends, strict=True)]
    assert inside == pytest.approx([100] * PIECES, abs=2)


def test_few_values_get_no_pieces() -> None:
    """0 and 1, and a constant, say all that they can say; an input of four values has three intervals."""
    assert piece_counts(torch.cat([column(0, 1, 1, 0), column(5, 5, 5, 5)], dim=1)) == (0, 0)
    four = column(*[0, 1, 2, 3] * 20)
    assert Pieces.fit(four, piece_counts(four)).low.tolist() == [0, 1, 2]


def test_a_value_of_most_rows_leaves_the_others_their_pieces() -> None:
    """Of a number that is 0 in nine rows of ten, and from 1 to 100 in the others, half of the pieces and more lie among those."""
    inputs = column(*[0.0] * 900, *range(1, 101))
    pieces = Pieces.fit(inputs, piece_counts(inputs))
    assert pieces.counts[0] > PIECES // 2
    assert pieces.low.tolist()[0] == 0
    assert max(pieces.width.tolist()) < 20


def test_other_rows_get_as_many_pieces() -> None:
    """A fold whose column has fewer values than the first one's gets pieces between them, none outside."""
    pieces = Pieces.fit(column(0, 0, 4, 8), (4,))
    assert pieces.low.tolist() == [0, 2, 4, 6]
    assert (pieces.low + pieces.width).tolist() == [2, 4, 6, 8]


def test_many_inputs_share_the_pieces() -> None:
    """All inputs together have at most `MOST_PIECES`; where each would have too few, none has any."""
    generator = torch.Generator().manual_seed(0)
    for inputs, each in ((MOST_PIECES // PIECES, PIECES), (256, 8), (MOST_PIECES // FEWEST_PIECES + 1, 0)):
        assert {*piece_counts(torch.randn(64, inputs, generator=generator))} == {each}


def test_each_fold_has_intervals_of_its_own_rows() -> None:
    """Folds have as many pieces of each input, between quantiles of their own training rows, and never one of no width."""
    data = folded().with_pieces()
    assert data.pieces is not None
    assert data.piece_counts[0] == PIECES
    assert data.piece_counts[2] == 0
    lows = []
    for fold in data.folds:
        assert fold.pieces is not None
        assert fold.pieces.counts == data.piece_counts
        assert float(fold.pieces.width.min()) >= NARROWEST * 0.999
        lows.append(float(fold.pieces.low[0]))
        assert lows[-1] == pytest.approx(float(fold.training.inputs[:, 0].min()))
    assert len({*lows}) > 1
    assert torch.equal(data.pieces.low, data.folds[0].pieces.low)  # type: ignore[union-attr]


def test_the_networks_first_part_encodes_as_training_did() -> None:
    """What `PiecewiseLinear` makes of inputs are the training rows that the layers saw, bit for bit, in both precisions."""
    for dtype in (torch.float32, torch.float64):
        data = folded().with_pieces().to("cpu", dtype)
        architecture = Architecture(data.inputs, (4,), 1, pieces=data.piece_counts)
        seen = data.encoded_for(architecture)
        assert seen.training.inputs.shape == (len(data.training), architecture.sizes[0])
        assert data.pieces is not None
        encoding = PiecewiseLinear(data.piece_counts).to(dtype)
        encoding.load_state_dict({"low": data.pieces.low, "width": data.pieces.width})
        assert torch.equal(encoding(data.training.inputs), seen.training.inputs)
        assert torch.equal(encoding(data.validation.inputs), seen.validation.inputs)


def test_truth_values_alone_have_no_pieces() -> None:
    """Data that have nothing to divide keep their inputs: a network of either encoding is the same one."""
    generator = np.random.default_rng(2)
    data = from_arrays(generator.integers(0, 2, size=(40, 3)), generator.integers(0, 2, 40)).with_pieces()
    standard = Architecture(data.inputs, (4,), 1)
    assert replace(standard, pieces=data.piece_counts) == standard
    assert data.encoded_for(standard) is data


def test_images_have_no_pieces() -> None:
    """Pixels are no numbers of a table: a space with both encodings trains on them as they are, one with pieces alone is refused."""
    generator = np.random.default_rng(2)
    images = from_arrays(generator.normal(size=(40, 1, 4, 4)), generator.integers(0, 2, 40))
    both, alone = (
        SearchSpace({"number_encoding": Choice(names)}) for names in (("standard", "piecewise"), ("piecewise",))
    )
    assert with_pieces(images, both).piece_counts == ()
    with pytest.raises(UserError, match=r"an image of \(1, 4, 4\)\. Leave it out\."):
        with_pieces(images, alone)
