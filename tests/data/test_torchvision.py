"""Data sets of torchvision's by name, from small files in their published forms; no network."""

import bz2
import csv
import pickle
import socket
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torchvision
from PIL import Image
from torchvision.datasets import FakeData

from hpsearch.data import load, memory
from hpsearch.data.loaders.torchvision_sets import CHECKED, find_set, read_set, unpickles
from hpsearch.data.options import SplitOptions
from hpsearch.errors import UserError

random = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*address: Any, **options: Any) -> None:
        raise OSError("the tests have no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def save(file: Path, pixels: np.ndarray) -> np.ndarray:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return pixels


def test_one_part(tmp_path: Path) -> None:
    """EuroSAT, which has no test rows, is read whole; classes have the folders' names and large images shrink."""
    for name in ("Forest", "River"):
        for number in range(12):
            save(tmp_path / f"eurosat/2750/{name}/{number}.png", random.integers(0, 256, (70, 70, 3), dtype=np.uint8))
    data = load("eurosat", root=tmp_path)
    assert (data.name, data.classes, data.shape) == ("EuroSAT", ("Forest", "River"), (3, 32, 32))
    assert len(data.training) + len(data.validation) + len(data.test) == 24
    raw = read_set("EuroSAT", tmp_path, False)
    theirs = torchvision.datasets.EuroSAT(tmp_path)
    resized = [np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1) for image, _ in theirs]
    assert np.array_equal(raw.inputs, resized)
    assert list(raw.targets) == [label for _, label in theirs]
    assert {key: raw.images[key] for key in ("source", "size", "divisor", "bits")} == {
        **{"source": "torchvision", "size": 32, "divisor": 1, "bits": 8}
    }
    assert raw.notices == ("Images of 70×70 pixels resized to 32×32 (set data.size for another size).",)
    assert load("EuroSAT", root=tmp_path, size=16).shape == (3, 16, 16)


def test_train_and_test(tmp_path: Path) -> None:
    """USPS, whose parts are said by `train`, is read with its own test rows, grey and in its own size."""
    for name, rows in (("usps.bz2", 40), ("usps.t.bz2", 20)):
        pixels = random.integers(0, 256, (rows, 256))
        lines = [
            f"{row % 10 + 1} " + " ".join(f"{i}:{p / 127.5 - 1:.6f}" for i, p in enumerate(image))
            for row, image in enumerate(pixels)
        ]
        (tmp_path / name).write_bytes(bz2.compress("\n".join(lines).encode()))
    raw = read_set("USPS", tmp_path, False)
    test = torchvision.datasets.USPS(tmp_path, train=False)
    assert (raw.inputs.shape, raw.given_test) == ((60, 1, 16, 16), 20)
    assert np.array_equal(raw.inputs[40:, 0], test.data)
    assert raw.targets[40:].tolist() == test.targets
    data = load("usps", root=tmp_path, split=SplitOptions(validation=10))
    assert data.summary["rows"] == {"training": 30, "validation": 10, "test": 20}


def test_splits(tmp_path: Path) -> None:
    """GTSRB, whose parts are said by `split` and whose images differ in size, is read with its own test rows."""
    base, rows = tmp_path / "gtsrb", []
    (base / "GTSRB/Final_Test/Images").mkdir(parents=True)
    for label in (0, 1):
        for number in range(10):
            save(
                base / f"GTSRB/Training/{label:05}/{number:05}.ppm",
                np.full((20 + number, 25, 3), 50 * label, dtype=np.uint8),
            )
            name = f"{label}{number}.ppm"
            save(base / f"GTSRB/Final_Test/Images/{name}", np.full((30, 30, 3), 50 * label, dtype=np.uint8))
            rows.append((name, label))
    with (base / "GT-final_test.csv").open("w") as file:
        csv.writer(file, delimiter=";").writerows([("Filename", "ClassId"), *rows])
    raw = read_set("GTSRB", tmp_path, False)
    assert (raw.inputs.shape, raw.given_test) == ((40, 1, 32, 32), 20)  # these images happen to be grey
    assert np.array_equal(raw.inputs[:, 0, 5, 5], 50 * raw.targets)
    assert raw.notices == ("Images of 25×20 to 30×30 pixels resized to 32×32 (set data.size for another size).",)


