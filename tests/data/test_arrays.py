"""Arrays in .npz and .npy files: names by convention, channels, and each kind of bad file in one line, without reading a pickle."""

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data import memory
from hpsearch.data.assemble import assemble
from hpsearch.data.image_scale import scale_of
from hpsearch.data.loaders.array_files import read_array_file, read_inputs_file
from hpsearch.data.loaders.files import load_file
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.errors import UserError

random = np.random.default_rng(0)
X = random.random((60, 3))
Y = np.arange(60) % 3
A, B, C = np.full((4, 2), 1.0), np.full((3, 2), 2.0), np.full((2, 2), 3.0)
a, b, c = np.zeros(4), np.ones(3), np.full(2, 2.0)


@pytest.mark.parametrize(
    ("names", "target"),
    [
        (("X", "y"), None),
        (("x", "Y"), None),
        (("inputs", "targets"), None),
        (("data", "target"), None),
        (("images", "labels"), None),
        (("anything", "price"), "price"),
        (("X", "price"), "Price"),
    ],
)
def test_names(tmp_path: Path, names: tuple[str, str], target: str | None) -> None:
    """Inputs and targets are found by the names that people give them, or by the target's."""
    arrays: dict[str, Any] = dict(zip(names, (X, Y), strict=True))
    np.savez_compressed(tmp_path / "d.npz", **arrays)
    raw = read_array_file(tmp_path / "d.npz", target)
    assert np.array_equal(raw.inputs, X)
    assert np.array_equal(raw.targets, Y)
    assert (raw.given_test, raw.images, raw.source) == (0, {}, "file 'd.npz'")


def test_target_among_several(tmp_path: Path) -> None:
    """With further arrays the target's name decides, and the inputs keep theirs by convention."""
    np.savez(tmp_path / "d.npz", X=X, y=Y, weights=Y + 1)
    assert np.array_equal(read_array_file(tmp_path / "d.npz").targets, Y)
    assert np.array_equal(read_array_file(tmp_path / "d.npz", "weights").targets, Y + 1)


@pytest.mark.parametrize("form", ["x_{}", "X_{}", "{}_images"])
@pytest.mark.parametrize("target", [None, True])
def test_parts(tmp_path: Path, form: str, target: bool | None) -> None:
    """Parts by name give the last rows as test rows; validation rows join the training rows where there are test rows."""
    labels = form.replace("x", "y").replace("X", "y").replace("images", "labels")
    parts: dict[str, Any] = {form.format("train"): A, labels.format("train"): a}
    parts |= {form.format("test"): B, labels.format("test"): b}
    name = labels.format("train") if target else None
    np.savez(tmp_path / "d.npz", **parts)
    raw = read_array_file(tmp_path / "d.npz", name)
    assert (raw.inputs[:, 0].tolist(), raw.targets.tolist()) == ([1] * 4 + [2] * 3, [0] * 4 + [1] * 3)
    assert (raw.given_test, raw.notices) == (3, ())
    parts |= {form.format("val"): C, labels.format("val"): c}
    np.savez(tmp_path / "d.npz", **parts)
    raw = read_array_file(tmp_path / "d.npz", name)
    assert raw.inputs[:, 0].tolist() == [1] * 4 + [3] * 2 + [2] * 3
    assert raw.given_test == 3
    joined = f"The rows of '{form.format('val')}' joined those of '{form.format('train')}'"
    assert raw.notices == (f"{joined} (--set data.validation=given: they alone validate).",)
    kept = read_array_file(tmp_path / "d.npz", name, keep_validation=True)
    assert (kept.given_validation, kept.given_test, kept.notices) == (2, 3, ())
    assert np.array_equal(kept.inputs, raw.inputs)


def test_own_test_rows_are_kept_apart(tmp_path: Path) -> None:
    """Arrays of a test part are the test rows, all and only they, from the file's door on."""
    inputs = np.concatenate((random.random((40, 3)), 100 + random.random((20, 3))))
    np.savez(tmp_path / "d.npz", x_train=inputs[:40], y_train=Y[:40], x_test=inputs[40:], y_test=Y[40:])
    data = load_file(tmp_path / "d.npz", None)
    assert len(data.test) == 20
    assert data.test.inputs.min() > max(data.training.inputs.max(), data.validation.inputs.max())


