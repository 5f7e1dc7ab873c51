"""The command line: parse, call, print."""

import argparse
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch import __version__
from hpsearch.arguments import Parser
from hpsearch.errors import HpsearchError, SearchFailed, Stopped, UserError

if TYPE_CHECKING:
    from hpsearch.screen import Screen
    from hpsearch.search.place import Place
    from hpsearch.storage import ComparisonRecord, StudyRecord

EPILOG = """studies that come along: digits (the default; embedded data), mnist; comparisons: compare-digits, compare-mnist,
  compare-optimizers, minima
examples:
  python -m hpsearch run
  python -m hpsearch run mnist --data-root DIR --trials 20
  python -m hpsearch run my-study.toml --set learning_rate.high=0.3 --set search.sampler=random
  python -m hpsearch compare
  python -m hpsearch report digits"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = Parser(
        prog="python -m hpsearch",
        description="Hyperparameter search for deep neural networks: a data set in, the best network and a report out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=__version__)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_compare(commands)
    _add_report(commands)
    _add_verify(commands)
    _add_bench(commands)
    return root


def _add_run(commands: Any) -> None:
    run = commands.add_parser("run", help="run a study, or continue it")
    run.add_argument(
        "study", nargs="?", default="digits", help="a TOML file, or a study that comes along (default: digits)"
    )
    run.add_argument("--name", help="the study's name and folder (default: the file's name)")
    run.add_argument("--trials", type=int, metavar="N", help="trials in all, earlier runs of the study included")
    run.add_argument("--timeout", type=float, metavar="S", help="start no trial after S seconds")
    run.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    run.add_argument("--sampler", help="random, grid, qmc, tpe, gp, cmaes")
    run.add_argument("--pruner", help="none, median, halving, hyperband")
    _add_training(run)
    _add_common(run)
    run.set_defaults(call=_run)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser("compare", help="compare gradient descent, mini-batches and SGD, each tuned alike")
    compare.add_argument(
        "study",
        nargs="?",
        default="compare-digits",
        help="a TOML file, a comparison that comes along, or a data set's name (default: compare-digits)",
    )
    compare.add_argument("--name", help="the comparison's name and folder (default: the file's name)")
    compare.add_argument("--batch-sizes", metavar="LIST", help="the regimes, e.g. 1,32,full")
    compare.add_argument("--target", type=float, metavar="X", help="the validation metric to be passed")
    compare.add_argument("--trials", type=int, metavar="N", help="settings tried at each batch size")
    compare.add_argument("--seeds", type=int, metavar="N", help="fresh seeds on which each winner is trained again")
    compare.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    _add_training(compare)
    _add_language(compare)
    _add_common(compare)
    compare.set_defaults(call=_compare)


def _add_language(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--lang", default="en", metavar="CODE", help="language of a comparison's report: en, ko (default: en)"
    )


def _add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", help="cpu, cuda, cuda:1 (default: CUDA where there is one)")
    command.add_argument(
        "--engine", default="auto", help="auto, reference, fused, resident: who trains (default: auto)"
    )
    command.add_argument(
        "--parallel", type=int, metavar="N", help="trials in flight (default: chosen; no result changes)"
    )
    command.add_argument("--precision", help="float32, float64; on CUDA also tf32, bfloat16 (default: float32)")
    command.add_argument("-v", "--verbose", action="store_true", help="say which engine trains what, and why")
    command.add_argument("--data-root", metavar="DIR", help="folder of the data set's files, e.g. DIR/MNIST/raw")
    command.add_argument("--download", action="store_true", help="let torchvision download what is missing")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting, e.g. learning_rate.high=0.3"
    )
    command.add_argument("--storage", metavar="URL", help="any Optuna storage (default: SQLite in the study's folder)")
    command.add_argument(
        "--take-over", action="store_true", help="write although another machine's process holds the study"
    )


def _add_report(commands: Any) -> None:
    report = commands.add_parser("report", help="rebuild a study's report from its storage")
    report.add_argument("source", metavar="NAME_OR_STORAGE", help="a study's name, or the URL of its storage")
    report.add_argument("--study", metavar="NAME", help="the study, where the storage has several")
    _add_language(report)
    _add_common(report)
    report.set_defaults(call=_report)


def _add_verify(commands: Any) -> None:
    verify = commands.add_parser("verify", help="train recorded trials again with the reference engine, and compare")
    verify.add_argument("study", metavar="NAME_OR_STORAGE", help="a study's name, or the URL of its storage")
    verify.add_argument("--study", dest="name", metavar="NAME", help="the study, where the storage has several")
    verify.add_argument("--trials", type=int, default=5, metavar="N", help="trials to train again (default: 5)")
    verify.add_argument("--float64", action="store_true", help="also train them with both engines in float64")
    verify.add_argument("--engine", default="auto", help="the engine that --float64 compares (default: auto)")
    verify.add_argument("--data-root", metavar="DIR", help="folder of the data set's files, where it has moved")
    verify.add_argument("--device", help="cpu, cuda, cuda:1 (default: CUDA where there is one)")
    _add_common(verify)
    verify.set_defaults(call=_verify)


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser("bench", help="measure training speed, side by side with the usual loop")
    bench.add_argument("--data-root", metavar="DIR", help="measure on the MNIST of this folder (default: random data)")
    bench.add_argument(
        "--batch-size", action="append", metavar="B", help="a number or 'full' (default: 1, 8, 32, 128, 512, full)"
    )
    bench.add_argument(
        "--trials", type=int, action="append", metavar="N", help="trials that an engine trains together (default: 8)"
    )
    bench.add_argument("--optimizer", action="append", metavar="NAME", help="an optimizer (default: sgd, adam)")
    bench.add_argument("--networks", action="append", metavar="KIND", help="equal or mixed (default: both)")
    bench.add_argument(
        "--engine", action="append", metavar="NAME", help="auto, reference, fused, resident (default: auto)"
    )
    bench.add_argument("--vs", action="append", metavar="NAME", help="a rival beside the usual loop: jax")
    bench.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="interleaved rounds; medians are shown (default: 3)"
    )
    bench.add_argument("--json", metavar="FILE", help="write all figures to a file")
    bench.add_argument("--device", help="cpu or cuda (default: CUDA where there is one)")
    bench.add_argument("--debug", action="store_true", help="show tracebacks")
    bench.set_defaults(call=_bench)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--reports", default="reports", metavar="DIR", help="where studies are kept (default: reports)"
    )
    command.add_argument("--debug", action="store_true", help="show tracebacks")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 2 the user's input, 3 storage, 4 every trial failed, 128 + signal."""
    try:
        options = parser().parse_args(arguments)
    except UserError as error:
        return _refuse(error)
    try:
        options.call(options)
    except Stopped as stopped:
        print(f"{stopped}; to go on: {_again(arguments)}", file=sys.stderr)
        return stopped.status
    except HpsearchError as error:
        if options.debug:
            traceback.print_exc()
        return _refuse(error)
    except KeyboardInterrupt:
        print(f"stopped at once; to go on: {_again(arguments)}", file=sys.stderr)
        return 130
    return 0


