"""Bad input through the command line: one clear line for each problem, the right exit status, no traceback, nothing written."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.commands import COMMANDS
from hpsearch.config import STUDIES
from hpsearch.data import DATASETS

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder and without a cache, so that whatever is written is seen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    return tmp_path


def refused(arguments: list[str], capsys: Capture) -> tuple[int, list[str]]:
    """Return the exit status and the lines of a refusal, each of which stands for itself."""
    status = main(arguments)
    screen = capsys.readouterr()
    lines = screen.err.splitlines()
    assert lines
    assert all(line.startswith("error: ") and line.isprintable() and len(line) < 600 for line in lines), lines
    assert screen.out == "", "an error stands alone"
    return status, lines


KNOWN = ", ".join(sorted({*(file.stem for file in STUDIES.glob("*.toml")), *DATASETS}))
OURS = [
    # where and how
    ("nosuch", f"no study 'nosuch': neither a file, nor one of hpsearch's own, nor a data set. Known: {KNOWN}."),
    ("digit", "no study 'digit': neither a file, nor one of hpsearch's own, nor a data set. Did you mean 'digits'?"),
    ("", "no study '': neither a file"),
    ("/dev/null", "no study '/dev/null'"),
    ("x" * 600, "neither a file, nor one of hpsearch's own, nor a data set"),
    ("a\nb", "no study 'a\\nb'"),
    ("\udcff\x1b[2J", "no study '\\udcff\\x1b[2J'"),
    ("my.csv", "'my.csv' is a data file, not a study. Give it so: --data my.csv --target COLUMN."),
    ("..", "no study '..': neither a file, nor one of hpsearch's own, nor a data set. Is it a folder of images by class?"),
    # settings
    ("--set minima.seeds=10", "the escape tests (table [minima]) are a comparison's. Remove the table."),
    ("--set learning_rate.lo=1", "space.learning_rate.lo: unknown key. Did you mean 'low'?"),
    ("--set space.learning_rate=0", "space.learning_rate is 0; expected a number > 0"),
    ("--set learning_rate.high=-1", "space.learning_rate.high is -1; expected a number > 0"),
    ("--set learning_rate.high=1e-9", "is reversed: low = 0.0001 is above high = 1e-09. Swap them."),
    ("--set learning_rate=nan", "space.learning_rate is nan; expected a number > 0"),
    ("--set learning_rate=1e999", "space.learning_rate is inf; expected a number > 0"),
    (f"--set learning_rate={'9' * 5000}", "expected a number > 0"),
    (f"--set depth={'9' * 4000}", "space.depth is 999"),
    ("--set learning_rate=[]", "space.learning_rate is an empty list. Give at least one value."),
    ("--set learning_rate=[1,1.0]", "lists a value twice: 1. Give each once."),
    ("--set batch_size=[0]", "space.batch_size is 0; expected a whole number ≥ 1 and ≤ 1,000,000, or 'full'."),
    ("--set batch_size={low=1,high=1e12}", "space.batch_size.high is 1000000000000.0; expected a whole number"),
    ("--set width=1e9", "space.width is 1000000000.0; expected a whole number ≥ 1 and ≤ 1,000,000."),
    ("--set optimizer=adma", "space.optimizer is unknown: 'adma'. Did you mean 'adam'?"),
    ("--set dropout=1.5", "space.dropout is 1.5; expected a number ≥ 0 and < 1."),
    ("--set nonsense", "--set nonsense: expected KEY=VALUE, for example --set learning_rate.high=0.3."),
    ("--set =3", "expected KEY=VALUE"),
    ("--set serach.sampler=random", "--set serach.sampler: unknown key. Did you mean 'search'?"),
    ("--set data=3", "data is 3; expected a table."),
    ("--set training.epochs=0", "training.epochs is 0; expected a whole number ≥ 1"),
    ("--set training.patience=0", "training.patience is 0; expected a whole number ≥ 1"),
    ("--set search.lag=0", "search.lag is 0; expected a whole number ≥ 1"),
    ("--trials 0", "command line: search.trials is 0; expected a whole number ≥ 1 and ≤ 10,000,000."),
    ("--trials -3", "search.trials is -3; expected a whole number ≥ 1"),
    ("--trials 99999999999", "search.trials is 99999999999; expected a whole number"),
    ("--timeout nan", "search.timeout is nan; expected a number > 0 and ≤ 1,000,000,000."),
    ("--timeout 0", "search.timeout is 0.0; expected a number > 0"),
    ("--seed -1", "study.seed is -1; expected a whole number ≥ 0"),
    ("--name=", "study.name is ''; expected text of 1 to 200 characters."),
    ("--name=\x1b[31m", "study.name is '\\x1b[31m'; expected 1 to 200 characters that print."),
    # devices
    ("--device cuda:99", "device 'cuda:99': this machine has"),
    ("--device tpu", "device 'tpu': not a device. Give cpu, cuda, cuda:0 or mps."),
    ("--device meta", "device 'meta': hpsearch trains on cpu, cuda and mps. Give one of them."),
    ("--device cuda:-1", "device 'cuda:-1': not a device."),
    ("--device=", "device '': not a device."),
    # data
    ("--set data.name=digts", "unknown data set 'digts'. Did you mean 'digits'?"),
    ("mnist", "data 'mnist': its files are read from a folder. Pass --data-root DIR"),
    ("mnist --data-root /nonexistent", "There is no folder /nonexistent: pass another --data-root"),
    ("--set data.name=cifar10 --data-root /nonexistent", "data 'cifar10': no folder /nonexistent/cifar-10-batches-py."),
    ("--set search.metric=acuracy", "data 'digits': unknown metric 'acuracy'. Did you mean 'accuracy'?"),
    ("--set search.metric=rmse", "metric 'rmse' does not fit a multiclass task. Choose one of: accuracy, balanced_accuracy,"),
    ("--set data.task=binary", "task 'binary' needs 2 classes"),
    ("--set data.task=binry", "data.task is 'binry'; expected 'regression' or 'binary' or 'multiclass' or 'multilabel'."),
    ("--set data.validation=0.999", "data 'digits': validation 1,795: only 1,527 rows are left"),
    ("--set data.validation=1.5", "data.validation is 1.5; expected a number > 0 and < 1, or a whole number"),
    ("--set data.rows=3", "data 'digits': training 3: too few rows, 10 classes need one row each."),
    # sampler, pruner
    ("--sampler tpr", "unknown sampler 'tpr'. Did you mean 'tpe'?"),
    ("--sampler bayes", "unknown sampler 'bayes'. Did you mean 'tpe'? Known: cmaes,"),
    ("--sampler Grid-Search", "Did you mean 'grid'?"),
    ("--pruner asha", "Did you mean 'halving'?"),
    ("--metric auc", "Did you mean 'roc_auc'?"),
    ("--pruner media", "unknown pruner 'media'. Did you mean 'median'?"),
    ("--sampler grid", "space.dropout, learning_rate, momentum, weight_decay: a grid needs points."),
    # storages
    ("--storage=", "storage '': not a URL."),
    ("--storage foo", "storage 'foo': not a URL. Write for example sqlite:///study.db"),
    ("--storage mysql+mysqldb://nobody@127.0.0.1:1/x", "needs the package 'MySQLdb'"),
    ("--storage postgresql+psycopg2://u:secret@127.0.0.1:1/x", "//u:***@127.0.0.1:1/x: needs the package 'psycopg2'"),
    ("--storage grpc://127.0.0.1", "write grpc://HOST:PORT"),
    ("--storage foo://x", "storage foo://x"),
    ("--storage sqlite:///", "storage sqlite:///"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "fragment"),
    OURS,
    ids=[str(getattr(row, "values", row)[0])[:50].encode("unicode_escape").decode() for row in OURS],
)
def test_run_refuses(line: str, fragment: str, place: Path, capsys: Capture) -> None:
    """A mistake in a run's command line gives one line that says it, status 2, and writes nothing at all."""
    arguments = [line] if "\n" in line or not line else line.split(" ")
    status, lines = refused(["run", *arguments, "--reports", "reports"], capsys)
    assert status == 2
    assert len(lines) == 1
    assert fragment in lines[0]
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
@pytest.mark.parametrize("folder", ["/dev/null", "{}/nope", "nope/deeper"])
def test_a_storage_where_no_folder_is(kind: str, folder: str, place: Path, capsys: Capture) -> None:
    """A folder that a storage's URL names and that is not there may be a slip of the pen: it is told, not made."""
    folder = folder.format(place)
    status, lines = refused(["run", "--storage", f"{kind}:///{folder}/x.db", "--reports", "reports"], capsys)
    assert (status, len(lines)) == (2, 1)
    assert f"there is no folder {folder}. Make it, or give another URL." in lines[0]
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("kind", "package"), [("postgresql", "psycopg"), ("redis", "redis")])
def test_a_server_that_is_away(kind: str, package: str, place: Path, capsys: Capture) -> None:
    """A storage's server that does not answer is told in one line, without its password, with status 3."""
    pytest.importorskip(package)
    status, lines = refused(["run", "--storage", f"{kind}://u:secret@127.0.0.1:1/0"], capsys)
    assert (status, len(lines)) == (3, 1)
    assert f"storage {kind}://u:***@127.0.0.1:1/0: " in lines[0]
    assert "refused" in lines[0]