def test_single_arrays(tmp_path: Path) -> None:
    """An .npy of inputs has its targets beside it or in a column; the other columns keep their numbers as names."""
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "labels.npy", Y)
    raw = read_array_file(tmp_path / "x.npy", "labels.npy")
    assert np.array_equal(raw.inputs, X)
    assert np.array_equal(raw.targets, Y)
    np.save(tmp_path / "table.npy", np.column_stack((X, Y)))
    for number in ("3", "-1"):
        raw = read_array_file(tmp_path / "table.npy", number)
        assert np.array_equal(raw.inputs.to_numpy(), X)
        assert np.array_equal(raw.targets, Y)
    raw = read_array_file(tmp_path / "table.npy", "1")
    assert list(raw.inputs.columns) == [0, 2, 3]
    assert np.array_equal(raw.targets, X[:, 1])
    assert np.array_equal(read_inputs_file(tmp_path / "x.npy"), X)


def test_images(tmp_path: Path) -> None:
    """Arrays of images are images, channels last are moved with a notice, and their scale is known by their type."""
    pixels = random.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", images=pixels, labels=Y[:, None])
    raw = read_array_file(tmp_path / "d.npz")
    assert np.array_equal(raw.inputs, np.moveaxis(pixels, 3, 1))
    assert raw.notices == ("Channels are the last axis of (60, 8, 8, 3): moved to position 1.",)
    data = assemble(raw, "d", "d", TaskOptions(), SplitOptions())
    assert (data.shape, data.classes) == ((3, 8, 8), ("0", "1", "2"))
    assert [data.preprocessing[key] for key in ("source", "size", "divisor", "bits")] == ["arrays", None, 1, 8]
    assert [scale_of(pixels * scale)["divisor"] for scale in (1.0, 1 / 255, 1 / 256)] == [1, 255, 255]
    assert scale_of(pixels > 9)["divisor"] == 255
    assert scale_of(-(pixels / 255))["divisor"] == 1


