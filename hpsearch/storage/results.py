"""What a search's result says of the model that it keeps, whichever version of hpsearch wrote it.

Since `choice` is there, an ensemble is kept only where validation rows prefer it to the single network, `networks` are those of the
model that is kept, `test` is its figure alone, and `looks` counts every look at the test rows. An earlier version kept an ensemble
wherever one was asked for, had its test figure in `ensemble` beside the single network's in `test`, and counted the two as one of
its `scorings`. Plain values; standard library only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]
Named = Sequence[Sequence[int | None]]  # networks: the trial of each, and its fresh seed or None


def networks_of(result: Result) -> list[list[int | None]]:
    """Return the networks of the kept model, the single network first: trial and fresh seed of each; none without a result."""
    known = result.get("networks") or ([[result["trial"], result.get("seed")]] if "trial" in result else [])
    return [list(network) for network in known]


def test_of(result: Result) -> dict[str, Any]:
    """Return the figures of the kept model on the test rows, {} where there are none."""
    return dict((result.get("ensemble") or {}).get("test") or result.get("test") or {})


def test_before(result: Result, networks: Named) -> dict[str, Any] | None:
    """Return what the test rows said of these networks before; None where they never did, so that it takes another look."""
    known, asked = networks_of(result), [list(network) for network in networks]
    if known == asked:
        return test_of(result)
    alone = "choice" not in result and known[:1] == asked  # the earlier version scored it beside its ensemble
    return dict(result.get("test") or {}) if alone and asked else None


def looks(result: Result) -> int:
    """Return how often the test rows were looked at; what the earlier version counted once was twice where it scored an ensemble too."""
    if "looks" in result:
        return int(result["looks"])
    beside = bool((result.get("ensemble") or {}).get("test"))
    return int(result.get("scorings", bool(result.get("test")))) + beside


def mean_of(result: Result) -> dict[str, Any]:
    """Return the kept model's mean on validation rows over seeds that nobody chose, with `runs`, how many; {} where it is not known."""
    if len(networks_of(result)) > 1:
        choice = result.get("choice")
        return {**choice["ensemble"], "runs": choice["seeds"]} if choice else {}
    return dict(result.get("fresh") or {})