def test_matrices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SVHN is read from its .mat files once their sums are the published ones; a digit 0 is a 0."""
    lists = {}
    for split, rows in (("train", 30), ("test", 20)):
        file = tmp_path / f"{split}_32x32.mat"
        pixels = random.integers(0, 256, (32, 32, 3, rows), dtype=np.uint8)
        scipy.io.savemat(file, {"X": pixels, "y": np.arange(rows)[:, None] % 10 + 1})
        lists[split] = ["", file.name, md5(file.read_bytes(), usedforsecurity=False).hexdigest()]
    with pytest.raises(UserError, match=r"SVHN cannot be read: 'Dataset not found or corrupted.*Add --download"):
        load("svhn", root=tmp_path)
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", lists)
    raw = read_set("SVHN", tmp_path, False)
    assert np.array_equal(raw.inputs[30:], pixels.transpose(3, 2, 0, 1))
    assert raw.targets[:30].tolist() == [*range(1, 10), 0] * 3


def test_validation_images_join(tmp_path: Path) -> None:
    """Of a set with parts train, val and test the search has the first two (here DTD)."""
    base = tmp_path / "dtd/dtd"
    (base / "labels").mkdir(parents=True)
    for part, rows in (("train", 8), ("val", 6), ("test", 4)):
        names = [f"{('dotted', 'woven')[n % 2]}/{part}{n}.png" for n in range(rows)]
        for number, name in enumerate(names):
            save(base / "images" / name, np.full((8, 8, 3), 10 * number, dtype=np.uint8))
        (base / f"labels/{part}1.txt").write_text("\n".join(names))
    raw = read_set("DTD", tmp_path, False)
    assert (raw.classes, raw.given_test) == (("dotted", "woven"), 4)
    assert (raw.inputs[:, 0, 0, 0] // 10).tolist() == [*range(8), *range(6), *range(4)]
    assert raw.targets.tolist() == [0, 1] * 9


def test_items_that_are_no_classes(tmp_path: Path) -> None:
    """A set whose items are something else than an image and its class is refused with what they are."""
    for split in ("training", "testing"):
        save(tmp_path / f"Kitti/raw/{split}/image_2/000000.png", np.zeros((8, 8, 3), dtype=np.uint8))
        (tmp_path / f"Kitti/raw/{split}/label_2").mkdir()
        (tmp_path / f"Kitti/raw/{split}/label_2/000000.txt").write_text("Car 0 0 0 1 1 2 2 1 1 1 0 0 0 0")
    with pytest.raises(UserError, match=r"Kitti gives \(image, list\), \(image, class\) expected"):
        read_set("Kitti", tmp_path, False)


def cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write CIFAR-100 in small, and let its sums be the published ones."""
    folder, kind = root / "cifar-100-python", torchvision.datasets.CIFAR100
    folder.mkdir()
    sums = {}
    for name, rows in (("train", 200), ("test", 100)):
        batch = {
            "data": random.integers(0, 256, (rows, 3072), dtype=np.uint8),
            "fine_labels": [n % 100 for n in range(rows)],
        }
        sums[name] = pickle.dumps(batch)
    sums["meta"] = pickle.dumps({"fine_label_names": [f"thing {n}" for n in range(100)]})
    for name, content in sums.items():
        (folder / name).write_bytes(content)
    digests = {name: md5(content, usedforsecurity=False).hexdigest() for name, content in sums.items()}
    monkeypatch.setattr(kind, "train_list", [["train", digests["train"]]])
    monkeypatch.setattr(kind, "test_list", [["test", digests["test"]]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": digests["meta"]})


def test_checked_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-100 loads once its files have the published sums, and with other files it does not run the code in them."""
    cifar(tmp_path, monkeypatch)
    data = load("CIFAR-100", root=tmp_path, split=SplitOptions(validation=100))
    assert (data.shape, data.classes[3], len(data.test)) == ((3, 32, 32), "thing 3", 100)

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "trapped",))

    (tmp_path / "cifar-100-python/train").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match="CIFAR100 cannot be read: 'Dataset not found or corrupted"):
        load("cifar100", root=tmp_path)
    assert not (tmp_path / "trapped").exists()


def test_unchecked_pickles_are_refused(tmp_path: Path) -> None:
    """Of all of torchvision's sets those that would unpickle unchecked are refused; no other is taken for one."""
    kinds = {name: getattr(torchvision.datasets, name) for name in torchvision.datasets.__all__}
    found = {name for name, kind in kinds.items() if isinstance(kind, type) and unpickles(kind)}
    own = {"MNIST", "FashionMNIST", "KMNIST", "QMNIST", "EMNIST"}  # rows of DATASETS, whose files are checked there
    assert found - own == {"LSUN", "LSUNClass", *CHECKED}
    for name in ("LSUN", "LSUNClass"):
        with pytest.raises(UserError, match=f"{name} unpickles files unchecked, and that can run code"):
            load(name, root=tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cocodetection", "CocoDetection needs annFile beside its name"),
        ("image_folder", "ImageFolder is no data set. Give the folder itself: data.file"),
        ("USPS", "USPS cannot be read: .*No such file.*Add --download"),
        ("STL10", "STL10 cannot be read: 'Dataset not found"),
        ("EuroSatt", "unknown data set 'EuroSatt'"),
        ("wrap_dataset_for_transforms_v2", "unknown data set"),
    ],
)
def test_refused(tmp_path: Path, name: str, message: str) -> None:
    """A set that a name does not suffice for, one whose files are missing, and a name that is none give one line."""
    with pytest.raises(UserError, match=message) as caught:
        load(name, root=tmp_path)
    assert str(caught.value).isprintable()


def test_folder_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set with files needs a folder; nothing is fetched unasked, even by the two sets that would."""
    monkeypatch.setenv("XDG_CACHE_HOME", "nowhere")
    with pytest.raises(UserError, match=r"data 'SVHN': its files are read from a folder. Pass --data-root DIR"):
        load("svhn")
    with pytest.raises(UserError, match="SEMEION cannot be read"):
        load("semeion", root="/nowhere")


def test_names_of_our_own_come_first(tmp_path: Path) -> None:
    """Torchvision's spellings of our rows mean our rows, whose files are checked; a size is refused where it would do nothing."""
    for name, own in (("FashionMNIST", "fashion_mnist"), ("CIFAR10", "cifar10"), ("MNIST", "mnist")):
        with pytest.raises(UserError, match=f"data '{own}': "):
            load(name, root=tmp_path)
    with pytest.raises(UserError, match=r"data 'digits': size 16: its images keep their size. Remove data.size"):
        load("digits", size=16)
    assert find_set("gtsrb") == "GTSRB"
    assert find_set("oxford_iiit_pet") == "OxfordIIITPet"


def test_fake_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set without files or folder is read by its signature; its items are those that torchvision gives."""
    monkeypatch.setattr(FakeData.__init__, "__defaults__", (40, (3, 12, 10), 4, None, None, 0))
    raw, theirs = read_set("FakeData", None, False), FakeData()
    assert np.array_equal(raw.inputs, [np.asarray(image).transpose(2, 0, 1) for image, _ in theirs])
    assert raw.targets.tolist() == [int(label) for _, label in theirs]
    assert (raw.images["size"], raw.notices) == (None, ())
    monkeypatch.setattr(memory, "available", lambda: 40 * 360 * 6 - 1)
    with pytest.raises(UserError, match="40 images of 10×12 pixels would need"):
        read_set("FakeData", None, False)
