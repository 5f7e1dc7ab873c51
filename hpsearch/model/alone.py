"""The single network of a model that is an ensemble: its first, which the ensemble was judged against."""

from dataclasses import replace

from hpsearch.model.saved import Model


def alone(model: Model) -> Model:
    """Return a model's first network as a model; its metrics are what is known of that network alone. One network is itself."""
    if len(model.members) == 1:
        return model
    known = {
        name: model.metrics[name]
        for name in ("metric", "direction", "search", "fresh", "choice")
        if name in model.metrics
    }
    first = model.members[0]
    provenance = {**model.provenance, "trials": [first.trial]}
    return replace(model, members=(first,), metrics=known, provenance=provenance)
