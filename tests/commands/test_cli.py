"""The command line as a user has it: run, continue, stop, resume, report."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from safetensors import safe_open

from hpsearch.cli import main
from hpsearch.errors import HpsearchError, StorageError
from hpsearch.storage.attributes import with_checksum
from hpsearch.storage.reading import read_study

QUICK = """
[study]
question = "Which flower?"
[data]
name = "iris"
[space]
depth = { low = 0, high = 2 }
width = [4, 8]
learning_rate = { low = 1e-3, high = 1e-1, log = true }
batch_size = [16, "full"]
[training]
epochs = 4
[search]
trials = 5
"""
LONG = QUICK.replace("epochs = 4", "epochs = 4000000").replace('[16, "full"]', "[1]")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    file = tmp_path / "flowers.toml"
    file.write_text(QUICK)
    return file


def arguments(study: Path, *more: str) -> list[str]:
    return ["run", str(study), "--reports", str(study.parent / "out"), "--device", "cpu", *more]


def trials(study: Path) -> list[tuple[object, ...]]:
    url = f"sqlite:///{study.parent}/out/flowers/study.db"
    stored = optuna.load_study(study_name="flowers", storage=url).trials
    return [(t.number, t.state.name, t.values, t.params, t.user_attrs["hpsearch:run"]["best"]) for t in stored]


@pytest.mark.slow
def test_run_makes_everything(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command leaves storage, tables, best network and report in the study's folder, and says what it found."""
    assert main(arguments(study)) == 0
    folder = study.parent / "out/flowers"
    assert {"study.db", "best.safetensors", "report.html", "tables"} <= {file.name for file in folder.iterdir()}
    screen = capsys.readouterr().out
    for words in (
        "Iris",
        "multiclass into 3 classes",
        "5/5 trials",
        "best accuracy",
        "test",
        "training the best 3 trials again on fresh seeds: 15 runs",
        "on fresh seeds (mean of 5, 95 % interval over seeds",
        "the search's best was",
        "report",
    ):
        assert words in screen
    result = read_study(f"sqlite:///{folder}/study.db").result
    assert [member["trial"] for member in json.loads((folder / "best.json").read_text())["members"]] == [
        result["trial"]
    ]
    with safe_open(folder / "best.safetensors", "pt") as file:
        assert sum(file.get_tensor(name).numel() for name in file.keys()) == result["parameters"]  # noqa: SIM118


