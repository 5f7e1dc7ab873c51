"""The first figure as a file that goes into slides and messages: `summary.png`, or `summary.svg` where nothing here can make one.

A PNG is made by kaleido where it is installed, else by a Chromium of this machine. Neither loads anything, and no failure of theirs ends a
report: what they cannot do is left to the next way, and the SVG needs neither.
"""

import importlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import plotly.graph_objects as go

from hpsearch.comparison.page.slide import HEIGHT, WIDTH, lines_of, slide
from hpsearch.files import write_file
from hpsearch.reporting.figures.style import LIGHT, label

PNG = b"\x89PNG\r\n\x1a\n"  # the first bytes of every PNG
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    f"--window-size={WIDTH},{HEIGHT}",
)
PATIENCE = 30  # seconds that a browser may take


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be seen: the figure with its title, and both as they are drawn here."""

    figure: go.Figure
    title: str
    svg: str


def write_picture(figure: go.Figure, title: str, remark: str, page: Path) -> Path:
    """Write the figure under its title beside the page as `summary.png`, else as `summary.svg`, and return its path.

    A file of the other kind is removed, since it would show an earlier state. Of `report.ko.html` they are `summary.ko.png` and so on.

    Raises:
        StorageError: the file cannot be written.
    """
    picture = Picture(figure, title, slide(figure, title, remark))
    png = next(filter(None, (way(picture) for way in WAYS)), None)
    content, ending, other = (png, "png", "svg") if png else (picture.svg, "svg", "png")
    path = page.with_name(page.name.replace("report", "summary")).with_suffix(f".{ending}")
    write_file(path, content)
    path.with_suffix(f".{other}").unlink(missing_ok=True)
    return path


def by_kaleido(picture: Picture) -> bytes | None:
    """Return the figure as a PNG by kaleido; None where it is not installed or fails, whatever the reason."""
    heading = {"text": "<br>".join(map(label, lines_of(picture.title))), "x": 0.02}
    heading |= {"font": {"size": 24, "color": LIGHT["ink"]}}
    options = {"format": "png", "width": WIDTH, "height": HEIGHT, "scale": 2}
    look = {"title": heading, "margin": {"t": 110}, "height": HEIGHT, "paper_bgcolor": LIGHT["surface"]}
    try:
        kaleido = importlib.import_module("kaleido")
        # Without `mathjax` kaleido would load it from the network.
        figure = go.Figure(picture.figure).update_layout(look).to_dict()
        return _png(kaleido.calc_fig_sync(figure, opts=options, kopts={"mathjax": False}))
    except Exception:  # it starts a browser of its own, which may fail in any way
        return None


def by_browser(picture: Picture) -> bytes | None:
    """Return the SVG as a PNG by a Chromium of this machine; None where there is none or it fails."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        return None
    with TemporaryDirectory(prefix="hpsearch-", ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "summary.html"
        drawn = Path(folder) / "summary.png"
        style = "<style>body{margin:0}</style>"
        page.write_text(f"<!DOCTYPE html><meta charset='utf-8'>{style}{picture.svg}", encoding="utf-8")
        command = [program, *FLAGS, *_sandbox(), f"--user-data-dir={folder}/profile", f"--screenshot={drawn}"]
        try:
            subprocess.run([*command, page.as_uri()], check=True, timeout=PATIENCE, capture_output=True)  # noqa: S603
            return _png(drawn.read_bytes())
        except (OSError, subprocess.SubprocessError):
            return None


WAYS = (by_kaleido, by_browser)  # of making a PNG, the first that can


def _sandbox() -> list[str]:
    """Return the flag without which Chromium refuses to start as root; the page that it shows is our own and runs no script."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ["--no-sandbox"] if is_root else []


def _png(content: bytes) -> bytes | None:
    return content if content.startswith(PNG) else None
