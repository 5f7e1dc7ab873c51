"""The terminal screen of a comparison: what is compared and how, and at the end the verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from hpsearch.comparison.analysis.judgement import Judgement
from hpsearch.comparison.analysis.verdicts import verdicts
from hpsearch.comparison.arms import Arm
from hpsearch.config import StudyConfig
from hpsearch.locales import Texts
from hpsearch.reporting.screen import Screen
from hpsearch.storage import ComparisonRecord


def introduce_comparison(
    screen: Screen,
    config: StudyConfig,
    arms: Sequence[Arm],
    data: Mapping[str, Any],
    device: str,
    folder: object,
    notices: Sequence[str],
) -> None:
    """Print what is compared, on what, and how."""
    compare = config.compare
    assert compare is not None, "a comparison has a table [compare]"
    screen.introduce_data(data)
    texts = screen.texts
    optimizers = ", ".join(dict.fromkeys(arm.optimizer for arm in arms))
    rows = data["rows"]["training"]
    ascending = sorted({arm.batch_size for arm in arms})
    full = {rows: texts("screen.compare.full", size=f"{rows:,}")}
    sizes = ", ".join(full.get(size, f"{size:,}") for size in ascending)
    target = texts("screen.compare.target_later")
    if compare.target is not None:
        target = texts("screen.compare.target", metric=texts.word(screen.metric), value=f"{compare.target:g}")
    line = texts("screen.compare.line", sizes=sizes, optimizers=optimizers, target=target)
    screen.row("compare", line)
    each = texts.count(config.budget.unit.removesuffix("s"), config.budget.amount)
    if compare.seconds:
        each = texts("screen.compare.seconds", amount=f"{compare.seconds:g}")
    finer = ""
    if compare.refine:
        finer = texts("screen.compare.finer", seeds=texts.count("seed", compare.refine))
    means = texts(
        "screen.compare.means",
        settings=texts.count("setting", compare.trials),
        finer=finer,
        seeds=texts.count("seed", compare.seeds),
        each=each,
        seed=config.study.seed,
        device=device,
    )
    screen.row("means", means)
    screen.row("judged", _judging_rows(data, texts))
    screen.row("folder", folder)
    for notice in (*notices, *data["notices"]):
        screen.row("notice", notice)


def _judging_rows(data: Mapping[str, Any], texts: Texts) -> str:
    """Return on which rows the winners are judged."""
    divisions = int(data.get("divisions", 1))
    if divisions > 1:
        return texts("screen.compare.judged_divisions", divisions=divisions)
    if data.get("own_rows"):
        return texts("screen.compare.judged_half", rows=f"{data['rows']['validation']:,}")
    return texts("screen.compare.judged_same")


def conclude_comparison(screen: Screen, record: ComparisonRecord, page: object) -> None:
    """Print the verdicts, and where the report is."""
    show_verdicts(screen, record)
    screen.row("report", page)


def show_verdicts(screen: Screen, record: ComparisonRecord) -> None:
    """Print what is judged of each claim."""
    texts = screen.texts
    words = {judgement: texts(f"judgement.{judgement}") for judgement in Judgement}
    width = max(map(cell_len, words.values())) + 2  # a Korean letter is two cells wide
    for verdict in verdicts(record):
        judgement = words[verdict.judgement]
        screen.row(set_cell_size(judgement, width), texts(f"claim.{verdict.claim}"))
