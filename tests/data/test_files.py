"""Data sets read from files: every torchvision kind on small made-up files, and each kind of damage."""

import gzip
import pickle
import shutil
import socket
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from hpsearch.data import load
from hpsearch.data.loaders.datasets import DATASETS, EMNIST_FILES, MNIST_FILES, QMNIST_FILES
from hpsearch.data.options import SplitOptions
from hpsearch.errors import UserError

FILES = {
    "mnist": ("MNIST", MNIST_FILES, 10),
    "fashion_mnist": ("FashionMNIST", MNIST_FILES, 10),
    "kmnist": ("KMNIST", MNIST_FILES, 10),
    "qmnist": ("QMNIST", QMNIST_FILES, 10),
    "emnist": ("EMNIST", EMNIST_FILES, 47),
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*address: Any, **options: Any) -> None:
        raise OSError("the tests have no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def idx(array: np.ndarray, kind: int) -> bytes:
    return bytes((0, 0, kind, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def write(root: Path, name: str, rows: int = 3) -> Path:
    """Write files of `rows` training images and 2 test images of each class; return their folder."""
    kind, files, classes = FILES[name]
    raw = root / kind / "raw"
    raw.mkdir(parents=True)
    for (images, labels), each in zip((files[:2], files[2:]), (rows, 2), strict=True):
        numbers = np.tile(np.arange(classes, dtype=np.uint8), each)
        pixels = np.zeros((len(numbers), 28, 28), dtype=np.uint8)
        pixels[:, 3, 20] = numbers + 1  # row 3, column 20
        (raw / images).write_bytes(idx(pixels, 0x08))
        wide = np.zeros((len(numbers), 8), dtype=">i4")
        wide[:, 0] = numbers
        (raw / labels).write_bytes(idx(wide, 0x0C) if name == "qmnist" else idx(numbers, 0x08))
    return raw


@pytest.mark.parametrize("name", FILES)
def test_kinds(tmp_path: Path, name: str) -> None:
    """Each kind loads from its own folder with its own test rows, its class names, and pixels that go with the labels."""
    write(tmp_path, name)
    classes = FILES[name][2]
    data = load(name, root=tmp_path, split=SplitOptions(validation=classes))
    assert data.summary["rows"] == {"training": 2 * classes, "validation": classes, "test": 2 * classes}
    assert (data.shape, data.outputs, len(data.classes)) == ((1, 28, 28), classes, classes)
    place = (20, 3) if name == "emnist" else (3, 20)  # EMNIST's files are transposed
    for rows in (data.training, data.test):
        lit = rows.inputs.reshape(-1, 28, 28)[:, place[0], place[1]]
        assert len(lit.unique()) == classes
        assert rows.targets[lit.argsort()].diff().min() >= 0


def test_class_names(tmp_path: Path) -> None:
    """Digits are called 0 … 9, clothes and letters by their names."""
    for name in ("mnist", "fashion_mnist", "emnist"):
        write(tmp_path, name)
    assert load("mnist", root=tmp_path, split=SplitOptions(validation=10)).classes == tuple("0123456789")
    assert load("fashion_mnist", root=tmp_path, split=SplitOptions(validation=10)).classes[9] == "Ankle boot"
    assert load("emnist", root=str(tmp_path), split=SplitOptions(validation=47)).classes == tuple(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
    )


def unlink(*names: str) -> Callable[[Path], None]:
    def damage(raw: Path) -> None:
        for name in names:
            (raw / name).unlink()

    return damage


def rename(old: str, new: str) -> Callable[[Path], object]:
    return lambda raw: (raw / old).rename(raw / new)


def compress(raw: Path) -> None:
    for path in list(raw.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def cut(raw: Path) -> None:
    path = raw / MNIST_FILES[0]
    path.write_bytes(path.read_bytes()[:-1])


def fill(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda raw: (raw / name).write_bytes(content)


def other_case(raw: Path) -> None:
    raw.rename(raw.with_name("Raw"))
    raw.parent.rename(raw.parent.with_name("mnist"))


def up(raw: Path) -> None:
    raw.rename(raw.parents[1] / "raw")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "one missing": (unlink(MNIST_FILES[1]), "train-labels-idx1-ubyte missing in .*raw. Add --download"),
    "all missing": (unlink(*MNIST_FILES), "t10k-labels-idx1-ubyte missing in .*Add --download"),
    "compressed": (compress, "They are there compressed: gunzip train-images-idx3-ubyte.gz .* in that folder"),
    "compressed, renamed": (fill(MNIST_FILES[0], gzip.compress(b"x")), r"no IDX file \(it begins with 1f8b.*gunzip it"),
    "truncated": (cut, "train-images-idx3-ubyte is truncated: 23,535 bytes, 23,536 expected from its header. Delete"),
    "empty": (fill(MNIST_FILES[2], b""), r"no IDX file \(it begins with nothing\). Delete"),
    "header only": (fill(MNIST_FILES[3], bytes((0, 0, 8, 1))), "is truncated: 4 bytes, 8 expected"),
    "a web page": (fill(MNIST_FILES[3], b"<!doctype html>"), r"no IDX file \(it begins with 3c21646f"),
    "too long": (
        fill(MNIST_FILES[1], idx(np.zeros(30, dtype=np.uint8), 8) + b"x"),
        "is too long: 39 bytes, 38 expected",
    ),
    "counts": (fill(MNIST_FILES[1], idx(np.zeros(29, dtype=np.uint8), 8)), "30 images, but train-labels.* 29 labels"),
    "labels": (fill(MNIST_FILES[1], idx(np.full(30, 77, dtype=np.uint8), 8)), "labels 77 outside 0 … 9"),
    "other case": (other_case, "Found mnist/Raw, a folder of another case: rename it to MNIST/raw"),
    "dots": (
        rename(MNIST_FILES[0], "train-images.idx3-ubyte"),
        "Found train-images.idx3-ubyte there: rename it to train-",
    ),
    "one level up": (up, "Found files in .* itself: pass the folder that holds MNIST/raw as --data-root"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(tmp_path: Path, damage: str) -> None:
    """Each kind of damage gives one line that names the file and what to do, without touching the network."""
    spoil, message = DAMAGE[damage]
    spoil(write(tmp_path, "mnist"))
    with pytest.raises(UserError, match=message) as caught:
        load("mnist", root=tmp_path, split=SplitOptions(validation=10))
    assert str(caught.value).startswith("data 'mnist': ")
    assert str(caught.value).isprintable()


def test_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data sets with files say which option gives the folder, and when it is not there; what is to be fetched has a cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    for name, row in DATASETS.items():
        if row.kind == "folder":
            with pytest.raises(UserError, match=f"data '{name}': .*Pass --data-root DIR"):
                load(name)
            with pytest.raises(UserError, match="--download"):
                load(name, root=tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    assert not (tmp_path / "none").exists()
    with pytest.raises(UserError, match="could not fetch the files"):
        load("mnist", download=True)


class Trap:
    """A pickle that writes a file when it is read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.place,))


def test_legacy_files_are_refused(tmp_path: Path) -> None:
    """Legacy .pt files, which torchvision would rather read, are refused and not opened, download or not."""
    processed = write(tmp_path, "mnist").with_name("processed")
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        (processed / name).write_bytes(pickle.dumps(Trap(tmp_path / "trapped")))
    for download in (False, True):
        with pytest.raises(UserError, match=r"legacy files \(test.pt, training.pt\).*Move that folder away"):
            load("mnist", root=tmp_path, download=download, split=SplitOptions(validation=10))
    assert not (tmp_path / "trapped").exists()


def test_complete_files_need_no_network(tmp_path: Path) -> None:
    """`download` with all files there fetches nothing; with damaged ones it says so; with none it reports the failure."""
    raw = write(tmp_path, "mnist")
    assert load("mnist", root=tmp_path, download=True, split=SplitOptions(validation=10)).outputs == 10
    cut(raw)
    unlink(MNIST_FILES[3])(raw)
    with pytest.raises(UserError, match="is truncated"):
        load("mnist", root=tmp_path, download=True, split=SplitOptions(validation=10))
    shutil.rmtree(raw)
    with pytest.raises(UserError, match=r"could not fetch the files.*no network.*Try again") as caught:
        load("mnist", root=tmp_path, download=True, split=SplitOptions(validation=10))
    assert str(caught.value).isprintable()


def test_own_test_rows_are_kept(tmp_path: Path) -> None:
    """A data set with test rows keeps them in order, and refuses to draw others."""
    write(tmp_path, "mnist")
    assert load("mnist", root=tmp_path, split=SplitOptions(validation=10)).test.targets.tolist() == [
        *range(10),
        *range(10),
    ]
    with pytest.raises(UserError, match="test 5: this data set brings 20 test rows of its own"):
        load("mnist", root=tmp_path, split=SplitOptions(validation=10, test=5))


def cifar() -> dict[str, bytes]:
    """Return CIFAR-10 files in small."""
    labels = list(range(10)) * 2
    colours = np.arange(20 * 3 * 1024, dtype=np.int64).reshape(20, 3, 1024) % 7
    colours[:, 1] += 100  # the second channel is bright
    batch = pickle.dumps({"data": colours.reshape(20, 3072).astype(np.uint8), "labels": labels})
    meta = pickle.dumps({"label_names": [f"thing {i}" for i in range(10)]})
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return {**dict.fromkeys(names, batch), "batches.meta": meta}


def write_cifar(root: Path, files: dict[str, bytes]) -> None:
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 loads with channels first, once its files have the sums that are published."""
    files = cifar()
    write_cifar(tmp_path, files)
    kind, sums = torchvision.datasets.CIFAR10, {n: md5(c, usedforsecurity=False).hexdigest() for n, c in files.items()}
    monkeypatch.setattr(kind, "train_list", [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)])
    monkeypatch.setattr(kind, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums["batches.meta"]})
    data = load("cifar10", root=tmp_path, split=SplitOptions(validation=20))
    assert (data.shape, data.classes[3]) == ((3, 32, 32), "thing 3")
    assert data.summary["rows"] == {"training": 80, "validation": 20, "test": 20}
    channels = data.training.inputs.reshape(-1, 3, 1024)
    assert channels.mean(dim=(0, 2)).abs().max() < 1e-4  # a mix of channels would not have mean 0 in each


@pytest.mark.parametrize("download", [False, True])
def test_cifar_is_checked_before_it_is_unpickled(tmp_path: Path, download: bool) -> None:
    """Files that are not the published ones are refused, and the code in them does not run."""
    trap = pickle.dumps(Trap(tmp_path / "trapped"))
    write_cifar(tmp_path, dict.fromkeys(cifar(), trap))
    message = "could not fetch" if download else "missing or not the published ones .by their MD5"
    with pytest.raises(UserError, match=message):
        load("cifar10", root=tmp_path, download=download)
    assert not (tmp_path / "trapped").exists()
    pickle.loads(trap)  # noqa: S301 - the trap does work
    assert (tmp_path / "trapped").exists()
