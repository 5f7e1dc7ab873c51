"""The update for the GPU's kernel: the formula of `optimizers.Update` on a tile of weights, the coefficients being a trial's row."""

from hpsearch.training.compiled.triton_compiled import compiled, tl


@compiled
def read_rule(numbers: tl.tensor, steps: tl.tensor, first: tl.tensor, second: tl.tensor) -> tl.tuple:
    """Return a trial's rule: the coefficients [8] at `numbers`, step, scale and shrink at `steps`, which moments there are."""
    decay, first_keep, first_take = tl.load(numbers), tl.load(numbers + 1), tl.load(numbers + 2)
    second_keep, second_take = tl.load(numbers + 3), tl.load(numbers + 4)
    direct, through, epsilon = tl.load(numbers + 5), tl.load(numbers + 6), tl.load(numbers + 7)
    step, scale, shrink = tl.load(steps), tl.load(steps + 1), tl.load(steps + 2)
    moments = (first, first_keep, first_take, second, second_keep, second_take)
    return decay, moments, direct, through, epsilon, step, scale, shrink


@compiled
def update(
    state: tl.tuple,
    at: tl.tensor,
    to: tl.tensor,
    mask: tl.tensor,
    weight: tl.tensor,
    gradient: tl.tensor,
    rule: tl.tuple,
) -> None:
    """Update the weights and moments at offsets `to` from `at`, the weights being at hand.

    The barrier: a tile may be smaller than the block, so that several threads read a number, of whom one writes it.
    """
    decay, moments, direct, through, epsilon, step, scale, shrink = rule
    first, first_keep, first_take, second, second_keep, second_take = moments
    m = tl.load(state.first + at + to, mask=mask & first, other=0.0)
    v = tl.load(state.second + at + to, mask=mask & second, other=0.0)
    g = gradient + decay * weight
    m = tl.where(first, first_keep * m + first_take * g, 0.0)  # not 0 · g, which may be infinite
    v = tl.where(second, second_keep * v + second_take * g * g, 0.0)
    moved = (direct * g + through * m) / (tl.sqrt(v) * scale + epsilon)  # without a second moment epsilon is 1
    tl.debug_barrier()
    tl.store(state.first + at + to, m, mask=mask & first)
    tl.store(state.second + at + to, v, mask=mask & second)
    tl.store(state.weights + at + to, shrink * weight - step * moved, mask=mask)