class Trap:
    """A pickle that writes a file when it is read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.place,))


def header(shape: str, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("_npy", ".npy"), content)
    return stream.getvalue()


def records() -> bytes:
    return npy(np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]))


BAD: dict[str, tuple[str, bytes, str | None, str]] = {
    "objects": (
        "d.npz",
        archive(X_npy=npy(np.array([None, 1], dtype=object)), y_npy=npy(Y)),
        None,
        "'X' holds Python objects.*could run code",
    ),
    "records": ("d.npz", archive(X_npy=records(), y_npy=npy(Y)), None, "'X' holds records.*as CSV"),
    "lengths": (
        "d.npz",
        archive(X_npy=npy(X), y_npy=npy(Y[:5])),
        None,
        r"'X' has shape \(60, 3\), 'y' \(5,\). Give one target",
    ),
    "a number": ("d.npz", archive(X_npy=npy(np.array(3.0)), y_npy=npy(Y)), None, r"'X' has shape \(\)"),
    "parts": (
        "d.npz",
        archive(x_train_npy=npy(A), y_train_npy=npy(a), x_test_npy=npy(X), y_test_npy=npy(Y)),
        None,
        r"parts of different shapes: 'x_train' \(4, 2\), 'x_test' \(60, 3\)",
    ),
    "unclear": (
        "d.npz",
        archive(p_npy=npy(X), q_npy=npy(Y)),
        None,
        "arrays 'p', 'q': unclear which are inputs and targets",
    ),
    "no such target": (
        "d.npz",
        archive(X_npy=npy(X), price_npy=npy(Y)),
        "prise",
        "no array 'prise'. Did you mean 'price'",
    ),
    "one array": ("d.npz", archive(X_npy=npy(X)), None, "arrays 'X': unclear"),
    "no array": ("d.npz", archive(), None, "no arrays in it"),
    "other files": ("d.npz", archive(**{"../../x.txt": b"x"}), None, "'../../x.txt' in it is no array"),
    "short": ("d.npz", archive(X_npy=npy(X)[:-8], y_npy=npy(Y)), None, r"'X' is damaged: 1,560 bytes, 1,568 expected"),
    "no zip": ("d.npz", b"PK\x03\x04 not really", None, "damaged, or no .npz file"),
    "text": ("d.npy", b"1,2,3\n", "0", "damaged, or no .npy file"),
    "bad sum": ("d.npz", archive(X_npy=npy(X), y_npy=npy(Y)).replace(npy(Y)[-9:-1], bytes(8)), None, "."),
    "bomb": ("d.npy", header("(900000000000000, )"), "0", "is damaged: .* bytes, 7,200,000,000,000,0.. expected"),
    "negative": ("d.npy", header("(-4, -2)") + bytes(64), "0", "damaged|such column"),
    "code": ("d.npy", header("__import__('os').system('x')"), "0", "damaged, or no .npy file"),
    "deep": ("d.npy", header("(" * 3000), "0", "damaged, or no .npy file"),
    "no target": ("d.npy", npy(X), None, "no target. Name the file"),
    "no such column": ("d.npy", npy(X), "7", r"target 7: shape \(60, 3\) has no such column"),
    "not beside": ("d.npy", npy(X), "labels.npy", "file '.*labels.npy': No such file"),
    "another kind": ("d.npy", npy(X), "labels.csv", "target 'labels.csv': an .npy file beside it expected"),
    "missing": ("", b"", None, "No such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path: Path, case: str) -> None:
    """Each kind of bad file is refused in one line that names it and says what to do."""
    name, content, target, message = BAD[case]
    if name:
        (tmp_path / name).write_bytes(content)
    if case == "bad sum":
        damage_a_sum(tmp_path / name)
        message = "damaged, or no .npz file"
    with pytest.raises(UserError, match=message) as caught:
        read_array_file(tmp_path / (name or "gone.npz"), target)
    text = str(caught.value)
    assert text.startswith(f"file '{tmp_path}")
    assert text.isprintable()
    assert text.endswith(".")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are pipes of this kind on POSIX alone")
@pytest.mark.parametrize("name", ["p.npz", "p.npy"])
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    """A pipe in the place of arrays, from which nothing ever comes, is refused at once."""
    os.mkfifo(tmp_path / name)
    for read in (lambda file: read_array_file(file, "0"), read_inputs_file):
        with pytest.raises(UserError, match="no ordinary file"):
            read(tmp_path / name)


def damage_a_sum(file: Path) -> None:
    """Store the arrays unpacked and change a number, so that the archive's sum no longer fits."""
    np.savez(file, X=X, y=Y)
    content = bytearray(file.read_bytes())
    place = content.find(X.tobytes()[:64]) + 16
    content[place] ^= 1
    file.write_bytes(content)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    """Code in an array of objects does not run, alone or in an archive."""
    trap = np.empty(1, dtype=object)
    trap[0] = Trap(tmp_path / "trapped")
    content = npy(trap)
    (tmp_path / "d.npy").write_bytes(content)
    (tmp_path / "d.npz").write_bytes(archive(X_npy=content, y_npy=npy(Y)))
    (tmp_path / "p.npy").write_bytes(pickle.dumps(Trap(tmp_path / "trapped")))
    for name in ("d.npy", "d.npz", "p.npy"):
        with pytest.raises(UserError):
            read_array_file(tmp_path / name, "0" if name.endswith("npy") else None)
    assert not (tmp_path / "trapped").exists()


def test_zip_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an archive declares is compared with the free memory before it is unpacked."""
    np.savez_compressed(tmp_path / "d.npz", X=np.zeros((100_000, 10)), y=np.arange(100_000) % 2)
    assert (tmp_path / "d.npz").stat().st_size < 200_000
    monkeypatch.setattr(memory, "available", lambda: 15_000_000)
    monkeypatch.setattr(np, "load", lambda *arguments, **options: pytest.fail("it was unpacked"))
    with pytest.raises(UserError, match=r"'X' \(100000, 10\) would need about 16\.0 MB of memory, 15\.0 MB are free"):
        read_array_file(tmp_path / "d.npz")
