"""What the tests of comparisons share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def short_repeats() -> Iterator[None]:
    """Time the plain loop for an instant only: these tests do not look at how long it took."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpsearch.comparison.timing.REPEAT_SECONDS", 0.001)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_browser() -> Iterator[None]:
    """Write the first figure as an SVG: the tests of the picture ask for a browser themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpsearch.comparison.page.picture.WAYS", ())
        yield
