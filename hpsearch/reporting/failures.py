"""A study in which no trial gave a usable network: what happened, and what to try."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import number, visible
from hpsearch.reporting.ranking import ended, is_number, ranked
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.trial import Outcome

AT_UPDATE = re.compile(r"diverged (at|by) update (\d+)")
DECADES = 1000  # the range to try is so many times as wide at its lower end
CAUSES = (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.KILLED, Outcome.ERROR, Outcome.OUT_OF_TIME)


@dataclass(frozen=True, slots=True)
class Divergence:
    """A trial that diverged: its learning rate, and the update after which its loss was no longer finite.

    Only `exact` is that update itself; else it is the evaluation that saw it.
    """

    trial: TrialRecord
    rate: float
    update: int
    exact: bool


def is_lost(record: StudyRecord) -> bool:
    """Whether all trials of a study of hpsearch's ended, and none is usable."""
    if record.foreign or not record.trials or record.result:
        return False
    return not ranked(record) and all(map(ended, record.trials))


def divergences(record: StudyRecord) -> list[Divergence]:
    """Return the trials that diverged, as far as the storage has their learning rate and the update."""
    found = []
    for trial in record.trials:
        at = AT_UPDATE.search(trial.detail)
        rate = learning_rate(trial)
        if at and rate and trial.outcome == Outcome.DIVERGED:
            found.append(Divergence(trial, rate, max(1, int(at[2])), at[1] == "at"))
    return found


def learning_rate(trial: TrialRecord) -> float | None:
    """Return a trial's learning rate, that of its optimizer where it has one of its own; None where there is none above 0."""
    rates = [value for name, value in trial.params.items() if re.fullmatch(r"learning_rate(_\w+)?", name)]
    return next((float(value) for value in rates if is_number(value) and value > 0), None)


def what_happened(trials: Sequence[TrialRecord], texts: Texts = ENGLISH) -> list[str]:
    """Say how trials without a usable network ended, the main cause first, and what to try against that one cause."""
    counts = Counter(trial.outcome or trial.state for trial in trials)
    key = "endings" if len(counts) > 1 else "one_ending"
    if len(trials) == 1:
        key = "only_trial"
    amount = texts.count("trial", len(trials))
    ending = visible(texts.word(next(iter(counts))), 40)
    happened = texts(f"search.failures.{key}", trials=amount, endings=endings(counts, texts), ending=ending)
    causes = [(counts[cause], cause) for cause in CAUSES if counts[cause]]
    if not causes:
        return [happened, texts("search.failures.none_finished")]
    _, main = max(causes, key=lambda pair: pair[0])
    remedies = {Outcome.DIVERGED: _diverged, Outcome.OUT_OF_MEMORY: _out_of_memory}
    if main in remedies:
        return [happened, remedies[main](trials, texts)]
    detail = next(trial.detail for trial in trials if trial.outcome == main)
    return [happened, texts(f"search.failures.{main.replace(' ', '_')}", detail=visible(texts.word(detail), 300))]


def endings(counts: Counter[str], texts: Texts = ENGLISH) -> str:
    """Return how many trials or runs ended in which way, the most frequent first: `3 diverged and 1 pruned`."""
    named = [(amount, visible(texts.word(outcome), 40)) for outcome, amount in counts.most_common()]
    return texts.listing(texts("search.failures.ending", amount=f"{amount:,}", outcome=name) for amount, name in named)


def _diverged(trials: Sequence[TrialRecord], texts: Texts) -> str:
    """Say which learning rates diverged, and which range to try."""
    rates = [learning_rate(trial) for trial in trials if trial.outcome == Outcome.DIVERGED]
    known = sorted(rate for rate in rates if rate)
    if not known:
        return texts("search.failures.diverged_unknown")
    high = _one_digit(known[0] / 2)
    values = {"low": number(known[0]), "high": number(known[-1]), "from_": number(high / DECADES), "to": number(high)}
    options = f"--set learning_rate.low={high / DECADES:.0e} --set learning_rate.high={high:.0e}"
    key = "diverged" if known[0] < known[-1] else "diverged_at_one"
    return texts(f"search.failures.{key}", options=options, **values)


def _one_digit(value: float) -> float:
    """Return a positive number rounded down to one digit."""
    unit = 10.0 ** floor(log10(value))
    return float(f"{floor(value / unit * (1 + 1e-9)) * unit:.1g}")


def _out_of_memory(trials: Sequence[TrialRecord], texts: Texts) -> str:
    """Say how small the smallest network was that did not fit."""
    sizes = [trial.parameters for trial in trials if trial.outcome == Outcome.OUT_OF_MEMORY and trial.parameters]
    if not sizes:
        return texts("search.failures.out_of_memory_unknown")
    return texts("search.failures.out_of_memory", parameters=f"{min(sizes):,}")


def spread_text(found: Sequence[Divergence], texts: Texts = ENGLISH) -> str:
    """Say from which to which update the trials diverged."""
    if not found:
        return texts("search.figure.failures.none")
    updates = [one.update for one in found]
    exact = all(one.exact for one in found)
    trials = texts.count("trial", len(found))
    if min(updates) == max(updates):
        key = "at_one" if exact else "by_one"
        return texts(f"search.figure.failures.{key}", trials=trials, update=f"{updates[0]:,}")
    key = "between" if exact else "between_by"
    return texts(f"search.figure.failures.{key}", trials=trials, first=f"{min(updates):,}", last=f"{max(updates):,}")
