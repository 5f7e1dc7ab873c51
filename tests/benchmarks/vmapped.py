"""JAX's way to train many trials: `vmap` over the trials, `scan` over the updates, one compiled call for a whole run.

The same networks, initial weights, batches and optimizers as ours (the formula of `optimizers.Update`, of which terms that are zero
are left out), equal architectures only. Programs are compiled before the clock starts, and kept.

Shapes: T trials, B rows of a batch, F inputs.
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np
import torch

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # or JAX takes most of a GPU's memory when it starts
import jax
import jax.numpy as jnp

from hpsearch.data import Data
from hpsearch.training import draws
from hpsearch.training.optimizers import OPTIMIZERS, Update
from hpsearch.training.schedules import step_table
from hpsearch.trial import TrialSpec
from tests.benchmarks.machine import clock

ready: Callable[[Any], Any] = jax.block_until_ready  # JAX computes while Python goes on

Layers = list[tuple[Any, Any]]  # weight [inputs, units] and bias [units] of each; a leading [T] outside of `vmap`


class State(NamedTuple):
    """What an update changes; a moment that the optimizer has not is None."""

    weights: Layers
    first: Layers | None
    second: Layers | None


def train(specs: Sequence[TrialSpec], data: Data) -> tuple[float, Layers]:
    """Train trials that differ in their seeds only; return the seconds and the weights [T, inputs, units], [T, units]."""
    device, here = _device(data), data.training.inputs.device
    rule = OPTIMIZERS[specs[0].optimizer].update(specs[0].coefficients)
    with jax.default_device(device), jax.default_matmul_precision("float32"):
        arguments = jax.device_put(
            (_state(specs, rule, data), _rows(data), _order(specs[0], data), _steps(specs[0], data))
        )
        program = _program(rule, arguments)
        ready(arguments)
        start = clock(here)
        state, losses = ready(program(*arguments))
        seconds = clock(here) - start
    assert bool(jnp.isfinite(losses).all()), "a trial diverged"
    return seconds, state.weights


def _device(data: Data) -> Any:
    device = data.training.inputs.device
    return jax.devices("gpu")[device.index or 0] if device.type == "cuda" else jax.devices("cpu")[0]


def _rows(data: Data) -> tuple[Any, Any]:
    """Return inputs [N, F] and labels [N] where they are, without a copy where JAX can do so."""
    labels = data.training.targets.to(torch.int32)
    return jnp.from_dlpack(data.training.inputs), jnp.from_dlpack(labels)


def _order(spec: TrialSpec, data: Data) -> Any:
    """Return the rows of every batch [updates, B]; [updates, 0] for the full batch, which is the rows as they lie."""
    rows, size = len(data.training), spec.batch_size
    per_pass = rows // size
    if size == rows:
        return np.zeros((spec.updates, 0), np.int32)
    passes = [draws.batch_order(spec.order_seed, size, p, rows) for p in range(-(-spec.updates // per_pass))]
    order = torch.cat([rows[: per_pass * size] for rows in passes])
    return order.reshape(-1, size)[: spec.updates].to(torch.int32).numpy()


def _steps(spec: TrialSpec, data: Data) -> Any:
    """Return `step`, `scale` and `shrink` [updates, 3]."""
    return step_table(spec, 0, spec.updates).astype(_type(data))


def _state(specs: Sequence[TrialSpec], rule: Update, data: Data) -> State:
    drawn = []  # [T] of layers
    for spec in specs:
        assert spec.architecture is not None
        drawn.append([weight.t().numpy() for weight in draws.initial_weights(spec.architecture, spec.seed)])
    weights: Layers = [
        (np.stack(layer).astype(_type(data)), np.zeros((len(specs), layer[0].shape[1]), _type(data)))
        for layer in zip(*drawn, strict=True)
    ]
    zeros = jax.tree.map(np.zeros_like, weights)
    return State(weights, zeros if rule.first else None, zeros if rule.second else None)


def _type(data: Data) -> Any:
    return np.float64 if data.training.inputs.dtype == torch.float64 else np.float32


def _program(rule: Update, arguments: Any) -> Any:
    leaves, tree = jax.tree.flatten(arguments)
    return _compiled(rule, tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves))


@lru_cache(maxsize=256)
def _compiled(rule: Update, tree: Any, shapes: tuple[Any, ...]) -> Any:
    """Return the compiled program for arguments of these shapes and types."""
    abstract = jax.tree.unflatten(tree, starmap(jax.ShapeDtypeStruct, shapes))
    return jax.jit(partial(_train, rule)).lower(*abstract).compile()


def _train(rule: Update, state: State, rows: Any, order: Any, steps: Any) -> Any:
    """Return the state after all updates, and the losses [updates, T]."""
    update = jax.vmap(partial(_update, rule), in_axes=(0, None, None, None))

    def scanned(state: State, now: Any) -> Any:
        chosen, step = now  # [B], [3]
        inputs, labels = jax.tree.map(lambda whole: whole[chosen], rows) if chosen.size else rows
        return update(state, inputs, labels, step)

    return jax.lax.scan(scanned, state, (order, steps))


def _update(rule: Update, state: State, inputs: Any, labels: Any, steps: Any) -> tuple[State, Any]:
    """Return one trial's state after an update, and its loss before."""
    loss, slopes = jax.value_and_grad(_loss)(state.weights, inputs, labels)
    step, scale, shrink = steps
    first, second = state.first, state.second
    if first is not None:
        first = jax.tree.map(lambda m, g: rule.first_keep * m + rule.first_take * g, first, slopes)
    if second is not None:
        second = jax.tree.map(lambda v, g: rule.second_keep * v + rule.second_take * g * g, second, slopes)

    def moved(weight: Any, slope: Any, m: Any, v: Any) -> Any:
        change = (rule.direct * slope if rule.direct else 0) + (rule.through * m if rule.first else 0)
        change = change / (jnp.sqrt(v) * scale + rule.epsilon) if rule.second else change
        return (shrink * weight if rule.decoupled else weight) - step * change

    weights = jax.tree.map(moved, state.weights, slopes, first or slopes, second or slopes)
    return State(weights, first, second), loss


def _loss(layers: Layers, inputs: Any, labels: Any) -> Any:
    """Return the mean cross-entropy of a network with relu between its layers."""
    hidden = inputs  # [B, F]
    for weight, bias in layers[:-1]:
        hidden = jax.nn.relu(hidden @ weight + bias)
    weight, bias = layers[-1]
    logits = hidden @ weight + bias  # [B, C]
    chosen = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen)
