"""`init`: a study's file for data of the user's own, with comments, to be edited and run."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from hpsearch.commands.options import add_language, add_reading, check_output, overrides
from hpsearch.errors import UserError
from hpsearch.files import write_file


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument(
        "data", metavar="FILE", help="your data, as run takes them: a table, arrays, a folder of images"
    )
    command.add_argument("--target", metavar="COLUMN", help="the column that is predicted, or several: a,b")
    command.add_argument("--task", help="{tasks} (default: what the target looks like)")
    command.add_argument("--weight", metavar="COLUMN", help="the column that says how much a row counts")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting of [data], e.g. data.test=0.2",
    )
    command.add_argument("-o", "--output", metavar="FILE", help="the file (default: the name of the data, .toml)")
    command.add_argument("--force", action="store_true", help="write it although there is such a file")
    add_language(command)
    add_reading(command.add_argument_group("how the file is written (default: found in it)"))


def call(options: argparse.Namespace) -> None:
    """Read the data as `run` would, and write the file."""
    output = Path(options.output or f"{Path(options.data).name.split('.')[0]}.toml")
    check_output(output, "study.toml", force=options.force)
    from hpsearch.config import find_study, read_config
    from hpsearch.config.template import study_text
    from hpsearch.locales import Texts
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.run_options import RunOptions, prepare_data

    texts = Texts(options.lang)
    given = overrides(options)
    if strange := [key for key, _ in given if not key.startswith("data.")]:
        raise UserError(f"--set {strange[0]}: init takes settings of [data] alone. Write others into the file.")
    config = read_config(find_study("table"), given, output.stem)
    data = prepare_data(config, RunOptions(output.parent, "", "cpu"))
    words = ["python", "-m", "hpsearch", "init", options.data]
    if options.target:
        words += ["--target", options.target]
    settings = _data_settings(given, config.data.target)
    write_file(output, study_text(str(output), settings, data.summary, shlex.join(words)))
    screen = Screen(data.metric.name, texts)
    screen.introduce_data(data.summary)
    screen.row("written", output)
    screen.command("next", shlex.join(["python", "-m", "hpsearch", "run", str(output)]))


def _data_settings(given: list[tuple[str, Any]], target: Any) -> dict[str, Any]:
    """Return the settings of `[data]`, nested as the file has them."""
    settings: dict[str, Any] = {}
    for key, value in given:
        name, _, column = key.removeprefix("data.").partition(".")
        if column:
            settings.setdefault(name, {})[column.strip("\"'")] = value
        else:
            settings[name] = value
    if target is not None:
        settings["target"] = target
    return settings
