"""`python -m tests.benchmarks`: training speed on this machine, side by side with the usual loop."""

import argparse
import sys
from collections.abc import Sequence

from hpsearch.cli import Parser, refuse
from hpsearch.errors import HpsearchError


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and return the exit status: 0 done, 2 bad input."""
    try:
        call(parser().parse_args(arguments))
    except HpsearchError as error:
        return refuse(error)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmarks' options."""
    bench = Parser(
        prog="python -m tests.benchmarks", description="Measure training speed, side by side with the usual loop."
    )
    bench.add_argument(
        "--tables",
        action="store_true",
        help="compare what comes out instead: studies of real tables beside other models, in --rounds divisions of the rows; --vs adds "
        "autogluon, catboost, realmlp, and tuned (an MLP of scikit-learn for the same seconds); a --json FILE that is there is "
        "gone on with",
    )
    bench.add_argument(
        "--coverage",
        action="store_true",
        help="count instead how often intervals contain the truth on fresh rows, and what searching brings: small studies of four tables "
        "that are made, or of those of --table, --rounds of each; a --json FILE that is there is gone on with",
    )
    bench.add_argument(
        "--table",
        action="append",
        metavar="NAME",
        help="with --tables: a table of scikit-learn, or a folder with train.csv and test.csv, the target in the last column "
        "(default: five of scikit-learn's)",
    )
    bench.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="SETTINGS",
        help="with --tables: a study with other settings beside the default one, as 'search.trials=16 confirm.refit=false'",
    )
    bench.add_argument(
        "--workers", action="store_true", help="time one worker beside two instead, each a process with one thread"
    )
    bench.add_argument(
        "--overhead",
        action="store_true",
        help="time what a search costs beside training instead: proposals, storages, places that wait",
    )
    bench.add_argument(
        "--storage", action="append", default=[], metavar="URL", help="with --overhead: another storage to time"
    )
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
        "--engine", action="append", metavar="NAME", help="auto, reference, fused, compiled (default: auto)"
    )
    bench.add_argument("--vs", action="append", metavar="NAME", help="a rival beside the usual loop: jax")
    bench.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="interleaved rounds; medians are shown (default: 3)"
    )
    bench.add_argument("--json", metavar="FILE", help="write all figures to a file")
    bench.add_argument("--device", help="cpu or cuda (default: CUDA where there is one)")
    return bench


def call(options: argparse.Namespace) -> None:
    """Measure and print the table."""
    if options.tables:
        from tests.benchmarks.quality import measure_quality, show_quality
        from tests.benchmarks.quality_tables import TABLES

        tables = options.table or TABLES
        show_quality(measure_quality(options.rounds, tables, options.vs or (), options.variant, options.json))
        return
    if options.coverage:
        from tests.benchmarks.coverage import measure_coverage, show_coverage

        show_coverage(measure_coverage(options.rounds, options.table or (), options.json))
        return
    if options.workers or options.overhead:
        _show_rows(options)
        return
    from tests.benchmarks import bench, read_scope

    scope = read_scope(
        options.batch_size, options.trials, options.optimizer, options.networks, options.engine, options.vs
    )
    bench(scope, data_root=options.data_root, rounds=options.rounds, json_file=options.json, device=options.device)


def _show_rows(options: argparse.Namespace) -> None:
    """Measure workers or overhead and print what comes out."""
    from tests.benchmarks.overhead import overhead
    from tests.benchmarks.rows import show_rows
    from tests.benchmarks.scaling import scaling
    from tests.benchmarks.scope import check_rounds

    check_rounds(options.rounds)
    rounds = f"medians of {options.rounds} interleaved rounds (lowest to highest)."
    if options.workers:
        show_rows(scaling(options.data_root, options.rounds), f"Wall time, {rounds}")
    else:
        show_rows(overhead(options.storage, options.rounds), f"Nothing is trained. Wall time of storages, {rounds}")


if __name__ == "__main__":
    sys.exit(main())
