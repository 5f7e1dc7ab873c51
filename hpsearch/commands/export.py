"""`export`: a study's model as a file that others read, checked against torch."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.commands.options import add_language, add_model, add_reports, check_output, own_build
from hpsearch.commands.recorded import show_model
from hpsearch.errors import look_up
from hpsearch.storage.folders import folder_of

if TYPE_CHECKING:
    from hpsearch.model.signature import Signature
    from hpsearch.reporting.screen import Screen

LISTED = 24  # inputs that are listed on the screen
HELP = "onnx, pt2 (torch.export) or safetensors (default: onnx)"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(command)
    command.add_argument("--format", default="onnx", metavar="NAME", help=HELP)
    command.add_argument("-o", "--output", metavar="FILE", help="the file (default: the study's name, in this folder)")
    command.add_argument("--force", action="store_true", help="overwrite the file where it is there")
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Write the file, and print how far its answers are from torch's."""
    from hpsearch.locales import Texts
    from hpsearch.model.exporting import FORMATS, check_place, export
    from hpsearch.model.saved import load_named_model
    from hpsearch.reporting.formatting import short
    from hpsearch.reporting.screen import Screen

    texts = Texts(options.lang)
    row = look_up(FORMATS, options.format, "format")
    folder = folder_of(options.study, Path(options.reports))
    name = folder.resolve().name
    if options.model != "best":
        name += f"-{options.model}"
    path = Path(options.output or f"{name}{row.suffix}")
    check_place(options.format, path)
    for suffix in (row.suffix, *row.beside):
        check_output(path.with_suffix(suffix), f"model{row.suffix}", force=options.force)
    model = load_named_model(options.study, Path(options.reports), options.model, own_build(options))
    exported = export(model, options.format, path)
    screen = Screen("", texts)
    size = f"{exported.path.stat().st_size:,}"
    show_model(screen, "export", texts("screen.export.line", path=exported.path, size=size), model)
    kind = "probability" if model.classes else "target"
    difference = short(exported.difference)
    screen.row("check", texts(f"screen.export.check_{kind}", difference=difference, rows=f"{exported.rows:,}"))
    if exported.signature:
        _show_signature(screen, exported.signature)


def _show_signature(screen: "Screen", signature: "Signature") -> None:
    """Print what the file takes and gives: name, type, shape and content of each."""
    from hpsearch.model.signature import lines

    for head, ports in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        for number, line in enumerate(lines(ports, LISTED, screen.texts.word)):
            screen.row("" if number else head, line)
