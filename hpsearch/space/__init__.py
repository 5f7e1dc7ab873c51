"""The search space: which hyperparameters there are, how each may vary, and the way from sampled values to a `TrialSpec`.

`HYPERPARAMETERS` is the literal table of what may stand in a study's `[space]`; a `SearchSpace` holds one domain for each. Nothing
here imports Optuna: a space asks any object with `suggest_float`, `suggest_int` and `suggest_categorical` (an Optuna trial).

Parameters that every trial has come first and are sampled together; those that exist only under a condition (momentum only where
the optimizer has it, the width of layer 3 only in networks that deep, a learning rate of the optimizer's own) follow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
from hpsearch.trial import PIECEWISE, Architecture, Budget, TrialSpec, derive_seed

OWN_RATE = "learning_rate_"  # and an optimizer: the parameter where it has a range of its own

__all__ = ["HYPERPARAMETERS", "Choice", "Domain", "Integer", "Real", "SearchSpace"]


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """One domain for each hyperparameter that the study names; the others have their defaults.

    `per_layer` gives every hidden layer a width of its own, as parameters `width_1`, `width_2`, ... `rates` are the learning rates of
    optimizers that have a domain of their own, by optimizer; their parameters are `learning_rate_sgd`, ...
    """

    domains: Mapping[str, Domain]
    per_layer: bool = False
    rates: Mapping[str, Domain] = field(default_factory=dict)

    @property
    def by_key(self) -> dict[str, Domain]:
        """Every domain by its key in `[space]`; an optimizer's own learning rate has the key `learning_rate.sgd`."""
        return {**self.domains, **{f"learning_rate.{optimizer}": domain for optimizer, domain in self.rates.items()}}

    def domain(self, name: str) -> Domain:
        """Return the domain of a hyperparameter."""
        return self.domains.get(name) or Choice((HYPERPARAMETERS[name].default,))

    def suggest(self, trial: Suggests, custom_network: bool = False) -> dict[str, Any]:
        """Return a value for each hyperparameter, asking the trial for those that vary."""
        values: dict[str, Any] = {}
        for name, domain in self.parameters(values, custom_network):
            values[name] = domain.suggest(trial, name)
        return values

    def defaults(self, custom_network: bool = False) -> dict[str, Any]:
        """Return the known-good values nearest to the space's own: the parameters of a search's first trial."""
        return self.completed({}, custom_network)

    def completed(self, given: Mapping[str, Any], custom_network: bool = False) -> dict[str, Any]:
        """Return the parameters of a trial with the given values, by parameter or hyperparameter; the others are the known-good ones."""
        values: dict[str, Any] = {}
        for name, domain in self.parameters(values, custom_network):
            value = given.get(name, given.get(row_of(name)))
            if value is None:
                value = self.known_good(name, domain, values)
            values[name] = value
        return values

    def grid(self) -> Iterator[dict[str, Any]]:
        """Yield the parameters of every point of the grid, the known-good one (where the grid has it) first.

        Raises:
            UserError: a range has no stated number of points.
        """
        ranges = [name for name, domain in self.by_key.items() if not domain.points()]
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

    def parameters(self, values: Mapping[str, Any], custom_network: bool = False) -> Iterator[tuple[str, Domain]]:
        """Yield the parameters with their domains; before the next one is asked for, `values` has to have that of the last one.

        Parameters that every trial has come first, then those that depend on them. A network of the user's own has none of `NETWORK`.
        """
        left_out = {*COEFFICIENTS, "learning_rate"}
        if custom_network:
            left_out |= {*NETWORK}
        if self.per_layer:
            left_out.add("width")
        for name in HYPERPARAMETERS:
            if name == "learning_rate" and str(values["optimizer"]) not in self.rates:
                yield name, self._shared_rate(str(values["optimizer"]))
            elif name not in left_out:
                yield name, self.domain(name)
        optimizer = str(values["optimizer"])
        if optimizer in self.rates:
            yield f"{OWN_RATE}{optimizer}", self.rates[optimizer]
        for name in OPTIMIZERS[optimizer].coefficients:
            if name in self.domains:
                yield name, self.domains[name]
        if self.per_layer and not custom_network:
            for layer in range(1, int(values["depth"]) + 1):
                yield f"width_{layer}", self.domain("width")

    def _shared_rate(self, optimizer: str) -> Domain:
        """Return the learning rate of an optimizer without a range of its own; where the study says none it is the known-good one."""
        return self.domains.get("learning_rate") or Choice((OPTIMIZERS[optimizer].learning_rate,))

    def known_good(self, name: str, domain: Domain, values: Mapping[str, Any]) -> Value:
        """Return the value of a domain that is nearest to the default of its hyperparameter, or of the optimizer in `values` for it."""
        row = row_of(name)
        optimizer = OPTIMIZERS[str(values.get("optimizer", HYPERPARAMETERS["optimizer"].default))]
        if row == "learning_rate":
            return domain.nearest(optimizer.learning_rate)
        return domain.nearest(optimizer.coefficients.get(row, HYPERPARAMETERS[row].default))

    def _is_point(self, values: Mapping[str, Any]) -> bool:
        """Whether values lie on the grid."""
        for name, domain in self.parameters(values):
            is_searched = name.startswith(OWN_RATE) or row_of(name) in self.domains
            if is_searched and values[name] not in domain.points():
                return False
        return True

    def _points(self) -> Iterator[dict[str, Any]]:
        """Walk the tree of choices depth first: where a value is not chosen yet, the walk branches into all points of its domain."""
        branches: list[Iterator[dict[str, Any]]] = [iter([{}])]
        while branches:
            chosen = next(branches[-1], None)
            if chosen is None:
                branches.pop()
                continue
            undecided = (parameter for parameter in self.parameters(chosen) if parameter[0] not in chosen)
            parameter = next(undecided, None)
            if parameter is None:
                yield chosen
            else:
                branches.append(_extended(chosen, *parameter))

    def specification(
        self,
        values: Mapping[str, Any],
        *,
        number: int,
        seed: int,
        budget: Budget,
        inputs: int,
        outputs: int,
        rows: int,
        pieces: tuple[int, ...] | None = None,
    ) -> TrialSpec:
        """Return the trial of these values (as `suggest` gave them) on a data set of so many inputs, outputs, training rows.

        A batch size above the rows is the full batch. `pieces` are those of each input, for networks whose encoding is piecewise.
        """
        batch_size = rows
        if values["batch_size"] != "full":
            batch_size = min(int(values["batch_size"]), rows)
        architecture = None
        if "depth" in values:
            seen: tuple[int, ...] = ()
            if values["number_encoding"] == PIECEWISE:
                assert pieces is not None, "data that were not prepared for their study"
                seen = pieces
            form = (values["activation"], float(values["dropout"]), values["initialization"], seen)
            architecture = Architecture(inputs, _widths(values), outputs, *form)
        return TrialSpec(
            number=number,
            seed=derive_seed(seed, "trial", number),
            order_seed=seed,
            architecture=architecture,
            optimizer=values["optimizer"],
            learning_rate=_learning_rate(values),
            batch_size=batch_size,
            evaluate_at=budget.evaluate_at(batch_size, rows),
            coefficients={name: float(values[name]) for name in COEFFICIENTS if name in values},
            weight_decay=float(values["weight_decay"]),
            label_smoothing=float(values["label_smoothing"]),
            schedule=values["schedule"],
            rungs=budget.rungs,
            patience=budget.patience,
            max_seconds=budget.max_seconds,
        )

    @property
    def has_pieces(self) -> bool:
        """Whether a network of the space may see pieces of a table's numbers."""
        return self.domain("number_encoding").has(PIECEWISE)

    @property
    def smooths_labels(self) -> bool:
        """Whether a trial of the space may smooth labels."""
        return self.domain("label_smoothing") != Choice((HYPERPARAMETERS["label_smoothing"].default,))

    def largest(self, inputs: int, outputs: int, pieces: tuple[int, ...] = ()) -> int:
        """Return the parameters of the largest network of the space, tapers aside."""
        depth = _largest(self.domain("depth"))
        width = _largest(self.domain("width"))
        return Architecture(inputs, (width,) * depth, outputs, pieces=pieces).parameters

    def plain(self) -> dict[str, Any]:
        """Return the space as a study's file writes it."""
        plain = {name: domain.plain() for name, domain in self.domains.items()}
        if self.per_layer:
            width = self.domains["width"]
            table = width.plain()
            if isinstance(width, Choice):
                table = {"values": list(width.values)}
            plain["width"] = {**table, "per_layer": True}
        if self.rates:
            plain["learning_rate"] = {**self._plain_shared_rate(), **self._plain_rates()}
        return plain

    def _plain_shared_rate(self) -> dict[str, Any]:
        shared = self.domains.get("learning_rate")
        if isinstance(shared, Choice):
            return {"values": list(shared.values)}
        return shared.plain() if shared else {}

    def _plain_rates(self) -> dict[str, Any]:
        return {optimizer: domain.plain() for optimizer, domain in self.rates.items()}


def _extended(chosen: Mapping[str, Any], name: str, domain: Domain) -> Iterator[dict[str, Any]]:
    for value in domain.points():
        yield {**chosen, name: value}


def _largest(domain: Domain) -> int:
    if isinstance(domain, Choice):
        return max(int(value) for value in domain.values)
    return int(domain.high)


def row_of(name: str) -> str:
    """Return the hyperparameter of a parameter: that of `width_3` is `width`, that of `learning_rate_sgd` is `learning_rate`."""
    if name.startswith(OWN_RATE):
        return "learning_rate"
    return "width" if name.startswith("width_") else name


def _learning_rate(values: Mapping[str, Any]) -> float:
    """Return the learning rate: the optimizer's own, or the one for all."""
    own = f"{OWN_RATE}{values['optimizer']}"
    return float(values[own] if own in values else values["learning_rate"])


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