def test_a_storage_in_memory_is_refused(place: Path, capsys: Capture) -> None:
    """A storage that is gone with the process is refused before the first trial."""
    status, lines = refused(
        ["run", "--set", "data.name=iris", "--set", "training.updates=1", "--trials", "1", "--storage", "sqlite://"],
        capsys,
    )
    assert status == 2
    assert len(lines) == 1


def test_all_problems_at_once(capsys: Capture) -> None:
    """A command line with four mistakes gets four lines."""
    status, lines = refused(
        ["run", "--trials", "0", "--seed", "-1", "--set", "dropout=2", "--set", "training.epochs=0"], capsys
    )
    assert status == 2
    assert len(lines) == 4
    assert all(line.startswith("error: command line: ") for line in lines)


def test_a_broken_file_is_named(place: Path, capsys: Capture) -> None:
    """Every problem of a study's file is a line that begins with the file."""
    (place / "my.toml").write_text(
        "[data]\nname='digits'\nrow=3\n[space]\ndepht=2\n[training]\nepochs=0\nupdates='x'\n"
    )
    status, lines = refused(["run", "my.toml"], capsys)
    assert status == 2
    assert [line.split(": ")[:2] for line in lines] == [["error", "my.toml"]] * 4


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"[" * 5000, bytes(range(256)), b"#" * 2_000_000], ids=range(5))
def test_a_file_that_is_no_study(content: bytes, place: Path, capsys: Capture) -> None:
    """A file of anything else is told in one line, and stays as it is."""
    (place / "my.toml").write_bytes(content)
    status, lines = refused(["run", "my.toml"], capsys)
    assert (status, len(lines)) == (2, 1)
    assert lines[0].startswith("error: my.toml: ")
    assert list(place.iterdir()) == [place / "my.toml"]


