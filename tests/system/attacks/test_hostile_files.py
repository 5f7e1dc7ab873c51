"""Names, links and sizes in data files: nothing is read or written outside of its folder, nothing fills the memory."""

import gzip
import zipfile
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hpsearch.data import load_file
from hpsearch.errors import UserError
from hpsearch.files import folder_name

ROWS = 1_000_000


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", ".", "a/../../b", "a\\..\\b", "~root", "\x00", "CON", "-rf"]
)
def test_a_studys_folder_stays_in_the_reports_folder(name: str, tmp_path: Path) -> None:
    """Whatever a study is called, its folder lies directly in the reports' folder."""
    folder = (tmp_path / folder_name(name)).resolve()
    assert folder.parent == tmp_path.resolve()
    assert folder != tmp_path.resolve()


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/evil.npy", "a/../../evil.npy"])
def test_an_archive_is_not_unpacked_onto_the_disk(name: str, tmp_path: Path) -> None:
    """Whatever the members of an archive of arrays are called, no file is written."""
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.write(tmp_path / "x.npy", name)
    before = {*tmp_path.parent.rglob("*")}
    with pytest.raises(UserError):
        load_file(tmp_path / "x.npz", None)
    assert {*tmp_path.parent.rglob("*")} == before


@pytest.mark.parametrize(("link", "target"), [("2.png", "secret/1.png"), ("more", "secret")], ids=["file", "folder"])
def test_a_link_out_of_a_folder_of_images_is_refused(link: str, target: str, tmp_path: Path) -> None:
    """A link from a folder of images to a file or folder outside is refused and not followed."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/1.png").write_bytes(b"secret")
    for label in ("cats", "dogs"):
        (tmp_path / "images" / label).mkdir(parents=True)
    (tmp_path / "images/cats" / link).symlink_to(tmp_path / target)
    with pytest.raises(UserError, match="is a link that leaves its folder"):
        load_file(tmp_path / "images", None)


def test_an_archive_that_declares_too_much(tmp_path: Path) -> None:
    """An .npz of a kilobyte that declares 10 terabytes is refused by its header, before a byte is unpacked."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1250000000000, 1), }".ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("X.npy", content)
        archive.writestr("y.npy", content)
    with pytest.raises(UserError):
        load_file(tmp_path / "x.npz", None)


@pytest.mark.parametrize("suffix", ["csv.gz", "parquet"])
def test_a_table_that_unpacks_into_too_much(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a few kilobytes that unpacks into more than the memory takes is refused."""
    monkeypatch.setattr("hpsearch.data.loaders.csv_bytes.free_memory", lambda: 2_000_000)
    monkeypatch.setattr("hpsearch.data.memory.available", lambda: 2_000_000)
    file = tmp_path / f"x.{suffix}"
    if suffix == "csv.gz":
        file.write_bytes(gzip.compress(b"a,y\n" + b"1,2\n" * ROWS))
    else:
        pq.write_table(pa.table({name: np.zeros(ROWS, np.int64) for name in "ay"}), file)
    assert file.stat().st_size < 20_000
    with pytest.raises(UserError, match=r"memory that is free|would need about .* of memory, 2\.0 MB are free"):
        load_file(file, "y")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file: length, kind, content and checksum."""
    return len(content).to_bytes(4, "big") + kind + content + crc32(kind + content).to_bytes(4, "big")


def test_an_image_that_declares_too_much(tmp_path: Path) -> None:
    """A PNG of 60 bytes that declares 2,500,000,000 pixels is refused by its header."""
    header = (50_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    image = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")
    for label in ("cats", "dogs"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.png").write_bytes(image)
    with pytest.raises(UserError):
        load_file(tmp_path, None)
