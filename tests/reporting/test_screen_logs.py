"""What hpsearch logs, as the screen shows it."""

import logging

import pytest

from hpsearch.reporting.screen import Screen


@pytest.mark.parametrize("verbose", [False, True])
def test_the_screen_shows_warnings_and_explanations_when_asked(
    verbose: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning is a sentence of its own; explanations have their head, and come with `verbose` alone; after the run nothing is shown."""
    logger = logging.getLogger("hpsearch.training.engines")
    screen = Screen("accuracy")
    with screen.logs(verbose):
        logger.info("fused engine, as asked")
        logger.warning("worker 1 is lost")
    logger.info("fused engine, as asked")
    explained = ["engine     fused engine, as asked"] if verbose else []
    assert capsys.readouterr().out.splitlines() == [*explained, "worker 1 is lost"]