REPORTS = [
    ("nosuchstudy", 2, "nosuchstudy"),
    ("sqlite:///nope.db", 2, "no storage sqlite:///nope.db: the file does not exist."),
    ("journal:///nope.log", 2, "no storage journal:///nope.log: the file does not exist."),
    ("../../etc/passwd", 2, "no study "),
    ("", 2, "no study "),
    ("\udcff\x1b[2J", 2, "no study "),
    ("x" * 300, 2, "no study "),
    ("mysql+mysqldb://nobody@127.0.0.1:1/x", 2, "needs the package 'MySQLdb'"),
    ("foo://x", 2, "storage foo://x"),
]


@pytest.mark.parametrize(("source", "status", "fragment"), REPORTS, ids=range(len(REPORTS)))
def test_report_refuses(source: str, status: int, fragment: str, place: Path, capsys: Capture) -> None:
    """A report of what is not there gives one line and writes nothing."""
    got, lines = refused(["report", source], capsys)
    assert (got, len(lines)) == (status, 1)
    assert fragment in lines[0]
    assert list(place.iterdir()) == []


DAMAGED = {
    "text": b"these are my notes\n" * 50,
    "garbage": bytes(i * i % 251 for i in range(4096)),
    "magic": b"SQLite format 3\0" + bytes(i * i % 251 for i in range(4080)),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("command", ["report {url}", "run --set data.name=iris --trials 1 --storage {url} --name x"])
def test_a_damaged_storage_is_left_as_it_is(kind: str, command: str, place: Path, capsys: Capture) -> None:
    """A file that is no SQLite storage is told with status 3, and not a byte of it changes."""
    file = place / "study.db"
    file.write_bytes(DAMAGED[kind])
    status, lines = refused(command.format(url=f"sqlite:///{file}").split(), capsys)
    assert (status, len(lines)) == (3, 1)
    assert "damaged" in lines[0]
    assert file.read_bytes() == DAMAGED[kind]


def test_another_programs_database(place: Path, capsys: Capture) -> None:
    """A report of a SQLite file that is no Optuna storage gives one line, and the file stays as it is."""
    file = place / "photos.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table photos (name text)")
    connection.close()
    before = file.read_bytes()
    status, lines = refused(["report", f"sqlite:///{file}"], capsys)
    assert status in (2, 3)
    assert len(lines) == 1
    assert file.read_bytes() == before


