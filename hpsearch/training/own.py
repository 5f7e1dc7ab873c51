"""Networks, losses and metrics of the user's own: how they are made, checked and trained. They train in the reference engine.

torch, NumPy and Python have one random state each, shared by all threads, and a user's network draws from them: initial weights, dropout.
So one such network trains at a time; its trial's seed sets the states, and they are put back when it ends.

What is checked: that the outputs are the task's; that every tensor which the loss gives a gradient is one that `parameters()` lists, since
no other is ever trained; that no weight was trained by an earlier trial or fold; that the weights are all that a new network needs to give
the same outputs. An error that hyperparameters can cause (`ERRORS`) is the trial's outcome; any other is raised.
"""

import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError, shortened
from hpsearch.training.devices import out_of_memory
from hpsearch.training.network import refuse_hidden_parameters
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec

Build = Callable[[Any, tuple[int, ...], int], nn.Module]  # trial, shape of an input, outputs
ERRORS = (ArithmeticError, AssertionError, RuntimeError, ValueError)
MARK = "_hpsearch_trained"  # attribute of a weight: who trained it
NO_GRADIENT = "no gradient reached"  # begins the detail of a run with such parameters
LONGEST_ERROR = 200  # characters
EVALUATED = 8192  # validation rows at a time
SAME_LOSS = 1e-3  # up to rounding


class OwnCodeFailed(Exception):
    """Code of the user's own raised an error that may lie in the trial's hyperparameters."""


class _OneAtATime:
    """The lock of the random states; a forked child gets a new one, since the thread that held the old one is not there."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.RLock()


_RANDOM = _OneAtATime()


@dataclass(frozen=True, slots=True, eq=False)
class OwnNetwork:
    """How a trial's network is made: `build(trial, shape, outputs)`, the trial being asked for hyperparameters; `rows` are two inputs."""

    build: Build
    trial: Any
    shape: tuple[int, ...]
    outputs: int
    rows: Tensor  # [2, *shape], float32 on the CPU

    @property
    def label(self) -> str:
        """The text by which people know what makes it."""
        return (
            f"{getattr(self.build, '__module__', '')}:{getattr(self.build, '__qualname__', type(self.build).__name__)}"
        )

    @classmethod
    def of(cls, build: Build, trial: Any, data: Data) -> "OwnNetwork":
        """Return how a trial's network for these data is made."""
        rows = data.training.inputs[:2].cpu().float()
        return cls(build, trial, data.shape, data.outputs, rows.reshape(len(rows), *data.shape))

    def __call__(self) -> nn.Module:
        """Make the network.

        Raises:
            UserError: it is none, hides its parameters from torch, or has other outputs.
        """
        network = self.build(self.trial, self.shape, self.outputs)
        if not isinstance(network, nn.Module):
            raise UserError(f"build returned a {type(network).__name__}; expected a torch.nn.Module.")
        refuse_hidden_parameters(network)
        self._check_outputs(network)
        return network

    def _check_outputs(self, network: nn.Module) -> None:
        modes = {module: module.training for module in network.modules()}
        with torch.no_grad():
            outputs = network.float().eval()(self.rows)
        for module, mode in modes.items():
            module.training = mode
        name = type(network).__name__
        if not isinstance(outputs, Tensor):
            raise UserError(
                f"{name} returns a {type(outputs).__name__}; expected one tensor {self._expected}: raw outputs, one row each."
            )
        if tuple(outputs.shape) != self._expected:
            given = f"{name} maps {len(self.rows)} inputs of shape {self.shape} to {tuple(outputs.shape)}"
            raise UserError(f"{given}; expected {self._expected}: raw outputs, one row each.")

    @property
    def _expected(self) -> tuple[int, int]:
        return len(self.rows), self.outputs