def _refuse(error: HpsearchError) -> int:
    """Print an error's lines and return its exit status."""
    from hpsearch.screen import printable

    for line in str(error).splitlines():
        print(f"error: {printable(line)}", file=sys.stderr)
    return error.status


def _again(arguments: Sequence[str] | None) -> str:
    return shlex.join(["python", "-m", "hpsearch", *(sys.argv[1:] if arguments is None else arguments)])


def _run(options: argparse.Namespace) -> None:
    from hpsearch.config import find_study, read_config

    config = read_config(find_study(options.study), _overrides(options))
    from hpsearch.screen import Screen
    from hpsearch.search.place import prepare_data, prepare_engine
    from hpsearch.search.study import open_study, run_study

    place = _place(options, config.study.name)
    url, folder = place.storage, place.folder
    data = prepare_data(config, place)
    screen = Screen(data.metric.name)
    try:
        with open_study(config, place, data) as study:
            screen.introduce(config, data.summary, str(data.training.inputs.device), folder)
            engine = prepare_engine(config, place, data, screen.explain if options.verbose else lambda line: None)
            with screen.live():
                run_study(study, engine, screen.show, screen.announce)
    except (Stopped, SearchFailed):
        _page(url, config.study.name, folder)
        raise
    record, page = _page(url, config.study.name, folder)
    screen.conclude(record, page)


def _compare(options: argparse.Namespace) -> None:
    from hpsearch.config import MinimaConfig, read_comparison
    from hpsearch.texts import Texts

    Texts(options.lang)  # there is such a language, else it is told before anything is trained
    config, notices = read_comparison(options.study, _overrides(options))
    from hpsearch.comparison.study import open_comparison, run_comparison, run_minima
    from hpsearch.screen import Screen
    from hpsearch.search.place import prepare_data, prepare_engine

    place = _place(options, config.study.name)
    if isinstance(config, MinimaConfig):
        screen = Screen("")
        screen.row("compare", f"escape tests: {config.minima.seeds} runs in each cell, {config.minima.starts} networks")
        screen.row("folder", place.folder)
        with screen.live():
            run_minima(config, place, screen.stage)
        _conclude(place, config.study.name, screen, options.lang)
        return
    data = prepare_data(config, place)
    screen = Screen(data.metric.name)
    with open_comparison(config, place, data) as opened:
        device = str(data.training.inputs.device)
        screen.introduce_comparison(config, opened.arms, data.summary, device, place.folder, notices)
        engine = prepare_engine(config, place, data, screen.explain if options.verbose else lambda line: None)
        try:
            with screen.live():
                run_comparison(opened, engine, screen.stage, screen.announce)
        except (Stopped, SearchFailed):
            _compared(place, config.study.name, options.lang)
            raise
    _conclude(place, config.study.name, screen, options.lang)


def _conclude(place: "Place", name: str, screen: "Screen", language: str) -> None:
    """Make a comparison's report, and print the verdicts."""
    record, page = _compared(place, name, language)
    screen.conclude_comparison(record, page, language)