def test_a_file_where_the_reports_should_be(place: Path, capsys: Capture) -> None:
    """A file in the place of the reports' folder is told with the option to change, and stays."""
    (place / "reports").write_text("mine")
    status, lines = refused(["run"], capsys)
    assert (status, len(lines)) == (2, 1)
    assert "--reports DIR" in lines[0]
    assert (place / "reports").read_text() == "mine"


@pytest.mark.parametrize("folder", ["/proc/x", "/dev/null/x"])
@pytest.mark.parametrize("command", ["run", "run --storage sqlite:///kept.db --trials 1 --set data.name=iris"])
def test_reports_where_no_folder_can_be(command: str, folder: str, place: Path, capsys: Capture) -> None:
    """A --reports DIR that cannot be made is bad input, status 2, and says which option to change."""
    status, lines = refused([*command.split(), "--reports", folder], capsys)
    assert (status, len(lines)) == (2, 1)
    assert lines[0].startswith(f"error: {folder}")
    assert "--reports DIR" in lines[0]


LONG = "x" * 300  # characters, of which no file's name may have so many
TOO_LONG = [
    f"check {LONG}.csv --target x",
    f"init {LONG}.csv --target x",
    f"init my.csv --target x -o {LONG}.toml",
    f"predict mine {LONG}.csv",
    f"show mine --reports {LONG}",
    f"run iris --reports {LONG}",
    f"run iris --storage sqlite:///{LONG}/study.db",
    f"run iris --model {LONG}.py:build",
    f"run mnist --data-root {LONG}",
    f"report mine --output {LONG}.html",
]


@pytest.mark.parametrize("line", TOO_LONG, ids=[line.replace(LONG, "LONG") for line in TOO_LONG])
def test_a_path_that_no_file_can_have(line: str, place: Path, capsys: Capture) -> None:
    """A path too long for the file system is a line that says so, wherever it is given; nothing is written."""
    (place / "my.csv").write_text("a,x\n1,2\n")
    status, lines = refused(line.split(), capsys)
    assert (status, len(lines)) == (2, 1)
    assert "File name too long. Give another path." in lines[0] or "no study 'mine'" in lines[0]
    assert [path.name for path in place.iterdir()] == ["my.csv"]


