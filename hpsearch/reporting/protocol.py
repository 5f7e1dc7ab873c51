"""How a study was done, as names and what they are, and what torch registers of the network."""

from collections.abc import Mapping
from typing import Any

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import duration, number, sentences, visible
from hpsearch.reporting.ranking import settings_of
from hpsearch.storage import StudyRecord
from hpsearch.trial import BUDGET_UNITS, UNSAID


def protocol(record: StudyRecord, texts: Texts = ENGLISH) -> list[tuple[str, str]]:
    """Return how the study was done; a pair without a value does not apply to it."""
    study, training, search = (settings_of(record, name) for name in ("study", "training", "search"))
    data = record.data
    result = record.result
    rows = {
        "trials": _trials(search, record, texts),
        "budget": _budget(training, texts),
        "folds": _folds(record, texts),
        "start": _start(search, texts),
        "sampler": _sampler(search, texts),
        "pruner": _pruner(search, texts),
        "replicates": _replicates(settings_of(record, "confirm"), texts),
        "seed": number(study.get("seed")).replace(",", ""),
        "precision": _given(training, "precision"),
        "data": visible(data.get("source") or "", 400),
        "fingerprint": visible(data.get("hash") or "", 100),
        "notices": sentences(visible(texts.word(notice), 300) for notice in _notices(data)),
        "device": visible(result.get("device") or "", 100),
        "versions": _versions(result),
        "distinct": _given(result, "distinct"),
        "time": _time(result),
    }
    return [(texts(f"search.protocol.{name}"), text) for name, text in rows.items()]


def _notices(data: Mapping[str, Any]) -> list[str]:
    """Return what is to be known of the data, but what questions the result: the page says that before all else."""
    doubts = data.get("doubts") or []
    return [str(notice) for notice in data.get("notices") or [] if notice not in doubts]


def _given(table: Mapping[str, Any], name: str) -> str:
    """Return a value of a table, "" where it has none."""
    return "" if table.get(name) is None else number(table[name])


def _trials(search: Mapping[str, Any], record: StudyRecord, texts: Texts) -> str:
    trials = number(search.get("trials", len(record.trials)))
    timeout = search.get("timeout")
    if isinstance(timeout, int | float):
        trials = texts("search.protocol.timeout", trials=trials, time=duration(float(timeout)))
    if isinstance(search.get("patience"), int):
        patience = texts.count("trial", search["patience"])
        trials = texts("search.protocol.patience_of_search", trials=trials, patience=patience)
    if isinstance(search.get("target_value"), int | float):
        trials = texts("search.protocol.target_value", trials=trials, value=number(search["target_value"]))
    return trials


def _start(search: Mapping[str, Any], texts: Texts) -> str:
    """Return the first settings of a study's own, as many as there are trials; "" where it began with the known-good ones."""
    start = search.get("start")
    if isinstance(start, str):
        return texts("search.protocol.start_study", name=visible(start, 100))
    if not isinstance(start, list):
        return ""
    first = start[: search.get("trials")]
    if not any(first):
        return ""
    known_good = texts("screen.search.known_good")
    settings = [", ".join(f"{name} {number(value)}" for name, value in given.items()) or known_good for given in first]
    return visible("; ".join(settings), 400)


def _budget(training: Mapping[str, Any], texts: Texts) -> str:
    """Return what each trial trained for; where the study did not give it, the default that the search took."""
    if not training:
        return "–"
    given = [(name, training[name]) for name in BUDGET_UNITS if training.get(name)]
    budget = texts.listing([texts.count(unit.removesuffix("s"), amount) for unit, amount in given or [UNSAID]])
    if training.get("max_examples"):
        budget = texts("search.protocol.max_examples", budget=budget, examples=number(training["max_examples"]))
    if training.get("patience"):
        budget = texts("search.protocol.patience", budget=budget, evaluations=number(training["patience"]))
    limit = training.get("max_seconds")
    if isinstance(limit, int | float):
        budget = texts("search.protocol.max_seconds", budget=budget, seconds=duration(float(limit)))
    return budget


def _folds(record: StudyRecord, texts: Texts) -> str:
    """Say how a study with folds was done, "" without folds."""
    folds = max((len(trial.folds) for trial in record.trials), default=0)
    if folds:
        return texts("search.protocol.folds_text", folds=folds)
    return ""


def _sampler(search: Mapping[str, Any], texts: Texts) -> str:
    sampler = number(search.get("sampler") or "")
    if not search.get("lag"):
        return sampler
    return texts("search.protocol.lag", sampler=sampler, lag=number(search["lag"]))


def _pruner(search: Mapping[str, Any], texts: Texts) -> str:
    """Return the pruner's name, "" where the settings have none."""
    if "pruner" not in search:
        return ""
    return number(search["pruner"] or texts("search.protocol.none"))


def _time(result: Mapping[str, Any]) -> str:
    seconds = result.get("seconds")
    return duration(float(seconds)) if seconds else ""


def _replicates(confirm: Mapping[str, Any], texts: Texts) -> str:
    trials = confirm.get("trials")
    ensemble = confirm.get("ensemble")
    if not isinstance(trials, int):
        return ""
    text = texts("search.protocol.none")
    if trials:
        seeds = number(confirm.get("seeds"))
        text = texts("search.protocol.replicates_text", trials=texts.count("trial", trials), seeds=seeds)
    if isinstance(ensemble, int) and ensemble > 1:
        return texts("search.protocol.ensemble", replicates=text, networks=number(ensemble))
    return text


def _versions(result: Mapping[str, Any]) -> str:
    versions = (result.get("versions") or {}).items()
    return ", ".join(f"{visible(name, 40)} {visible(version, 40)}" for name, version in versions)


def registered_modules(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say what torch registers of the best network, and what of the same layers in a plain list; "" where nobody looked."""
    registered = record.result.get("registered")
    if not isinstance(registered, Mapping):
        return ""
    modules = registered["module_list"]
    plain = registered["plain_list"]
    moved = [number(float(distance), digits=3) for distance in registered["moved"]]
    return texts(
        "search.parameters.registered",
        tensors=texts.count("tensor", modules["tensors"]),
        numbers=f"{modules['numbers']:,}",
        unregistered=texts.count("tensor", plain["tensors"]),
        error=visible(registered.get("error", texts("search.parameters.nothing")), 200),
        moved=texts.listing(moved),
    )
