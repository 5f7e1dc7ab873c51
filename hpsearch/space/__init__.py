"""The search space: which hyperparameters there are, how each may vary, and the way from sampled values to a `TrialSpec`.

`HYPERPARAMETERS` is the literal table of what may stand in a study's `[space]`; a `SearchSpace` holds one domain for each. Nothing
here imports Optuna: a space asks any object with `suggest_float`, `suggest_int` and `suggest_categorical` (an Optuna trial).

Parameters that every trial has come first and are sampled together; those that exist only under a condition (momentum only where
the optimizer has it, the width of layer 3 only in networks that deep) follow.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.errors import UserError
from hpsearch.space.hyperparameters import (
    COEFFICIENTS,
    HYPERPARAMETERS,
    NETWORK,
    Choice,
    Domain,
    Integer,
    Real,
    Suggests,
    Value,
)
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.trial import Architecture, Budget, TrialSpec, derive_seed

Choose = Callable[[str, Domain], Any]  # from the name of a parameter and its domain to its value

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
        return self._values(lambda name, domain: domain.suggest(trial, name), custom_network)

    def defaults(self, custom_network: bool = False) -> dict[str, Any]:
        """Return the known-good values nearest to the space's own: the parameters of a search's first trial."""
        return self._values(self._known_good, custom_network)

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
        if self._is_point(first):
            yield first
        for point in self._points():
            if point != first:
                yield point

    def _values(self, choose: Choose, custom_network: bool = False) -> dict[str, Any]:
        """Return a value for each hyperparameter, those that vary as `choose` has them."""
        values: dict[str, Any] = {}
        for name, domain in self._parameters(values, custom_network):
            values[name] = choose(name, domain)
        return values

    def _parameters(self, values: Mapping[str, Any], custom_network: bool = False) -> Iterator[tuple[str, Domain]]:
        """Yield the parameters with their domains; before the next one is asked for, `values` has to have that of the last one.

        Parameters that every trial has come first, then those that depend on them. A network of the user's own has none of `NETWORK`.
        """
        left_out = {*COEFFICIENTS}
        if custom_network:
            left_out |= {*NETWORK}
        if self.per_layer:
            left_out.add("width")
        for name in HYPERPARAMETERS:
            if name == "learning_rate" and name not in self.domains:
                yield name, Choice((OPTIMIZERS[values["optimizer"]].learning_rate,))
            elif name not in left_out:
                yield name, self.domain(name)
        for name in OPTIMIZERS[values["optimizer"]].coefficients:
            if name in self.domains:
                yield name, self.domains[name]
        if self.per_layer and not custom_network:
            for layer in range(1, int(values["depth"]) + 1):
                yield f"width_{layer}", self.domain("width")

    def _known_good(self, name: str, domain: Domain) -> Value:
        """Return the value of a domain that is nearest to the default of its hyperparameter, or of the optimizer for it."""
        row = _row(name)
        optimizer = OPTIMIZERS[str(self.domain("optimizer").nearest(HYPERPARAMETERS["optimizer"].default))]
        if row == "learning_rate":
            return domain.nearest(optimizer.learning_rate)
        return domain.nearest(optimizer.coefficients.get(row, HYPERPARAMETERS[row].default))

    def _is_point(self, values: Mapping[str, Any]) -> bool:
        """Whether values lie on the grid."""
        varied = {name: value for name, value in values.items() if _row(name) in self.domains}
        return all(value in self.domains[_row(name)].points() for name, value in varied.items())

    def _points(self) -> Iterator[dict[str, Any]]:
        """Walk the tree of choices depth first: where a value is not chosen yet, the walk branches into all points of its domain."""
        branches: list[Iterator[dict[str, Any]]] = [iter([{}])]
        while branches:
            chosen = next(branches[-1], None)
            if chosen is None:
                branches.pop()
                continue
            undecided = (parameter for parameter in self._parameters(chosen) if parameter[0] not in chosen)
            parameter = next(undecided, None)
            if parameter is None:
                yield chosen
            else:
                branches.append(_extended(chosen, *parameter))

    def specification(
        self, values: Mapping[str, Any], *, number: int, seed: int, budget: Budget, inputs: int, outputs: int, rows: int
    ) -> TrialSpec:
        """Return the trial of these values (as `suggest` gave them) on a data set of so many inputs, outputs, training rows.

        A batch size above the rows is the full batch.
        """
        batch_size = rows
        if values["batch_size"] != "full":
            batch_size = min(int(values["batch_size"]), rows)
        architecture = None
        if "depth" in values:
            form = (values["activation"], float(values["dropout"]), values["initialization"])
            architecture = Architecture(inputs, _widths(values), outputs, *form)
        return TrialSpec(
            number=number,
            seed=derive_seed(seed, "trial", number),
            order_seed=seed,
            architecture=architecture,
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
        depth = _largest(self.domain("depth"))
        width = _largest(self.domain("width"))
        return Architecture(inputs, (width,) * depth, outputs).parameters

    def plain(self) -> dict[str, Any]:
        """Return the space as a study's file writes it."""
        plain = {name: domain.plain() for name, domain in self.domains.items()}
        if self.per_layer:
            width = self.domains["width"]
            table = width.plain()
            if isinstance(width, Choice):
                table = {"values": list(width.values)}
            plain["width"] = {**table, "per_layer": True}
        return plain


def _extended(chosen: Mapping[str, Any], name: str, domain: Domain) -> Iterator[dict[str, Any]]:
    for value in domain.points():
        yield {**chosen, name: value}


def _largest(domain: Domain) -> int:
    if isinstance(domain, Choice):
        return max(int(value) for value in domain.values)
    return int(domain.high)


def _row(name: str) -> str:
    """Return the hyperparameter of a parameter: that of `width_3` is `width`."""
    return "width" if name.startswith("width_") else name


def _widths(values: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the units of each hidden layer: of its own, or tapered from the first one's."""
    depth = int(values["depth"])
    if "width" not in values:
        return tuple(values[f"width_{layer}"] for layer in range(1, depth + 1))
    widths = []
    width = values["width"]
    for _ in range(depth):
        widths.append(max(1, round(width)))
        width = min(width * values["taper"], HYPERPARAMETERS["width"].high)
    return tuple(widths)
