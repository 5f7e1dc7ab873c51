"""The folder of a study: found by the study's name, by the folder's, and by its path."""

from pathlib import Path

import pytest

from hpsearch.errors import UserError
from hpsearch.files import folder_name
from hpsearch.storage.folders import STUDY_FILE, study_folder


@pytest.mark.parametrize("name", ["plain", "my sales", "Größe", "a.b"])
def test_a_study_has_two_names(name: str, tmp_path: Path) -> None:
    """A study whose name is no folder's is found by its name, and by the folder's name that reports show; none outside is."""
    folder = tmp_path / "reports" / folder_name(name)
    folder.mkdir(parents=True)
    (folder / STUDY_FILE).touch()
    for source in (name, folder.name, str(folder)):
        assert study_folder(source, folder.parent) == folder
    (tmp_path / STUDY_FILE).touch()
    with pytest.raises(UserError, match="no study"):
        study_folder("..", folder.parent)
