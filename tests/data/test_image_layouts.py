"""Layouts of folders of images: parts are told from classes by more than a name, given rows stay where they are, and doubts are asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpsearch.data.dataset import Data
from hpsearch.data.loaders.files import load_file
from hpsearch.data.loaders.image_folder import read_image_folder
from hpsearch.data.loaders.image_layout import option, part_of
from hpsearch.data.options import ReadOptions, SplitOptions
from hpsearch.errors import UserError

SHADES = {"train": 40, "validation": 140, "test": 240}


def grey(folder: Path, shade: int, count: int = 12) -> None:
    """Write images of one shade, each a little lighter than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(np.full((4, 4), shade + number, dtype=np.uint8)).save(folder / f"{number:02}.png")


def divided(root: Path, parts: Mapping[str, str], form: str = "{part}/{label}") -> Path:
    """Write two classes in each part (a folder's name → what it is), shaded by part."""
    for name, part in parts.items():
        for label in ("cat", "dog"):
            grey(root / form.format(part=name, label=label), SHADES[part])
    return root


def shades(data: Data, part: str) -> set[int]:
    """Return the shades (tens of the first pixels) of a part's rows."""
    mean, scale = data.preprocessing["mean"][0], data.preprocessing["scale"][0]
    pixels = getattr(data, part).inputs[:, 0].numpy() * scale + mean
    return {int((pixel + 0.5) // 100) for pixel in pixels}


@pytest.mark.parametrize(
    ("training", "test"),
    [
        ("training", "testing"),
        ("TRAIN", "Test"),
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train2017", "test2017"),
        ("TrainSet", "TestSet"),
        ("train-images", "test-images"),
    ],
)
@pytest.mark.parametrize(
    "form", ["{part}/{label}", "{label}/{part}", "pictures/{part}/{label}", "a/b/{part}/images/{label}"]
)
def test_a_division_is_used(tmp_path: Path, training: str, test: str, form: str) -> None:
    """Parts in any case of letters, nested deeper or inside the classes, divide the rows, and that is said."""
    data = load_file(divided(tmp_path / "p", {training: "train", test: "test"}, form), None)
    assert data.classes == ("cat", "dog")
    assert len(data.test) == 24
    assert (shades(data, "training"), shades(data, "validation"), shades(data, "test")) == ({0}, {0}, {2})
    assert any(training in notice and "trains" in notice for notice in data.summary["notices"])


def test_validation_images_validate_where_that_is_asked(tmp_path: Path) -> None:
    """Images of a validation folder join the training ones, with a notice that has the option; with it they alone validate."""
    root = divided(tmp_path / "p", {"train": "train", "dev": "validation", "test": "test"})
    joined = load_file(root, None)
    assert joined.summary["notices"][0] == "Divided as its folders are: 'dev' validates, 'test' tests, 'train' trains."
    assert "--set data.validation=given" in joined.summary["notices"][1]
    data = load_file(root, None, split=SplitOptions(validation="given"))
    assert (shades(data, "training"), shades(data, "validation"), shades(data, "test")) == ({0}, {1}, {2})
    assert data.summary["rows"] == {"training": 24, "validation": 24, "test": 24}
    assert data.summary["notices"] == joined.summary["notices"][:1]
    for file in (root / "dev").rglob("*.png"):
        file.unlink()
    with pytest.raises(UserError, match=r"class folder '.*dev/cat' holds no images"):
        load_file(root, None, split=SplitOptions(validation="given"))


def test_validation_without_test_images(tmp_path: Path) -> None:
    """Given validation rows leave the test rows to be drawn; without any they are refused in one line."""
    root = divided(tmp_path / "p", {"train": "train", "val": "validation"})
    data = load_file(root, None, split=SplitOptions(validation="given", test=4))
    assert (shades(data, "training"), shades(data, "validation"), shades(data, "test")) == ({0}, {1}, {0})
    alone = divided(tmp_path / "q", {"train": "train"})
    with pytest.raises(UserError, match=r"validation 'given': the data bring no validation rows. Give a share"):
        load_file(alone, None, split=SplitOptions(validation="given"))


def parts(root: Path, asked: Mapping[str, str]) -> tuple[Sequence[str], int, int]:
    """Return the classes, all rows and the test rows of a folder whose parts are said."""
    raw = read_image_folder(root, ReadOptions(parts=asked))
    return sorted(set(raw.targets)), len(raw.targets), raw.given_test


def test_an_unknown_third_folder_is_asked(tmp_path: Path) -> None:
    """Beside a division a folder that is no part by its name is refused with both readings, and each option does what it says."""
    root = divided(tmp_path / "p", {"train": "train", "test": "test", "extra": "train"})
    with pytest.raises(UserError, match=r"'extra' like none.*data\.parts\.extra=train .*data\.parts\.extra=class"):
        load_file(root, None)
    assert parts(root, {"extra": "train"}) == (["cat", "dog"], 72, 24)
    assert parts(root, {"extra": "drop"}) == (["cat", "dog"], 48, 24)
    assert parts(root, {"extra": "test"}) == (["cat", "dog"], 72, 48)
    assert parts(root, {"extra": "class"}) == (["extra", "test", "train"], 72, 0)


def test_a_flat_third_folder_is_asked(tmp_path: Path) -> None:
    """Unlabelled images beside a division (as of a competition) are refused too, and can be left out."""
    root = divided(tmp_path / "p", {"train": "train", "test": "test"})
    grey(root / "pred.1", 0)
    with pytest.raises(UserError, match=r"'pred.1' like none") as caught:
        load_file(root, None)
    assert option("pred.1", "train") in str(caught.value)
    assert parts(root, {"pred.1": "drop"}) == (["cat", "dog"], 48, 24)


def test_a_flat_test_folder_names_the_option(tmp_path: Path) -> None:
    """A part whose images lie in no class's folder is refused, with the option that leaves it out."""
    root = divided(tmp_path / "p", {"train": "train"})
    grey(root / "test", 0)
    with pytest.raises(
        UserError, match=r"test' holds 12 images, but no folder for a class.*--set data.parts.test=drop"
    ):
        load_file(root, None)
    assert parts(root, {"test": "drop"}) == (["cat", "dog"], 24, 0)


def test_parts_without_a_training_part(tmp_path: Path) -> None:
    """Folders called as parts none of which trains are no classes in silence."""
    root = divided(tmp_path / "p", {"test": "test", "val": "validation"})
    with pytest.raises(UserError, match=r"none of them trains by its name.*--set data.parts.test=train"):
        load_file(root, None)
    assert parts(root, {"test": "train"}) == (["cat", "dog"], 48, 24)


def test_classes_called_like_parts(tmp_path: Path) -> None:
    """A class may be called train: a name alone makes no division."""
    for name in ("train", "bus", "car"):
        grey(tmp_path / "p" / name, 40)
    raw = read_image_folder(tmp_path / "p")
    assert sorted(set(raw.targets)) == ["bus", "car", "train"]
    assert raw.notices == ()


def test_folders_within_classes_are_said(tmp_path: Path) -> None:
    """Sub-folders that repeat within classes are read as one, with a notice that says what else they may be."""
    root = divided(tmp_path / "p", {"indoor": "train", "outdoor": "test"}, "{label}/{part}")
    raw = read_image_folder(root)
    assert sorted(set(raw.targets)) == ["cat", "dog"]
    assert raw.notices[0].startswith(
        "Folders 'indoor', 'outdoor' are in several classes ('cat', 'dog') and not told apart."
    )


def test_unequal_layouts(tmp_path: Path) -> None:
    """Parts with other classes, and classes some of whose images lie in no part, are refused and named."""
    root = divided(tmp_path / "p", {"train": "train", "test": "test"})
    grey(root / "test/bird", 0)
    with pytest.raises(UserError, match=r"class 'bird' has no training images"):
        load_file(root, None)
    inside = divided(tmp_path / "q", {"train": "train", "test": "test"}, "{label}/{part}")
    grey(inside / "cat", 0)
    with pytest.raises(UserError, match=r"its sub-folders hold parts .*cat' does not fit.*data.parts.cat=class"):
        load_file(inside, None)
    assert parts(inside, {"cat": "class"}) == (["cat", "dog"], 60, 0)


def test_wrong_parts(tmp_path: Path) -> None:
    """What is said of folders that are not there, or is no part, is refused with what there is."""
    root = divided(tmp_path / "p", {"train": "train", "test": "test"})
    with pytest.raises(UserError, match=r"parts: no sub-folder 'tset'. Did you mean 'test'"):
        parts(root, {"tset": "drop"})
    with pytest.raises(UserError, match=r"parts.test 'tst': unknown. Did you mean 'test'"):
        parts(root, {"test": "tst"})
    with pytest.raises(UserError, match=r"parts: a table has no images"):
        load_file(Path(__file__), "x", read=ReadOptions(parts={"a": "drop"}))


def test_names_of_parts() -> None:
    """Ornament around a part's name does not hide it; two parts' names, or another word, make none."""
    assert [part_of(name) for name in ("Train", "my_test", "train_test", "trainer", "valid-set")] == [
        *("train", None, None, None, "validation")
    ]
