"""The terminal screen of a comparison: what is compared and how, and at the end the verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from hpsearch.comparison.analysis.judgement import Judgement
from hpsearch.comparison.analysis.verdicts import verdicts
from hpsearch.comparison.arms import Arm
from hpsearch.config import StudyConfig
from hpsearch.errors import counted
from hpsearch.reporting.locales import Texts
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
    optimizers = ", ".join(dict.fromkeys(arm.optimizer for arm in arms))
    rows = data["rows"]["training"]
    ascending = sorted({arm.batch_size for arm in arms})
    sizes = ", ".join(f"{size:,} (full)" if size == rows else f"{size:,}" for size in ascending)
    each = counted(config.budget.amount, config.budget.unit.removesuffix("s"))
    if compare.seconds:
        each = f"{compare.seconds:g} seconds"
    target = "target: chosen after tuning"
    if compare.target is not None:
        target = f"target {screen.metric} {compare.target:g}"
    screen.row("compare", f"batch sizes {sizes}; {optimizers}; {target}")
    finer = f", a finer grid around the best on {counted(compare.refine, 'seed')}" if compare.refine else ""
    settings = counted(compare.trials, "setting")
    seeds = counted(compare.seeds, "seed")
    means = f"{settings} at each batch size{finer}, the winners again on {seeds}, {each} a run"
    screen.row("means", f"{means}, seed {config.study.seed}, on {device}")
    screen.row("judged", _judging_rows(data))
    screen.row("folder", folder)
    for notice in (*notices, *data["notices"]):
        screen.row("notice", notice)


def _judging_rows(data: Mapping[str, Any]) -> str:
    """Return on which rows the winners are judged."""
    divisions = int(data.get("divisions", 1))
    if divisions > 1:
        return f"on {divisions} divisions of the rows in turn; another one tunes, whose validation rows judge nothing"
    if data.get("own_rows"):
        return f"on half of the validation rows; the other half, {data['rows']['validation']:,} rows, tunes"
    return "on the validation rows that tuned, so that figures of the winners are a little too good"


def conclude_comparison(screen: Screen, record: ComparisonRecord, page: object, language: str) -> None:
    """Print the verdicts, and where the report is."""
    show_verdicts(screen, record, language)
    screen.row("report", page)


def show_verdicts(screen: Screen, record: ComparisonRecord, language: str) -> None:
    """Print what is judged of each claim."""
    texts = Texts(language)
    words = {judgement: texts(f"judgement.{judgement}") for judgement in Judgement}
    width = max(map(cell_len, words.values())) + 2  # a Korean letter is two cells wide
    for verdict in verdicts(record):
        judgement = words[verdict.judgement]
        screen.row(set_cell_size(judgement, width), texts(f"claim.{verdict.claim}"))