def test_a_folder_as_a_storage(place: Path, capsys: Capture) -> None:
    """The URL of a folder is bad input, not a storage that cannot be reached."""
    for kind in ("sqlite", "journal"):
        for command in (["show"], ["run", "iris", "--storage"]):
            status, lines = refused([*command, f"{kind}:///{place}"], capsys)
            assert (status, len(lines)) == (2, 1)
            assert "a folder, or no ordinary file. Give the URL of a file." in lines[0]


def test_a_url_without_a_file_is_told_whole(capsys: Capture) -> None:
    """No part of the sentence on a URL that names nothing is taken for a password."""
    status, lines = refused(["show", "sqlite://"], capsys)
    assert (status, len(lines)) == (2, 1)
    assert "storage sqlite://: names no file, so nothing would be kept. Write for example" in lines[0]
    assert "***" not in lines[0]


KNOWN = ", ".join(sorted(COMMANDS))
PARSER = [
    ("--", f"COMMAND is missing. Known: {KNOWN}. See python -m hpsearch --help."),
    ("frobnicate", f"unknown command 'frobnicate'. Known: {KNOWN}."),
    ("rum", "unknown command 'rum'. Did you mean 'run'?"),
    ("--frob run", "unknown option '--frob'."),
    ("run --wxyz", "unknown option '--wxyz'. Known: "),
    ("run --trails 3", "unknown option '--trails'. Did you mean '--trials'?"),
    ("run --sampelr=tpe", "unknown option '--sampelr=tpe'. Did you mean '--sampler'?"),
    ("run a b", "one argument too many: 'b'. See python -m hpsearch run --help."),
    ("run --trials abc", "--trials 'abc': a whole number expected."),
    (f"run --trials {'x' * 900}", "…: a whole number expected."),
    ("run --trials", "--trials: a value expected."),
    ("run --seed 1.5", "--seed '1.5': a whole number expected."),
    ("run --parallel many", "--parallel 'many': a whole number expected."),
    ("run --timeout soon", "--timeout 'soon': a number expected."),
    ("verify x --trials 1e3", "--trials '1e3': a whole number expected."),
    ("run --download=yes", "--download ignored explicit argument 'yes'."),
    ("report", "NAME_OR_STORAGE is missing. See python -m hpsearch report --help."),
]


@pytest.mark.parametrize(("line", "fragment"), PARSER, ids=[line[:40] for line, _ in PARSER])
def test_the_parsers_own_errors(line: str, fragment: str, place: Path, capsys: Capture) -> None:
    """What the parser refuses is one line too, with status 2: what was given, what was expected, what may have been meant."""
    status, lines = refused(line.split(), capsys)
    assert (status, len(lines)) == (2, 1)
    assert fragment in lines[0]
    assert list(place.iterdir()) == []


def test_help_and_version_are_no_errors(capsys: Capture) -> None:
    """`--help` of the whole and of a command, and `--version`, print to the screen and end with status 0."""
    for arguments in (["--help"], ["run", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["run", "digit"], ["run", "--set", "depth=-1", "--trials", "0"]])
def test_as_a_process(arguments: list[str], place: Path) -> None:
    """A process of its own says the same and ends with the same status, without a traceback."""
    run = subprocess.run(
        [sys.executable, "-m", "hpsearch", *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert all(line.startswith("error: ") for line in run.stderr.splitlines())
    assert list(place.iterdir()) == []


def test_debug_shows_the_traceback(capsys: Capture) -> None:
    """With --debug the traceback comes before the line, which stays."""
    assert main(["run", "nosuch", "--debug"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.splitlines()[-1].startswith("error: no study 'nosuch'")
