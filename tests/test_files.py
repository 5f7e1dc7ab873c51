"""Files: whole or not at all, and names that cannot leave their place."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpsearch.errors import StorageError, UserError
from hpsearch.files import RESERVED, folder_name, make_folder, write_file

SAFE = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}")
NASTY = [
    "",
    " ",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    "CON",
    "con",
    "nul",
    "a\0b",
    "a\nb",
    "\x1b[2J",
    "-rf",
    "x" * 600,
    "ä",
    "日本",
    "\udcff",
    "a\\b",
    "~",
]


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_text_and_bytes(tmp_path: Path) -> None:
    """Text is written as UTF-8 and bytes as they are, and nothing is left beside them."""
    write_file(tmp_path / "text", "ä\n")
    write_file(tmp_path / "bytes", b"\0\xff")
    assert (tmp_path / "text").read_bytes() == b"\xc3\xa4\n"
    assert (tmp_path / "bytes").read_bytes() == b"\0\xff"
    assert listing(tmp_path) == ["bytes", "text"]


@pytest.mark.parametrize("crash", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_crash_before_the_replacing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: BaseException
) -> None:
    """Whatever ends a write before the file takes its place, the old file stays and no half of the new one is left."""

    def fail(*_: object) -> None:
        raise crash

    write_file(tmp_path / "file", "old")
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError if isinstance(crash, OSError) else type(crash)):
        write_file(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert listing(tmp_path) == ["file"]


def test_synced_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before the name points to it."""
    order: list[str] = []
    real_fsync = os.fsync
    real_replace = Path.replace

    def fsync(file: int) -> None:
        order.append("sync")
        real_fsync(file)

    def replace(path: Path, to: Path) -> Path:
        order.append("replace")
        return real_replace(path, to)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_file(tmp_path / "file", "x")
    assert order == ["sync", "replace"]


def test_full_disk_says_what_to_do(tmp_path: Path) -> None:
    """A full disk is told with the file and what to do, in one line."""
    with pytest.raises(StorageError, match=r"No space left on device\. Free space .* run the same command\."):
        write_full(tmp_path)
    assert listing(tmp_path) == []


def write_full(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        write_file(folder / "file", "new")


@pytest.mark.parametrize("place", ["missing/file", "plain/file", "x" * 300])
def test_impossible_places_are_one_line(tmp_path: Path, place: str) -> None:
    """A missing folder, a file for a folder and a name too long are told in one line that names the place."""
    (tmp_path / "plain").write_text("a file")
    with pytest.raises(StorageError) as caught:
        write_file(tmp_path / place, "x")
    assert str(tmp_path / place) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert listing(tmp_path) == ["plain"]


def test_folder_is_made_with_its_parents_and_left_empty(tmp_path: Path) -> None:
    """A folder is made, proven writable, and nothing is left in it; again is no error."""
    assert make_folder(tmp_path / "a/b") == tmp_path / "a/b"
    make_folder(tmp_path / "a/b")
    assert listing(tmp_path / "a/b") == []


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300])
def test_impossible_folders_are_one_line(tmp_path: Path, place: str) -> None:
    """A file where the folder should be is told in one line that says which option to change."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--reports DIR") as caught:
        make_folder(tmp_path / place)
    assert len(str(caught.value).splitlines()) == 1


def test_a_full_disk_is_no_mistake_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for which the disk has no room is the storage's failure, not a wrong path."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageError, match="No space left on device"):
        make_folder(tmp_path / "a")


def test_two_processes_may_make_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that removes its proof of writing between ours is no error."""
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, to: (replace(path, to), to.unlink()))
    assert make_folder(tmp_path / "a").is_dir()


@pytest.mark.parametrize("name", ["digits", "a", "0", "my_study-2", "study-20240101", "x" * 64])
def test_plain_names_are_their_folders(name: str) -> None:
    """A plain name is its own folder, so that a user finds it."""
    assert folder_name(name) == name


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.text() | st.sampled_from(NASTY))
@example("../../etc")
@example("CON")
def test_folder_names_are_safe(name: str) -> None:
    """No name leaves its place, is reserved by a system, or needs quoting."""
    folder = folder_name(name)
    assert SAFE.fullmatch(folder)
    assert folder.split(".")[0] not in RESERVED


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.lists(st.text(max_size=6) | st.sampled_from(NASTY) | st.from_regex(SAFE, fullmatch=True), unique=True))
def test_distinct_names_have_distinct_folders(names: list[str]) -> None:
    """Two studies never share a folder."""
    assert len({folder_name(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", NASTY)
def test_no_plain_name_is_another_names_folder(name: str) -> None:
    """A study that is called like the folder of another one gets a folder of its own."""
    assert folder_name(folder_name(name)) != folder_name(name)