def _compared(place: "Place", name: str, language: str) -> "tuple[ComparisonRecord, Path]":
    """Make a comparison's report from its storage alone."""
    from hpsearch.report.compared import write_comparison
    from hpsearch.storage import ComparisonRecord
    from hpsearch.storage.reading import read

    record = read(place.storage, name)
    assert isinstance(record, ComparisonRecord), "it was opened as one"
    return record, write_comparison(record, place.folder, language)


def _place(options: argparse.Namespace, name: str) -> "Place":
    from hpsearch.files import folder_name
    from hpsearch.search.place import Place
    from hpsearch.storage.opening import sqlite_url

    folder = Path(options.reports) / folder_name(name)
    url = sqlite_url(folder.absolute() / "study.db") if options.storage is None else options.storage
    return Place(folder, url, options.device, options.download, options.take_over, options.engine, options.parallel)


SETTINGS = {  # flag → the setting whose place it takes
    "name": "study.name",
    "seed": "study.seed",
    "data_root": "data.root",
    "precision": "training.precision",
    "timeout": "search.timeout",
    "sampler": "search.sampler",
    "pruner": "search.pruner",
    "target": "compare.target",
    "seeds": "compare.seeds",
    "batch_sizes": "compare.batch_sizes",
}


def _overrides(options: argparse.Namespace) -> list[tuple[str, Any]]:
    from hpsearch.config import parse_value

    flags = {setting: getattr(options, flag, None) for flag, setting in SETTINGS.items()}
    flags["compare.trials" if options.command == "compare" else "search.trials"] = options.trials
    if sizes := flags["compare.batch_sizes"]:
        flags["compare.batch_sizes"] = [parse_value(size.strip()) for size in sizes.split(",")]
    overrides = [(key, value) for key, value in flags.items() if value is not None]
    for text in options.set:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"--set {text}: expected KEY=VALUE, for example --set learning_rate.high=0.3.")
        overrides.append((key.strip(), parse_value(value)))
    return overrides


def _verify(options: argparse.Namespace) -> None:
    from hpsearch.errors import look_up
    from hpsearch.screen import Screen
    from hpsearch.search.verify import choose_trials, prepare, verify
    from hpsearch.storage import ComparisonRecord
    from hpsearch.training.engines import ENGINES

    record = _record(options.study, options.name, Path(options.reports))
    if isinstance(record, ComparisonRecord):
        raise UserError(f"'{record.name}' is a comparison, whose parts have no trials to verify. Give a search's name.")
    trials = choose_trials(record, options.trials)
    look_up(ENGINES, options.engine, "engine")
    engine = options.engine if options.float64 else None
    question = prepare(record, root=options.data_root, device=options.device, engine=engine)
    screen = Screen(question.data.metric.name)
    screen.introduce_verification(record, len(trials), str(question.data.training.inputs.device))
    done = []
    for verified in verify(question, trials):
        screen.compare(verified)
        done.append(verified)
    screen.conclude_verification(done)
    if apart := [f"#{verified.number}" for verified in done if verified.verdict == "differs"]:
        raise HpsearchError(
            f"{', '.join(apart)}: further from the reference than rounding explains. Please report this study."
        )


def _record(source: str, name: str | None, reports: Path) -> "StudyRecord | ComparisonRecord":
    """Read a study or a comparison by the URL of its storage, or by its name."""
    from hpsearch.files import folder_name
    from hpsearch.storage.opening import sqlite_url
    from hpsearch.storage.reading import read

    if "://" in source:
        return read(source, name)
    return read(sqlite_url((reports / folder_name(source)).absolute() / "study.db"), name)


def _report(options: argparse.Namespace) -> None:
    from hpsearch.files import folder_name
    from hpsearch.report import write_report
    from hpsearch.report.compared import write_comparison
    from hpsearch.storage import ComparisonRecord
    from hpsearch.texts import Texts

    Texts(options.lang)
    reports = Path(options.reports)
    record = _record(options.source, options.study, reports)
    folder = reports / folder_name(record.name if "://" in options.source else options.source)
    if isinstance(record, ComparisonRecord):
        page = write_comparison(record, folder, options.lang)
    elif options.lang == "en":
        page = write_report(record, folder)
    else:
        raise UserError(
            f"--lang {options.lang}: a search's report is in English; a comparison's comes in other languages."
        )
    print(f"report {page}")


def _page(url: str, name: str | None, folder: Path) -> "tuple[StudyRecord, Path]":
    """Make the report of a study from its storage alone."""
    from hpsearch.report import write_report
    from hpsearch.storage.reading import read_study

    record = read_study(url, name)
    return record, write_report(record, folder)


def _bench(options: argparse.Namespace) -> None:
    from hpsearch.bench import bench, read_scope

    scope = read_scope(
        options.batch_size, options.trials, options.optimizer, options.networks, options.engine, options.vs
    )
    bench(scope, data_root=options.data_root, rounds=options.rounds, json_file=options.json, device=options.device)
