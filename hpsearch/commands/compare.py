"""`compare`: batch sizes tuned alike, from a file or a data set to the verdicts."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpsearch.commands.options import add_language, add_reports, add_training, add_workers, overrides, run_options_of
from hpsearch.commands.recorded import show_next_commands, write_page
from hpsearch.errors import SearchFailed, Stopped, UserError
from hpsearch.storage import ComparisonRecord

if TYPE_CHECKING:
    from hpsearch.config import MinimaConfig, StudyConfig
    from hpsearch.locales import Texts
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.run_options import RunOptions


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument(
        "study",
        nargs="?",
        default="compare-digits",
        help="a TOML file, a comparison that comes along, or a data set's name (default: compare-digits)",
    )
    command.add_argument("--name", help="the comparison's name and folder (default: the file's name)")
    command.add_argument("--batch-sizes", metavar="LIST", help="the regimes, e.g. 1,32,full")
    command.add_argument("--target", metavar="X", help="the validation metric to be passed")
    command.add_argument("--trials", type=int, metavar="N", help="settings tried at each batch size")
    command.add_argument("--seeds", type=int, metavar="N", help="fresh seeds on which each winner is trained again")
    command.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    add_training(command)
    add_workers(command)
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Run or continue a comparison, then make its report."""
    from hpsearch.config import MinimaConfig, read_comparison
    from hpsearch.locales import Texts

    texts = Texts(options.lang)  # an unknown language is refused before anything is trained
    config, notices = read_comparison(options.study, overrides(options))
    run_options = run_options_of(options, config.study.name)
    if isinstance(config, MinimaConfig):
        screen = _run_escape_tests(config, run_options, texts)
    else:
        screen = _run_arms(config, run_options, notices, options, texts)
    from hpsearch.comparison.screen import conclude_comparison

    name = config.study.name
    with screen.stage(texts("screen.result.report")):
        record, page = write_page(run_options.storage, name, run_options.folder, options.lang, run_options.patience)
    assert isinstance(record, ComparisonRecord), "it was opened as one"
    conclude_comparison(screen, record, page)
    show_next_commands(screen, options, name, run_options.folder, first="")  # the verdicts stand above


def _run_escape_tests(config: "MinimaConfig", run_options: "RunOptions", texts: "Texts") -> "Screen":
    """Run a study of the escape tests alone."""
    from hpsearch.comparison.study import run_minima
    from hpsearch.reporting.screen import Screen

    if run_options.devices is not None or run_options.ray is not None:
        raise UserError("escape tests train in this process alone. Leave --devices and --ray out.")
    screen = Screen("", texts)
    runs = texts.count("run", config.minima.seeds)
    networks = texts.count("network", config.minima.starts)
    screen.row("compare", texts("screen.compare.escapes", runs=runs, networks=networks))
    screen.row("folder", run_options.folder)
    with screen.live():
        run_minima(config, run_options, screen)
    return screen


def _run_arms(
    config: "StudyConfig",
    run_options: "RunOptions",
    notices: Sequence[str],
    options: argparse.Namespace,
    texts: "Texts",
) -> "Screen":
    """Tune and train each arm; the page of a comparison that was stopped or failed is made too."""
    from hpsearch.comparison.screen import introduce_comparison
    from hpsearch.comparison.study import open_comparison, run_comparison, with_recorded_protocol
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.run_options import prepare_data, prepare_engine

    config = with_recorded_protocol(config, run_options)
    data = prepare_data(config, run_options)
    screen = Screen(data.metric.name, texts)
    with screen.logs(options.verbose), open_comparison(config, run_options, data) as opened:
        device = run_options.trained_on(data)
        introduce_comparison(screen, config, opened.arms, data.summary, device, run_options.folder, notices)
        engine = prepare_engine(config, run_options, data)
        try:
            with screen.live():
                run_comparison(opened, engine, screen)
        except (Stopped, SearchFailed):
            write_page(run_options.storage, config.study.name, run_options.folder, options.lang)
            raise
    return screen
