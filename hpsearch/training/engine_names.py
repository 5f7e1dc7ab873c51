"""The engines' names, one row each, free of torch, so that an option is checked before torch is imported."""

from dataclasses import dataclass

from hpsearch.errors import look_up


@dataclass(frozen=True, slots=True)
class EngineRow:
    """An engine that a user can choose."""

    description: str


ENGINES: dict[str, EngineRow] = {
    "auto": EngineRow("the fastest for each trial's device, batch size and network (the default)"),
    "reference": EngineRow("one trial at a time in plain torch: the specification of training"),
    "fused": EngineRow("trials of one batch size as one batched computation; a CUDA graph of it on a GPU"),
    "compiled": EngineRow("a compiled kernel for each trial, its weights staying in a core's cache"),
}
FORMER_NAMES = {"resident": "compiled"}


def engine_name(name: str) -> str:
    """Return the name in `ENGINES` of an engine; a former name is understood.

    Raises:
        UserError: there is no such engine.
    """
    name = FORMER_NAMES.get(name, name)
    look_up(ENGINES, name, "engine")
    return name