@contextmanager
def own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the random states of torch, NumPy and Python, for this thread alone, and put them back at the end."""
    devices = [device] if device.type == "cuda" else []
    with _RANDOM.lock, torch.random.fork_rng(devices):
        python_state = random.getstate()
        numpy_state = np.random.get_state()
        _seed(seed, device)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def _seed(seed: int, device: torch.device) -> None:
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    if device.type == "mps":
        torch.mps.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextmanager
def own_errors(spec: TrialSpec, data: Data) -> Iterator[None]:
    """Raise an error of code of the user's own as `OwnCodeFailed`, where the trial has any; exhausted memory stays what it is.

    Raises:
        OwnCodeFailed: see `ERRORS`.
    """
    if spec.network is None and not data.has_own_functions:
        yield
        return
    try:
        yield
    except UserError:
        raise
    except ERRORS as error:
        if out_of_memory(error):
            raise
        text = " ".join(str(error).split()) or "no message"
        raise OwnCodeFailed(f"{type(error).__name__}: {shortened(text, LONGEST_ERROR)}") from error


def failed_run(spec: TrialSpec, error: OwnCodeFailed) -> TrainingRun:
    """Return the run of a trial whose own code raised an error."""
    return TrainingRun(spec.number, Outcome.ERROR, History(), detail=str(error))


# ------------------------------------------------------------------ weights of another trial


def refuse_trained(network: nn.Module) -> None:
    """Refuse a network with weights that another trial or fold trained: it would go on from there.

    Raises:
        UserError: names the first weight.
    """
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and hasattr(parameter, MARK):
            _refuse(network, name)
    for name, buffer in network.named_buffers():
        if getattr(buffer, MARK, buffer._version) != buffer._version:
            _refuse(network, name)


def _refuse(network: nn.Module, name: str) -> None:
    raise UserError(
        f"build returned a {type(network).__name__} whose {name} another trial or fold has trained already, so this one would go on from "
        "there. Make the network inside build, or return copy.deepcopy(network)."
    )


def mark_trained(network: nn.Module) -> None:
    """Mark weights before they are trained; a frozen weight, which may be shared, is not."""
    for parameter in network.parameters():
        if parameter.requires_grad:
            setattr(parameter, MARK, True)
    for buffer in network.buffers():
        setattr(buffer, MARK, buffer._version)


# ------------------------------------------------------------------ what no weight keeps


def refuse_unsaved(spec: TrialSpec, data: Data, run: TrainingRun) -> None:
    """Refuse a run whose weights, in a network that is made anew, give another validation loss: a saved model would predict otherwise.

    A network that draws when it is evaluated gives another loss each time, and is left alone.

    Raises:
        UserError: the network keeps something that is neither a parameter nor a buffer.
    """
    if run.weights is None or run.loss is None:
        return
    device = data.training.inputs.device
    with own_random_state(spec.seed, device):
        assert spec.network is not None, "a run of a network of the user's own"
        network = spec.network()
        network.load_state_dict(dict(run.weights))
        network.to(device, data.training.inputs.dtype).eval()
        losses = [_validation_loss(network, data) for _ in range(2)]
    draws_when_evaluated = losses[0] != losses[1]
    if draws_when_evaluated or isclose(losses[0], run.loss, rel_tol=SAME_LOSS, abs_tol=SAME_LOSS):
        return
    raise UserError(
        f"the weights of {type(network).__name__}, in a new network that build makes, give the validation loss {losses[0]:.4g}; "
        f"in training it was {run.loss:.4g}. So the network keeps something that is not saved with its weights, a tensor that is a plain "
        "attribute for example. Make it a buffer: self.register_buffer(NAME, tensor)."
    )


def _validation_loss(network: nn.Module, data: Data) -> float:
    rows = data.validation
    with torch.no_grad():
        parts = torch.split(rows.inputs, EVALUATED)
        outputs = torch.cat([network(part.reshape(-1, *data.shape)) for part in parts])
    return data.score(outputs, rows)[0]


# ------------------------------------------------------------------ weights that the optimizer does not know


def refuse_unlisted(loss: Tensor, network: nn.Module, rows: Tensor, trained: Iterable[Tensor]) -> None:
    """Refuse a loss that gives a gradient to a tensor which is not `trained` by the optimizer; the inputs `rows` may have one.

    Raises:
        UserError: names the tensor where an attribute leads to it.
    """
    name = type(network).__name__
    if loss.grad_fn is None:
        raise UserError(f"the loss of {name} depends on no parameter, so nothing can be trained. Look for a detach().")
    known = {id(parameter) for parameter in trained}
    own = rows.untyped_storage().data_ptr()
    for leaf in _leaves(loss):
        if id(leaf) not in known and leaf.untyped_storage().data_ptr() != own:
            where = _path(network, leaf, DEEPEST, set())
            what = f"{name}{where}"
            if not where:
                what = f"in {name} a tensor that no attribute leads to"
            lists = "does not list it"
            if any(leaf is parameter for parameter in network.parameters()):
                lists = "did not list it when the training began"
            raise UserError(
                f"{what} ({list(leaf.shape)}) has a gradient, but parameters() {lists}: the optimizer would never train it. "
                "Make its module an attribute (of several, an nn.ModuleList), or call requires_grad_(False) on it."
            )


def _leaves(loss: Tensor) -> Iterator[Tensor]:
    """Yield the tensors that `backward` gives a gradient."""
    waiting = [loss.grad_fn]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        waiting += [before for before, _ in node.next_functions]


DEEPEST = 6  # attributes on the way to a tensor


def _path(owner: object, tensor: Tensor, depth: int, seen: set[int]) -> str:
    """Return how attributes of an object lead to a tensor, as `.box.layer.weight`; empty where none do."""
    seen.add(id(owner))
    for step, value in _held(owner):
        if value is tensor:
            return step
        if depth == 0 or id(value) in seen or isinstance(value, Tensor | str | int | float | type):
            continue
        if found := _path(value, tensor, depth - 1, seen):
            return step + found
    return ""


def _held(owner: object) -> Iterator[tuple[str, object]]:
    """Yield what an object holds: members, attributes, items, and what a function has enclosed."""
    if isinstance(owner, nn.Module):
        for held in (owner._parameters, owner._buffers, owner._modules):
            yield from ((f".{name}", value) for name, value in held.items())
    if isinstance(owner, dict):
        yield from ((f"[{key!r}]", value) for key, value in owner.items())
    elif isinstance(owner, list | tuple | set | frozenset):
        yield from (("[…]", value) for value in owner)
    elif code := getattr(owner, "__code__", None):
        cells = getattr(owner, "__closure__", None) or ()
        yield from zip((f".{name}" for name in code.co_freevars), (_content(cell) for cell in cells), strict=False)
    elif hasattr(owner, "__dict__"):
        yield from ((f".{name}", value) for name, value in vars(owner).items() if name not in TORCH_HELD)


TORCH_HELD = ("_parameters", "_buffers", "_modules")


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # an empty cell
        return None