@pytest.mark.slow
def test_same_command_continues(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same command trains nothing new; more trials go on; the first ones stay as they were."""
    main(arguments(study))
    first = trials(study)
    assert "nothing is trained" not in capsys.readouterr().out
    assert main(arguments(study, "-v")) == 0
    assert "all 5 trials are stored: nothing is trained" in capsys.readouterr().out
    assert trials(study) == first
    assert main(arguments(study, "--trials", "7")) == 0
    assert trials(study)[:5] == first
    assert len(trials(study)) == 7
    assert "test rows were used" not in capsys.readouterr().out.split("7/7")[0]


def test_changed_space_is_refused(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another space under the same name is refused with the difference, and everything is left as it was."""
    main(arguments(study))
    before = trials(study)
    capsys.readouterr()
    assert main(arguments(study, "-v", "--set", "learning_rate.high=0.5")) == 2
    screen = capsys.readouterr()
    assert "space.learning_rate.high was 0.1, now 0.5" in screen.err
    assert screen.out == ""
    assert trials(study) == before


@pytest.mark.slow
def test_best_network_is_trained_again_where_its_file_is_gone(study: Path) -> None:
    """Without the weights' file an extended study trains its best trial again, to the same figures."""
    main(arguments(study))
    folder = study.parent / "out/flowers"
    weights = (folder / "best.safetensors").read_bytes()
    (folder / "best.safetensors").unlink()
    url = f"sqlite:///{folder}/study.db"
    result = read_study(url).result
    optuna.load_study(study_name="flowers", storage=url).set_user_attr("hpsearch:result", with_checksum({}, "result"))
    assert main(arguments(study)) == 0
    assert read_study(url).result == result
    assert (folder / "best.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_report_from_the_storage_alone(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report is rebuilt from a copy of the storage in another place."""
    main(arguments(study))
    copy = tmp_path / "copy.db"
    copy.write_bytes((study.parent / "out/flowers/study.db").read_bytes())
    assert main(["report", f"sqlite:///{copy}", "--reports", str(tmp_path / "other")]) == 0
    assert (tmp_path / "other/flowers/report.html").stat().st_size < 10_000_000
    assert main(["report", "flowers", "--reports", str(study.parent / "out")]) == 0
    assert capsys.readouterr().out.count("report.html") >= 3


def test_every_trial_failing_has_its_status(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where every trial diverges the status is 4, the line says what to do, and the report is there."""
    assert (
        main(arguments(study, "--set", "learning_rate=1e30", "--set", "optimizer=sgd", "--set", "training.epochs=30"))
        == 4
    )
    screen = capsys.readouterr()
    assert "Lower the upper end of the learning rate" in screen.err
    assert "5/5 trials, no best yet" in screen.out
    assert "5 diverged" in screen.out
    assert (study.parent / "out/flowers/report.html").exists()


@pytest.mark.parametrize("storage", ["journal:///{}/study.log", "sqlite:///{}/other.db"])
def test_storage_of_choice(study: Path, tmp_path: Path, storage: str) -> None:
    """With --storage the study is kept there, and is an ordinary Optuna study."""
    url = storage.format(tmp_path)
    assert main(arguments(study, "--storage", url)) == 0
    assert len(read_study(url).trials) == 5
    assert not (study.parent / "out/flowers/study.db").exists()


def test_a_name_that_is_no_folders_is_told(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study whose name cannot be its folder's is kept inside the reports' folder, under another name, and a line says so."""
    more = ("--trials", "1", "--set", "training.epochs=1")
    assert main(arguments(study, "--name", "../x", *more)) == 0
    (folder,) = (study.parent / "out").iterdir()
    assert f"study '../x' is kept in {folder}: a folder's name is" in capsys.readouterr().out
    assert main(arguments(study, "--name", "plain", *more)) == 0
    assert "is kept in" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_folder_belongs_to_one_storage(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Report and best network of a study are not overwritten by one of the same name in another storage, whichever came first."""
    first, second = f"sqlite:///{tmp_path}/first.db", f"journal:///{tmp_path}/second.log"
    more = ("--trials", "2")
    for kept, others in (((), (first, second)), (("--storage", first, "--name", "mine"), (second, None))):
        assert main(arguments(study, *more, *kept)) == 0
        folder = study.parent / "out" / ("mine" if kept else "flowers")
        before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        for other in others:
            storage = ("--storage", other) if other else ()
            assert main(arguments(study, *more, "--name", folder.name, *storage)) == 2
            assert f"{folder} holds the report and the best network of a study kept in" in capsys.readouterr().err
        assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before
        assert main(arguments(study, *more, *kept)) == 0
    assert not (tmp_path / "second.log").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "gp", "cmaes"])
@pytest.mark.parametrize("pruner", ["halving"])
def test_every_sampler_runs(study: Path, sampler: str, pruner: str) -> None:
    """Each sampler searches a real data set, conditional parameters and pruning included."""
    more = ("--sampler", sampler, "--pruner", pruner, "--set", 'optimizer=["momentum","adam"]')
    assert main(arguments(study, *more, "--set", "momentum={low=0.5,high=0.9}", "--set", "search.lag=1")) == 0


@pytest.mark.slow
def test_grid(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A grid ends when it is used up, and says so."""
    assert main(arguments(study, "--sampler", "grid", "--set", "learning_rate=[0.01,0.1]", "--trials", "99")) == 0
    assert "grid complete" in capsys.readouterr().out


@pytest.mark.parametrize("data", ["breast_cancer", "diabetes", "wine", "digits"])
def test_embedded_data(study: Path, data: str) -> None:
    """Binary, regression and multiclass data sets that come along each give a study."""
    assert main(arguments(study, "--set", f"data.name={data}", "--trials", "2")) == 0


# ------------------------------------------------------------------ stopping


def start(study: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a run whose first trial lasts for minutes, and wait until that trial is in the storage."""
    study.write_text(LONG)
    command = [sys.executable, "-m", "hpsearch", *arguments(study)]
    environment = {**os.environ, **environment}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for _ in range(3000):
        time.sleep(0.1)
        try:
            if read_study(f"sqlite:///{study.parent}/out/flowers/study.db").trials:
                return process
        except HpsearchError:  # not there yet, or not whole
            continue
    process.kill()
    raise AssertionError(process.communicate()[0])


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_cleanly(study: Path, number: int, status: int) -> None:
    """Ctrl-C and SIGTERM end with their status and the command to go on, no traceback, also while a kernel is compiled (no cache)."""
    process = start(study, NUMBA_CACHE_DIR=str(study.parent / "cache"))
    process.send_signal(number)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == status
    assert "to go on: python -m hpsearch run" in output
    assert "Traceback" not in output
    assert read_study(f"sqlite:///{study.parent}/out/flowers/study.db").trials[0].state == "running"


@pytest.mark.slow
def test_kill_9_loses_nothing(study: Path) -> None:
    """After kill -9 the same command ends with the trials of an unbroken run, and none is left running."""
    main(arguments(study))
    unbroken = trials(study)
    for file in (study.parent / "out/flowers").glob("study.db"):
        file.unlink()
    command = [sys.executable, "-m", "hpsearch", *arguments(study)]
    for wait in (2.0, 3.0, 4.0):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.kill()
        process.wait()
    assert main(arguments(study)) == 0
    assert trials(study) == unbroken


@pytest.mark.slow
def test_second_run_of_a_study_is_told(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While a study runs, a second run of it is refused with the process that holds it."""
    process = start(study)
    try:
        assert main(arguments(study)) == 2
        screen = capsys.readouterr()
        assert f"process {process.pid}" in screen.err
        assert screen.out == ""
    finally:
        process.kill()
        process.communicate()


def test_what_is_kept_is_json(study: Path) -> None:
    """What the storage keeps of a study is plain JSON."""
    main(arguments(study))
    record = read_study(f"sqlite:///{study.parent}/out/flowers/study.db")
    assert json.loads(json.dumps([record.settings, record.data, record.result]))


# ------------------------------------------------------------------ engines


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["reference", "fused", "compiled"])
def test_engine_of_choice(study: Path, capsys: pytest.CaptureFixture[str], engine: str) -> None:
    """Each engine runs the study, its best trials on several fresh seeds at once; -v says who trains what, and why."""
    assert main(arguments(study, "--engine", engine, "--parallel", "15", "-v")) == 0
    assert capsys.readouterr().out.count(f"{engine} engine, ") == 1


@pytest.mark.slow
def test_parallel_changes_no_result(study: Path) -> None:
    """One trial in flight or five: the same trials with the same values, and the same best network."""
    found = []
    for places in ("1", "5"):
        assert main(arguments(study, "--parallel", places, "--name", f"with-{places}", "--trials", "12")) == 0
        record = read_study(f"sqlite:///{study.parent}/out/with-{places}/study.db")
        found.append([(t.number, t.params, t.value, t.state) for t in record.trials])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--engine", "fussed"], "Did you mean 'fused'?"),
        (["--parallel", "0"], "--parallel 0: a number from 1 expected"),
        (["--precision", "tf32", "--device", "cpu"], "'tf32': only the fused and the compiled engine on CUDA have it"),
        (["--precision", "float16"], "training.precision is 'float16'"),
    ],
)
def test_engine_that_cannot_be(study: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str) -> None:
    """An unknown engine, no place and a precision that is not here are told in a line, before anything is written."""
    assert main(arguments(study, *flags)) == 2
    assert message in capsys.readouterr().err
    assert not (study.parent / "out/flowers/study.db").exists()


@pytest.mark.slow
def test_verify_trains_again(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`verify` compares recorded trials with the reference: near in float32, equal to rounding in float64."""
    main(arguments(study, "--pruner", "median"))
    capsys.readouterr()
    reports = ("--reports", str(study.parent / "out"))
    assert main(["verify", "flowers", *reports, "--trials", "3", "--float64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    exact = [[float(number) for number in line.split()[2:5]] for line in lines if "  in float64" in line]
    assert len(exact) == 3
    assert all(gap < 1e-10 for gaps in exact for gap in gaps)
    assert any(line.startswith("verdict    3 equal (in float64)") for line in lines)
    recorded = [line.split() for line in lines if line.strip()[:1].isdigit() and "verify" not in line]
    assert all(float(gap) < 1e-3 for columns in recorded for gap in columns[2:4])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["flowers", "--trials", "0"], 2, "--trials 0: a number from 1 expected"),
        (["flowers", "--engine", "none"], 2, "unknown engine 'none'"),
        (["nothing"], 2, "no study 'nothing'"),
    ],
)
def test_verify_that_cannot_be(
    study: Path, capsys: pytest.CaptureFixture[str], flags: list[str], status: int, message: str
) -> None:
    """No trials, an unknown engine and a study that is not there are told in a line."""
    main(arguments(study, "--trials", "1"))
    assert main(["verify", *flags, "--reports", str(study.parent / "out")]) == status
    assert message in capsys.readouterr().err


def test_verdicts() -> None:
    """A gap is equal, as far as rounding grows, or told as a difference; without float64 there is no verdict."""
    from hpsearch.searching.replay import Verified

    def verdict(gap: float, control: float) -> str:
        return Verified(0, 9, (0, 0, 0), "finished", "finished", (gap, gap, 0), (control, control, 0)).verdict

    cases = [(1e-12, 0), (1e-3, 2e-3), (1e-3, 1e-12)]
    assert [verdict(*case) for case in cases] == ["equal", "rounding, grown by training", "differs"]
    assert Verified(0, 9, (0, 0, 0), "finished", "finished").verdict == ""


@pytest.mark.slow
def test_an_engine_that_is_wrong_is_told(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an update that is wrong by 1 % `verify --float64` names the trials and ends with status 1."""
    from hpsearch.training.schedules import step_table

    main(arguments(study, "--trials", "2"))
    monkeypatch.setattr("hpsearch.training.compiled.group.step_table", lambda *a: step_table(*a) * [1.01, 1, 1])
    assert main(["verify", "flowers", "--reports", str(study.parent / "out"), "--float64"]) == 1
    assert "#0, #1: further from the reference than rounding explains" in capsys.readouterr().err


def test_a_terminal_is_not_left_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal a command that loads torch says so before it does; what goes to a file has no such line."""
    for is_terminal, first in ((True, "loading torch and the data …"), (False, "error: ")):
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=is_terminal: answer)
        assert main(["check", str(tmp_path / "nosuch.csv"), "--target", "x"]) == 2
        assert capsys.readouterr().err.startswith(first)


def test_counts_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    """One trial of one epoch is said in the singular, several in the plural."""
    from hpsearch.config import find_study, read_config
    from hpsearch.reporting.screen import Screen

    for trials, epochs, words in (
        (1, 1, "1 trial of 1 epoch,"),
        (1, 3, "1 trial of 3 epochs,"),
        (2, 1, "2 trials of 1 epoch,"),
    ):
        given = [("search.trials", trials), ("training.epochs", epochs), ("training.patience", None)]
        Screen("accuracy").introduce_search(read_config(find_study("digits"), given))
        assert capsys.readouterr().out.startswith(f"search     {words}")


def test_progress_says_how_trials_ended() -> None:
    """A line of progress counts trials by the words that the report's tables have for how they ended."""
    from hpsearch.progress import SearchStatus
    from hpsearch.reporting.screen import Screen

    ended = SearchStatus(9, 9, 0.5, 1, pruned=4, diverged=2, out_of_memory=1, repeated=3, seconds=1.0, trained=9)
    assert Screen("accuracy").line(ended).endswith("4 pruned, 2 diverged, 1 out of memory, 3 repeated")
    assert ended.failed == 3


@pytest.mark.parametrize("grace", ["-3", "nan", "soon"])
def test_a_grace_period_is_a_time(study: Path, grace: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A grace period that is no number of seconds is refused before anything is read."""
    assert main([*arguments(study), f"--grace={grace}"]) == 2
    assert "--grace" in capsys.readouterr().err


def test_a_signal_before_there_is_a_study(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGTERM that comes before the storage is made ends with its status: there is no page to be written."""

    def terminate(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("hpsearch.searching.opening.check_location", terminate)
    assert main(arguments(study)) == 143


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_breaks_a_transaction(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, status: int
) -> None:
    """A signal that comes in the midst of a transaction ends with its own status, not with the error of what it broke."""

    def interrupted(*arguments: object) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except BaseException:
            try:
                raise ValueError("this session is in 'committed' state")
            except ValueError as error:
                raise StorageError("storage: this session is in 'committed' state") from error

    monkeypatch.setattr("hpsearch.searching.opening.check_location", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(arguments(study)) == status
    finally:
        signal.signal(signal.SIGINT, before)
    assert "to go on: " in capsys.readouterr().err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("check", "stopped; nothing of it is kept; to begin again: python -m hpsearch check\n"),
        ("verify digits", "stopped; nothing of it is kept; to begin again: python -m hpsearch verify digits\n"),
        ("refit digits", "stopped; nothing of it is kept; to begin again: python -m hpsearch refit digits\n"),
        ("replay digits 3", "stopped; nothing of it is kept; to begin again: python -m hpsearch replay digits 3\n"),
        ("list", "stopped; to begin again: python -m hpsearch list\n"),
        ("run", "; to go on: python -m hpsearch run\n"),
    ],
)
def test_what_a_signal_leaves(
    line: str,
    sentence: str,
    number: int,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A command that keeps nothing says so when a signal ends it, and is begun again; one that saves its results goes on."""

    def interrupted(options: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    command = line.split()
    monkeypatch.setattr(f"hpsearch.commands.{command[0]}.call", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(command) == status
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith(sentence)


def test_a_study_kept_elsewhere_is_told(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study in another storage than its folder's is not read by its name; the line says where it is."""
    folder = study.parent / "out" / "elsewhere"
    folder.mkdir(parents=True)
    (folder / "storage.txt").write_text("postgresql://me:***@host/db")
    for command in ("report", "verify", "dashboard"):
        assert main([command, "elsewhere", "--reports", str(folder.parent)]) == 2
        assert "study 'elsewhere' is kept in 'postgresql://me:***@host/db'. Give that URL" in capsys.readouterr().err


def test_a_study_whose_storage_is_gone_is_told(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lost `study.db` is told as the file that is not there, not as a place to be given."""
    folder = study.parent / "out" / "gone"
    folder.mkdir(parents=True)
    (folder / "storage.txt").write_text("study.db")
    for command in ("report", "show"):
        assert main([command, "gone", "--reports", str(folder.parent)]) == 2
        assert f"{folder / 'study.db'}: the file does not exist" in capsys.readouterr().err


SWALLOWED = """
import os, signal, sys, time
from hpsearch.errors import Stopped
signal.signal(signal.SIGINT, signal.default_int_handler)
from hpsearch.progress import SILENT
from hpsearch.searching import stopping as stops
from hpsearch.searching.stopping import ending, stopping
stops.RESEND *= float(sys.argv[1])

class Callback:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

search = type("Search", (), {"stopping": False})()
try:
    with stopping(search, SILENT):
        Callback()
except KeyboardInterrupt:
    print("search ended", search.stopping)
try:
    with ending(1.0):
        Callback()
        time.sleep(50)
except KeyboardInterrupt:
    print("command ended")

class Once:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGHUP)

try:
    with ending(30.0):
        Once()
        time.sleep(50)
except Stopped as stopped:
    print("ended by", stopped.status)
"""


@pytest.mark.parametrize("pause", ["1", "1e-4"])
def test_a_swallowed_interrupt_ends_all_the_same(pause: str) -> None:
    """A signal that comes in a callback, where Python ignores what is raised, ends search and command, without a traceback.

    So it does where it is sent again before the callback has ended, as on a busy machine.
    """
    done = subprocess.run([sys.executable, "-c", SWALLOWED, pause], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == ["search ended True", "command ended", "ended by 129"]
    assert done.stderr == ""


SECOND = """
import os, signal, time
from hpsearch.errors import Stopped
from hpsearch.searching.stopping import ending

try:
    with ending(1.0):
        os.kill(os.getpid(), signal.SIGTERM)
except Stopped:
    with ending(1.0):
        time.sleep(1.3)
    print("lives")
"""


def test_a_grace_period_ends_with_its_command() -> None:
    """The grace period of a command that has ended does not end the next one of the same process."""
    done = subprocess.run([sys.executable, "-c", SECOND], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "lives\n", "")
