"""What a search costs beside training: a proposal, a trial in a storage, and the places that wait for the one process that asks and tells.

Nothing is trained. Proposals and storages are timed by the seconds of this process's processor and by the wall's clock; the places of a
simulated cluster are `PLACES` trials in flight that each take `SECONDS` and answer what a hill gives.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from heapq import heappop, heappush
from math import log10
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from hpsearch.config import StudyConfig, find_study, read_config
from hpsearch.errors import masked
from hpsearch.searching.loop import Search
from hpsearch.searching.objectives import Objectives
from hpsearch.searching.opening import make_view
from hpsearch.searching.sampler_view import SamplerView, TrialResult
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.opening import close_storage, open_existing
from hpsearch.storage.urls import JOURNAL, sqlite_url
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import TrialSource
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec
from tests.benchmarks.rows import Row
from tests.support.small import small_data

KNOWN = (500, 10_000)  # results that a proposal is made from
PROPOSALS = 20  # timed ones, of which the median is shown
STORED = 100  # trials of a round
EVALUATIONS = 100  # of a stored trial's curve
RUNGS = (1, 3, 9, 27, 81)
PLACES, SECONDS, WAVES = 64, 1.0, 5
INPUTS, OUTPUTS, TRAINING = 64, 10, 1000  # sizes of a data set that nobody loads


def overhead(storages: Sequence[str], rounds: int) -> Iterator[Row]:
    """Yield what is measured, a row each; `storages` are URLs beside SQLite and a journal file.

    Raises:
        UserError, StorageError: a storage cannot be written.
    """
    for known in KNOWN:
        for sampler in ("random", "tpe"):
            seconds = proposals(sampler, known)
            yield Row(f"proposal, {sampler}, {known:,} results known", f"{1000 * seconds:.1f} ms of processor")
    with TemporaryDirectory() as folder:
        files = {"SQLite": sqlite_url(Path(folder) / "study.db"), "journal file": f"{JOURNAL}{folder}/study.log"}
        yield from _storages(files | {masked(url): url for url in storages}, rounds)
    for sampler in ("random", "tpe"):
        yield Row(f"{PLACES} places, trials of {SECONDS:g} s, {sampler}", f"{busy(sampler):.1%} busy")


def _storages(urls: Mapping[str, str], rounds: int) -> Iterator[Row]:
    seconds: dict[str, list[float]] = {name: [] for name in urls}
    for _ in range(rounds):
        for name, url in urls.items():
            seconds[name].append(stored(url))
    for name, found in seconds.items():
        low, high = 1000 * min(found), 1000 * max(found)
        yield Row(f"a trial in a storage, {name}", f"{1000 * median(found):.1f} ms ({low:.1f} to {high:.1f})")


def proposals(sampler: str, known: int) -> float:
    """Return the processor's seconds of asking for a trial and telling its result, with so many results known."""
    view = make_view(_config(sampler), "maximize")
    view.sampler = SAMPLERS["random"]
    for number in range(known):
        _play(view, number)
    view.sampler, taken = SAMPLERS[sampler], []
    for number in range(known, known + PROPOSALS):
        began = time.process_time()
        _play(view, number)
        taken.append(time.process_time() - began)
    return median(taken)


def stored(url: str) -> float:
    """Return the seconds of a trial that is begun and told, the default study's hyperparameters with a learning curve and rungs."""
    config, name = _config("random"), f"bench {uuid.uuid4().hex}"
    view, told = make_view(config, "maximize"), [_run(number, 0.5, EVALUATIONS) for number in range(STORED)]
    study = Fingerprint(name, (view.direction,), config.settings(), {"name": "none"})
    with closing(StudyWriter.open(url, study)) as writer:
        began = time.monotonic()
        for run in told:
            proposal = view.propose(run.number)
            writer.begin(run.number, proposal.params, proposal.distributions)
            writer.finish(run, 0.5, dict.fromkeys(RUNGS, 0.5), 1.0, None)
            view.tell(run.number, TrialResult(0.5, failed=False))
        writer.flush()
        seconds = (time.monotonic() - began) / STORED
    storage = open_existing(url)
    storage.delete_study(writer.study_id)
    close_storage(storage)
    return seconds


def busy(sampler: str) -> float:
    """Return the share of a simulated cluster's places that train, from the first trial's start to the last one's end."""
    trials = WAVES * PLACES
    config = _config(sampler, ("search.lag", 2 * PLACES), ("search.trials", trials), ("search.pruner", "none"))
    view = make_view(config, "maximize")

    def specify(values: dict[str, object], number: int) -> TrialSpec:
        sizes: dict[str, Any] = {"inputs": INPUTS, "outputs": OUTPUTS, "rows": TRAINING}
        return config.space.specification(values, number=number, seed=0, budget=config.budget, **sizes)

    study = Fingerprint("bench", (view.direction,), config.settings(), {"name": "none"})
    with closing(StudyWriter.in_memory(study)) as writer:
        objectives = Objectives(small_data())
        search = Search(view, writer, specify, objectives=objectives, trials=trials, timeout=None)  # type: ignore[arg-type]
        began = time.monotonic()
        _Cluster(PLACES, SECONDS).run(search)
    return trials * SECONDS / (PLACES * (time.monotonic() - began))


class _Cluster:
    """An engine whose trials take their time and nothing else."""

    def __init__(self, places: int, seconds: float) -> None:
        self.places, self.seconds = places, seconds

    def run(self, source: TrialSource) -> None:
        flying: list[tuple[float, int, float]] = []  # (end, number, learning rate)
        while True:
            while len(flying) < self.places and (specs := source.take(1)):
                heappush(flying, (time.monotonic() + self.seconds, specs[0].number, specs[0].learning_rate))
                self._end(flying, source)
            if not flying:
                return
            time.sleep(max(0.0, flying[0][0] - time.monotonic()))
            self._end(flying, source)

    def _end(self, flying: list[tuple[float, int, float]], source: TrialSource) -> None:
        while flying and flying[0][0] <= time.monotonic():
            _, number, rate = heappop(flying)
            source.finish(_run(number, _hill(rate), 1))


def _config(sampler: str, *settings: tuple[str, object]) -> StudyConfig:
    return read_config(find_study("digits"), [("search.sampler", sampler), *settings])


def _play(view: SamplerView, number: int) -> None:
    values = view.propose(number).values
    view.tell(number, TrialResult(_hill(float(values["learning_rate"])), failed=False))


def _hill(rate: float) -> float:
    return 1 / (1 + abs(log10(rate) + 2))


def _run(number: int, value: float, evaluations: int) -> TrainingRun:
    steps = tuple(range(1, evaluations + 1))
    history = History(steps, steps, steps, *([(value,) * evaluations] * 4))
    return TrainingRun(number, Outcome.FINISHED, history, evaluations, value, 0.0, "", 9, {})
