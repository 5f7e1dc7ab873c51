"""The search space: which hyperparameters there are, how each may vary, and the way from sampled values to a `TrialSpec`.

`HYPERPARAMETERS` is the literal table of what may stand in a study's `[space]`; a `SearchSpace` holds one domain for each. Nothing
here imports Optuna: a space asks any object with `suggest_float`, `suggest_int` and `suggest_categorical` (an Optuna trial).

Parameters that every trial has come first and are sampled together; those that exist only under a condition (momentum only where
the optimizer has it, the width of layer 3 only in networks that deep) follow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any

from hpsearch.errors import UserError
from hpsearch.space.answers import Answers, MissingError, fixed
from hpsearch.space.domains import Choice, Domain, Integer, Real, Suggests, Value
from hpsearch.space.hyperparameters import COEFFICIENTS, HYPERPARAMETERS, NETWORK
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.trial import Architecture, Budget, TrialSpec, derive_seed

__all__ = ["HYPERPARAMETERS", "Choice", "Domain", "Integer", "Real", "SearchSpace"]


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """One domain for each hyperparameter that the study names; the others have their defaults.

    `per_layer` gives every hidden layer a width of its own, as parameters `width_1`, `width_2`, ...
    """

    domains: Mapping[str, Domain]
    per_layer: bool = False

    def domain(self, name: str) -> Domain:
        """Return the domain of a hyperparameter."""
        return self.domains.get(name) or Choice((HYPERPARAMETERS[name].default,))

    def suggest(self, trial: Suggests, custom_network: bool = False) -> dict[str, Any]:
        """Return a value for each hyperparameter, asking the trial for those that vary."""
        left_out = {*(NETWORK if custom_network else ()), *(("width",) if self.per_layer else ())}
        values = {
            name: self.domain(name).suggest(trial, name)
            for name in HYPERPARAMETERS
            if name not in COEFFICIENTS and name not in left_out
        }
        optimizer = OPTIMIZERS[str(values["optimizer"])]
        if "learning_rate" not in self.domains:
            values["learning_rate"] = optimizer.learning_rate
        for name in optimizer.coefficients:
            if name in self.domains:
                values[name] = self.domains[name].suggest(trial, name)
        if self.per_layer and not custom_network:
            layers = [f"width_{layer}" for layer in range(1, int(values["depth"]) + 1)]
            values |= {name: self.domain("width").suggest(trial, name) for name in layers}
        return values

    def defaults(self) -> dict[str, Any]:
        """Return the known-good values nearest to the space's own: the parameters of a search's first trial."""
        return self.suggest(Answers(self._known_good))

    def _known_good(self, name: str) -> Value:
        row = _row(name)
        optimizer = OPTIMIZERS[str(self.domain("optimizer").nearest(HYPERPARAMETERS["optimizer"].default))]
        default = optimizer.coefficients.get(row, HYPERPARAMETERS[row].default)
        return self.domain(row).nearest(optimizer.learning_rate if row == "learning_rate" else default)

    def grid(self) -> Iterator[dict[str, Any]]:
        """Yield the parameters of every point of the grid, the known-good one (where the grid has it) first.

        Raises:
            UserError: a range has no stated number of points.
        """
        ranges = [name for name, domain in self.domains.items() if not domain.points()]
        if ranges:
            raise UserError(
                f"space.{', '.join(ranges)}: a grid needs points. Give a list of values, or the number of points, "
                f"for example --set {ranges[0]}.grid=5, or choose another sampler."
            )
        first = self.defaults()
        if all(
            value in self.domain(_row(name)).points() for name, value in first.items() if _row(name) in self.domains
        ):
            yield first
        yield from (point for point in self._points() if point != first)

    def _points(self) -> Iterator[dict[str, Any]]:
        """Walk the tree of suggestions depth first: where a value is asked for and not chosen yet, it branches into all points."""
        branches: list[Iterator[dict[str, Any]]] = [iter([{}])]
        while branches:
            if (chosen := next(branches[-1], None)) is None:
                branches.pop()
                continue
            try:
                yield self.suggest(fixed(chosen))
            except MissingError as missing:
                branches.append(self._grown(chosen, missing.name))

    def _grown(self, chosen: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
        yield from ({**chosen, name: value} for value in self.domain(_row(name)).points())

    def specification(
        self, values: Mapping[str, Any], *, number: int, seed: int, budget: Budget, inputs: int, outputs: int, rows: int
    ) -> TrialSpec:
        """Return the trial of these values (as `suggest` gave them) on a data set of so many inputs, outputs, training rows.

        A batch size above the rows is the full batch.
        """
        batch_size = rows if values["batch_size"] == "full" else min(int(values["batch_size"]), rows)
        return TrialSpec(
            number=number,
            seed=derive_seed(seed, "trial", number),
            order_seed=seed,
            architecture=_architecture(values, inputs, outputs) if "depth" in values else None,
            optimizer=values["optimizer"],
            learning_rate=float(values["learning_rate"]),
            batch_size=batch_size,
            evaluate_at=budget.evaluate_at(batch_size, rows),
            coefficients={name: float(values[name]) for name in COEFFICIENTS if name in values},
            weight_decay=float(values["weight_decay"]),
            schedule=values["schedule"],
            rungs=budget.rungs,
            patience=budget.patience,
        )

    def largest(self, inputs: int, outputs: int) -> int:
        """Return the parameters of the largest network of the space, tapers aside."""
        depth, width = (max(_numbers(self.domain(name))) for name in ("depth", "width"))
        return Architecture(inputs, (width,) * depth, outputs).parameters

    def plain(self) -> dict[str, Any]:
        """Return the space as a study's file writes it."""
        plain = {name: domain.plain() for name, domain in self.domains.items()}
        if self.per_layer:
            width = (
                plain["width"] if isinstance(plain["width"], dict) else {"values": list(self.domains["width"].points())}
            )
            plain["width"] = {**width, "per_layer": True}
        return plain


def _numbers(domain: Domain) -> list[int]:
    """Return the whole numbers among which a domain's largest is."""
    return [int(value) for value in (domain.values if isinstance(domain, Choice) else (domain.high,))]


def _row(name: str) -> str:
    """Return the hyperparameter of a parameter: that of `width_3` is `width`."""
    return "width" if name.startswith("width_") else name


def _architecture(values: Mapping[str, Any], inputs: int, outputs: int) -> Architecture:
    depth = values["depth"]
    if "width" in values:
        most = HYPERPARAMETERS["width"].high
        tapered = accumulate(
            repeat(values["taper"], depth), lambda width, taper: min(width * taper, most), initial=values["width"]
        )
        widths = tuple(max(1, round(width)) for width in tapered)[:depth]
    else:
        widths = tuple(values[f"width_{layer}"] for layer in range(1, depth + 1))
    return Architecture(
        inputs, widths, outputs, values["activation"], float(values["dropout"]), values["initialization"]
    )
