"""The single network of a model that is an ensemble: its first, which the ensemble was judged against."""

from dataclasses import replace
from pathlib import Path

from hpsearch.model.saved import Model, load_model
from hpsearch.storage.folders import SINGLE, model_folder


def alone(model: Model) -> Model:
    """Return a model's first network as a model; its metrics are what is known of that network alone. One network is itself."""
    if len(model.members) == 1:
        return model
    known = {name: model.metrics[name] for name in ("metric", "direction", "search", "fresh") if name in model.metrics}
    known |= {"single_of": len(model.members)}  # the choice between the two is the ensemble's, which is what is kept
    first = model.members[0]
    provenance = {**model.provenance, "trials": [first.trial]}
    return replace(model, members=(first,), metrics=known, provenance=provenance)


def model_named(study: str, reports: Path, name: str) -> Model:
    """Load a study's model by its name: "best", "single" (one network of the best), "refit" or "trial-N".

    Raises:
        UserError: there is no such study or model (which there are).
        StorageError: a file is missing or damaged.
    """
    folder = model_folder(study, reports, name)
    return alone(load_model(folder)) if name == SINGLE else load_model(folder, name)
