"""The benchmark: complete and fair by construction. Nothing here asserts a speed."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from torch.optim.optimizer import register_optimizer_step_post_hook

from hpsearch.data import Data
from hpsearch.data.options import Size
from hpsearch.errors import UserError
from hpsearch.training import ENGINES, TrialQueue
from hpsearch.training.reference import ReferenceEngine
from hpsearch.trial import Architecture, History, Outcome, TrainingRun, TrialSpec
from tests import benchmarks as package
from tests.benchmarks import (
    CONTESTANTS,
    Scope,
    bench,
    contestants,
    coverage,
    machine,
    measuring,
    overhead,
    quality,
    quality_contestants,
    read_scope,
    scaling,
    workload,
)
from tests.benchmarks.__main__ import main
from tests.benchmarks.cells import Cell, bench_cells
from tests.benchmarks.measuring import Measured
from tests.benchmarks.quality_tables import Division, divided
from tests.benchmarks.results import results
from tests.benchmarks.table import table
from tests.benchmarks.usual import usual_network
from tests.benchmarks.workload import bench_data, operations
from tests.support.cohorts import WITH_FORMULA

OWN = ("reference", "auto", "fused", "compiled")
SMALL = Scope(batch_sizes=(4, None), trials=(2, 3), optimizers=("sgd",))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take small data, moments instead of seconds, and one thread, which a busy machine does not hold up."""
    monkeypatch.setattr(workload, "RANDOM", {"digits": (5, 40), "MNIST": (7, 60)})
    monkeypatch.setattr(workload, "SPARE", 10)
    monkeypatch.setattr(workload, "WIDTHS", (6, 6))
    monkeypatch.setattr(workload, "SPAN", (2, 8))
    for name in ("SECONDS", "LONGEST", "STALL"):
        monkeypatch.setattr(measuring, name, 1e-6)
    monkeypatch.setattr(machine, "PEAK_SECONDS", 1e-6)
    monkeypatch.setattr(package, "system_load", lambda: 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def data() -> dict[str, Data]:
    return bench_data(None)


@pytest.fixture
def updates() -> Iterator[list[int]]:
    """Count the parameters that each step of any of torch's optimizers moves, in order."""
    seen: list[int] = []

    def count(optimizer: torch.optim.Optimizer, *_: object) -> None:
        seen.append(sum(p.numel() for group in optimizer.param_groups for p in group["params"] if p.grad is not None))

    hook = register_optimizer_step_post_hook(count)
    yield seen
    hook.remove()


@pytest.mark.parametrize("engine", ["usual loop", "reference"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_rivals_in_torch_do_the_same_work(
    engine: str, optimizer: str, batch_size: int, data: dict[str, Data], updates: list[int]
) -> None:
    """Each of torch's two ways does exactly the updates that it is asked for, across passes, and moves every parameter."""
    cell = Cell("MNIST", batch_size, optimizer, "equal", 1, engine)
    assert cell.run(data["MNIST"], 75) > 0
    assert updates == [cell.networks(data["MNIST"])[0].parameters] * 75


@pytest.mark.parametrize("cohort", ["equal", "mixed"])
@pytest.mark.parametrize("engine", OWN)
def test_engines_train_every_trial_to_its_end(
    engine: str, cohort: str, data: dict[str, Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each engine finishes all trials of a cohort with all of their updates, and they are the reference's trials."""
    sources: list[TrialQueue] = []

    def keep(waiting: list[TrialSpec]) -> TrialQueue:
        sources.append(TrialQueue(waiting))
        return sources[-1]

    monkeypatch.setattr(contestants, "TrialQueue", keep)
    cell = Cell("MNIST", 8, "adam", cohort, 3, engine)
    assert cell.run(data["MNIST"], 9) > 0
    same = TrialQueue(cell.specifications(data["MNIST"], 9))
    ReferenceEngine(data["MNIST"]).run(same)
    runs = sources[0].runs
    assert [(n, runs[n].outcome, runs[n].history.update) for n in sorted(runs)] == [
        (number, Outcome.FINISHED, (9,)) for number in range(3)
    ]
    assert [runs[n].loss for n in range(3)] == pytest.approx([same.runs[n].loss for n in range(3)], rel=1e-3)


def test_a_trial_that_does_not_finish_is_told(data: dict[str, Data], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends before its time is an error that names the engine, and no time."""

    class Full:
        def run(self, source: TrialQueue) -> None:
            for spec in source.take(9):
                source.finish(TrainingRun(spec.number, Outcome.OUT_OF_MEMORY, History(), detail="too large"))

    monkeypatch.setattr(contestants, "make_engine", lambda *_: Full())
    with pytest.raises(UserError, match=r"engine auto, 2 trials: out of memory \(too large\)\. Give fewer --trials"):
        Cell("MNIST", 8, "adam", "equal", 2, "auto").run(data["MNIST"], 1)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", WITH_FORMULA)
@pytest.mark.parametrize("batch_size", [7, 60])
def test_jax_trains_what_the_reference_trains(optimizer: str, batch_size: int, data: dict[str, Data]) -> None:
    """In float64 JAX's weights after several passes are the reference's: the same networks, batches and optimizer."""
    jax = pytest.importorskip("jax", reason="jax comes with the extra 'bench'")
    from tests.benchmarks.vmapped import train

    exact = data["MNIST"].to("cpu", torch.float64)
    specs = Cell("MNIST", batch_size, optimizer, "equal", 2, "jax").specifications(exact, 20)
    with jax.enable_x64(True):
        _, layers = train(specs, exact)
    source = TrialQueue(specs)
    ReferenceEngine(exact).run(source)
    for number, run in source.runs.items():
        assert run.weights is not None
        for layer, (weight, bias) in enumerate(layers):
            np.testing.assert_allclose(weight[number].T, run.weights[f"layers.{layer}.weight"], rtol=0, atol=1e-10)
            np.testing.assert_allclose(bias[number], run.weights[f"layers.{layer}.bias"], rtol=0, atol=1e-10)


@pytest.mark.slow
def test_jax_is_measured_where_it_is_asked_for(tmp_path: Path) -> None:
    """`--vs jax` adds a cell for each number of equal trials, and JAX's version."""
    pytest.importorskip("jax", reason="jax comes with the extra 'bench'")
    file = tmp_path / "bench.json"
    arguments = ["--vs", "jax", "--batch-size", "4", "--trials", "1", "--trials", "2", "--optimizer", "sgd"]
    assert main([*arguments, "--rounds", "1", "--json", str(file)]) == 0
    result = json.loads(file.read_text())
    rows = [(c["data"], c["cohort"], c["trials"]) for c in result["cells"] if c["engine"] == "jax"]
    assert rows == [(name, "equal", trials) for name in ("digits", "MNIST") for trials in (1, 2)]
    assert result["machine"]["jax"]


def test_the_usual_network_is_the_specified_one() -> None:
    """The tutorial's network has the reference's layers in its order, so that both contestants do the same arithmetic."""
    architecture = Architecture(784, (128, 128), 10)
    layers = [layer for layer in usual_network(architecture) if isinstance(layer, torch.nn.Linear)]
    assert (layers[0].in_features, *(layer.out_features for layer in layers)) == architecture.sizes
    assert sum(p.numel() for p in usual_network(architecture).parameters()) == architecture.parameters


def test_mixed_networks_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mixed networks are the same in every call, a short cohort begins a long one, and they fill the ranges without leaving them."""
    monkeypatch.setattr(workload, "SPAN", (16, 512))
    many = workload.mixed(784, 10, 200)
    assert workload.mixed(784, 10, 5) == many[:5]
    assert {len(network.widths) for network in many} == {1, 2, 3, 4}
    widths = sorted(network.widths[0] for network in many)
    assert 16 <= widths[0] < 24
    assert 60 < widths[100] < 140  # the middle of a log-uniform draw is near 90
    assert 400 < widths[-1] <= 512
    assert all(len(set(network.widths)) == 1 for network in many)


def test_operations_leave_out_the_gradient_of_the_inputs() -> None:
    """A row takes two operations a weight forward, two for its gradient, and two for its input's, which the first layer does not need."""
    assert operations(Architecture(784, (128, 128), 10)) == 4 * 784 * 128 + 6 * (128 * 128 + 128 * 10)


def test_every_setting_has_its_contestants(data: dict[str, Data]) -> None:
    """Cells are all combinations, none twice; the usual loop trains one of equal trials on mini-batches, JAX no mixed ones."""
    scope = read_scope(["4", "full", "4"], [3, 2], ["sgd"], None, ["auto", "fused"], ["jax"])
    found = [
        (c.cohort, c.trials, c.engine) for c in bench_cells(scope, data) if c.data == "MNIST" and c.batch_size == 4
    ]
    engines = ("auto", "fused")
    equal = [("equal", 1, "usual loop"), ("equal", 1, "reference")]
    equal += [("equal", count, name) for count in (2, 3) for name in (*engines, "jax")]
    assert found == equal + [("mixed", count, name) for count in (2, 3) for name in ("reference", *engines)]
    full = [(c.cohort, c.trials, c.engine) for c in bench_cells(scope, data) if c.batch_size == 60]
    assert full == [entry for entry in found if entry[2] != "usual loop"]


def test_batch_sizes_above_a_data_set_are_left_out_there(data: dict[str, Data]) -> None:
    """A batch size above the rows of the smaller data set is measured on the larger one only; `full` is each one's rows."""
    sizes = {(c.data, c.batch_size) for c in bench_cells(read_scope(["50", "full"]), data)}
    assert sizes == {("MNIST", 50), ("digits", 40), ("MNIST", 60)}


def test_rounds_are_interleaved(data: dict[str, Data], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every round visits every cell once, in one order, so that a disturbance meets all contestants."""
    visits: list[Cell] = []

    def run(cell: Cell, data: Data, updates: int) -> float:
        visits.append(cell)
        return float(updates)

    monkeypatch.setattr(Cell, "run", run)
    once = bench_cells(SMALL, data)
    said: list[str] = []
    measured = measuring.measure(data, once, 3, said.append)
    assert len(set(once)) == len(once)
    assert visits[-6 * len(once) :: 2] == list(measured.microseconds) * 3  # two runs a visit
    assert len(said) == 4 * len(once)


def test_what_a_run_prepares_is_not_counted(data: dict[str, Data], monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a cell is that of its updates, whatever building and evaluating take; noise never makes it negative."""
    monkeypatch.setattr(Cell, "run", lambda cell, data, updates: 5.0 + 0.25 * updates)
    assert measuring.training_seconds(Cell("MNIST", 4, "sgd", "equal", 2, "auto", 8), data["MNIST"]) == 2.0
    monkeypatch.setattr(Cell, "run", lambda cell, data, updates: 1.0 / updates)
    assert measuring.training_seconds(Cell("MNIST", 4, "sgd", "equal", 2, "auto", 9), data["MNIST"]) == 0.1


@pytest.mark.parametrize(("each", "lowest", "highest"), [(1e-5, 50_000, 100_000), (0.01, 50, 100), (3.0, 1, 1)])
def test_calibration_reaches_the_time_asked_for(
    each: float, lowest: int, highest: int, data: dict[str, Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell gets as many updates as fill its time, be one of them slow or fast, and always one at least."""
    monkeypatch.setattr(measuring, "SECONDS", 1.0)
    monkeypatch.setattr(Cell, "run", lambda cell, data, updates: each * updates)
    found = measuring.calibrated(Cell("MNIST", 1, "sgd", "equal", 1, "auto"), data["MNIST"])
    assert lowest <= found.updates <= highest


def test_the_second_optimizer_is_calibrated_from_the_first(
    data: dict[str, Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting's second optimizer begins near the first one's updates, and ends in the same range."""
    runs: list[tuple[str, int]] = []

    def run(cell: Cell, data: Data, updates: int) -> float:
        runs.append((cell.optimizer, updates))
        return 1e-4 * updates

    monkeypatch.setattr(measuring, "SECONDS", 1.0)
    monkeypatch.setattr(Cell, "run", run)
    both = [Cell("MNIST", 4, optimizer, "equal", 2, "auto") for optimizer in ("sgd", "adam")]
    found = measuring.measure(data, both, 1, lambda sentence: None).microseconds
    assert all(5_000 <= cell.updates <= 10_000 for cell in found)
    assert min(updates for optimizer, updates in runs if optimizer == "adam" and updates > 1) > 500


def test_a_stall_does_not_end_the_calibration(data: dict[str, Data], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that another program holds up does not pass for a slow update."""
    times = iter([0.0, 0.0, 0.9])  # of the warm-up and the first look
    monkeypatch.setattr(measuring, "SECONDS", 1.0)
    monkeypatch.setattr(measuring, "STALL", 1.0)
    monkeypatch.setattr(Cell, "run", lambda cell, data, updates: next(times, 0.01 * updates))
    assert measuring.calibrated(Cell("MNIST", 1, "sgd", "equal", 1, "auto"), data["MNIST"]).updates >= 50


def test_the_reference_is_timed_over_whole_blocks(data: dict[str, Data], monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference's updates are whole blocks of gathered rows where there is time, so that gathering counts in full."""
    monkeypatch.setattr(measuring, "LONGEST", 1.0)
    cell = Cell("MNIST", 7, "sgd", "equal", 1, "reference", 9)
    assert measuring.whole_blocks(cell, data["MNIST"], 0.1).updates == 16  # 60 rows are 8 batches of 7
    assert measuring.whole_blocks(cell, data["MNIST"], 0.9).updates == 9


def test_figures_follow_from_the_times(data: dict[str, Data]) -> None:
    """From known times come the median, the spread, trials per minute, the ratios and the arithmetic per second, to the digit."""
    loop, own, many, one, mixed = (
        Cell("MNIST", 20, "sgd", *names, 3)
        for names in (
            ("equal", 1, "usual loop"),
            ("equal", 1, "reference"),
            ("equal", 8, "fused"),
            ("mixed", 8, "reference"),
            ("mixed", 8, "fused"),
        )
    )
    times = {loop: [300.0, 100.0, 200.0], own: [60.0], many: [50.0, 40.0, 90.0], one: [70.0], mixed: [35.0]}
    found = results(Measured(times, peak=1_000.0), data, 3, None)["cells"]
    cell = found[2]
    assert (cell["microseconds"], cell["lowest"], cell["highest"]) == (50.0, 40.0, 90.0)
    assert (cell["times_usual_loop"], cell["times_reference"]) == (4.0, 1.2)
    assert (found[4]["times_usual_loop"], found[4]["times_reference"]) == (None, 2.0)
    assert cell["trials_per_minute"] == pytest.approx(60e6 / (3 * 50.0))  # 60 rows are 3 updates
    assert cell["gflops"] == pytest.approx(20 * (4 * 7 * 6 + 6 * (6 * 6 + 6 * 10)) / 50e-6 / 1e9)
    assert cell["share_of_peak"] == pytest.approx(cell["gflops"] / 1_000)
    mean = sum(map(operations, mixed.networks(data["MNIST"]))) / 8
    assert found[4]["gflops"] == pytest.approx(20 * mean / 35e-6 / 1e9)
    assert found[4]["trained_by"] == "fused"


@pytest.mark.slow
def test_table_and_json_have_every_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints one row for each cell and writes the same cells with positive figures, and says where it measured."""
    file = tmp_path / "bench.json"
    arguments = ["--batch-size", "4", "--batch-size", "full", "--trials", "2", "--engine", "fused", "--rounds", "2"]
    assert main([*arguments, "--json", str(file)]) == 0
    printed, result = capsys.readouterr().out, json.loads(file.read_text())
    scope = read_scope(["4", "full"], [2], engines=["fused"])
    wanted = [(c.data, c.batch_size, c.optimizer, c.cohort, c.engine) for c in bench_cells(scope, bench_data(None))]
    assert [
        tuple(c[k] for k in ("data", "batch_size", "optimizer", "cohort", "engine")) for c in result["cells"]
    ] == wanted
    for cell in result["cells"]:
        assert all(value > 0 for value in cell.values() if type(value) in (int, float))
        assert len(cell["microseconds_by_round"]) == 2
        assert cell["lowest"] <= cell["microseconds"] <= cell["highest"]
    rows = [tuple(line.split()[:3]) for line in printed.splitlines() if line.startswith(("digits ", "MNIST "))]
    assert rows == [(name, "full" if b > 4 else "4", o) for name, b, o, _, _ in wanted]
    assert "random numbers" in printed
    assert "interleaved rounds, 2 in all" in " ".join(printed.split())
    assert "round 2 of 2" in printed
    assert {"device", "threads", "torch", "python"} <= result["machine"].keys()
    assert {name: part["rows"] for name, part in result["data"].items()} == {"digits": 40, "MNIST": 60}
    assert len(result["cohorts"]["mixed"]["widths"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


def test_the_table_fits_a_page(data: dict[str, Data], capsys: pytest.CaptureFixture[str]) -> None:
    """On 100 columns each cell is one line in full, with six digits before the point and the longest names, and so are the heads."""
    scope = Scope(trials=(1_024,), optimizers=("momentum",), engines=("auto", "compiled"), rivals=())
    times = {cell: [111_111.1, 222_222.2, 433_333.3] for cell in bench_cells(scope, data)}
    result = results(Measured(times, 100.0), data, 3, 0.0)
    Console(width=100, markup=False).print(table(result))
    printed = capsys.readouterr().out
    assert printed.count("222,222") == len(times)
    assert printed.count("1,024 mixed auto: compiled") == printed.count("1,024 mixed reference") > 0
    assert "µs per" in printed


def test_mnist_is_measured_where_its_folder_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a folder there is one data set, MNIST itself, with few validation rows."""
    asked: list[tuple[str, str, Size]] = []
    monkeypatch.setattr(workload, "load", lambda name, root, split: asked.append((name, root, split.validation)))
    assert bench_data("folder").keys() == {"MNIST"}
    assert asked == [("mnist", "folder", workload.SPARE)]


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where other programs were running before the start, a line under the table says so."""
    scope = Scope((60,), optimizers=("sgd",), cohorts=("equal",), engines=("reference",))
    bench(scope, rounds=1, device="cpu")
    assert "Other programs" not in capsys.readouterr().out
    monkeypatch.setattr(package, "system_load", lambda: 1e3)
    bench(scope, rounds=1, device="cpu")
    assert "Other programs were running" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--batch-size", "0"], "--batch-size '0': a number from 1 or 'full' expected."),
        (["--batch-size", "fulll"], "--batch-size 'fulll': "),
        (["--batch-size", "8", "--batch-size", "61"], "--batch-size 61: above the 60 training rows"),
        (["--trials", "0"], "--trials 0: "),
        (["--trials", "1025"], "--trials 1025: "),
        (["--optimizer", "adma"], "unknown optimizer 'adma'. Did you mean 'adam'?"),
        (["--engine", "compield"], "unknown engine 'compield'. Did you mean 'compiled'?"),
        (["--networks", "mixd"], "unknown kind of networks 'mixd'. Did you mean 'mixed'?"),
        (["--vs", "jaxx"], "unknown rival 'jaxx'. Did you mean 'jax'?"),
        (["--rounds", "0"], "--rounds 0: "),
        (["--device", "abacus"], "device 'abacus'"),
        (["--data-root", "no/such/folder"], "data 'mnist': "),
        (["--json", "no/such/folder/bench.json"], "--json no/such/folder/bench.json: "),
        (["--json", "."], "--json .: not a file"),
        (["--json", "x" * 300], "--json xxx"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be measured or written is refused before anything is measured, in one line, with the status of bad input."""
    monkeypatch.setattr(Cell, "run", _never)
    assert main([*arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {complaint}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("--trails 3", "unknown option '--trails'. Did you mean '--trials'?"),
        ("--rounds x", "--rounds 'x': a whole number expected."),
        ("--trials x", "--trials 'x': a whole number expected."),
    ],
)
def test_bad_options_are_one_clear_line(capsys: pytest.CaptureFixture[str], line: str, refused: str) -> None:
    """An option that is unknown or no number is refused in one line, with status 2."""
    assert main(line.split()) == 2
    assert capsys.readouterr().err.startswith(f"error: {refused}")


def test_engines_are_listed_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The help names every engine and no other."""
    with pytest.raises(SystemExit):
        main(["--help"])
    words = " ".join(capsys.readouterr().out.split())
    named = re.search(r"--engine [A-Z]+ ((?:\w+, )+\w+)", words)
    assert named
    assert set(named[1].split(", ")) == set(ENGINES)


def test_a_missing_jax_is_one_clear_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without JAX `--vs jax` says how to install it, before anything is measured."""
    monkeypatch.setattr(Cell, "run", _never)
    monkeypatch.setitem(sys.modules, "jax", None)
    assert main(["--vs", "jax"]) == 2
    assert "pip install 'hpsearch[bench]'" in capsys.readouterr().err


def test_an_older_file_survives_a_refusal(tmp_path: Path) -> None:
    """The look whether the file can be written leaves what stands in it alone."""
    file = tmp_path / "bench.json"
    file.write_text("older")
    with pytest.raises(UserError, match="above"):
        bench(Scope((61,)), json_file=str(file), device="cpu")
    assert file.read_text() == "older"


def test_jax_waits_until_it_is_asked_for() -> None:
    """The benchmark starts without JAX, which is an extra."""
    code = "import sys, tests.benchmarks; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def _never(cell: Cell, data: Data, updates: int) -> float:
    raise AssertionError("measured before the input was checked")


def test_contestants_have_titles() -> None:
    """Every contestant says in the caption what it is, and every engine of ours is one."""
    assert set(OWN) < CONTESTANTS.keys()
    assert all(contestant.title for contestant in CONTESTANTS.values())
    assert contestants.REFERENCE in CONTESTANTS


@pytest.mark.slow
def test_tables_beside_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contestant's figures are those of scikit-learn's own call on the same rows; what a file has is not measured again."""
    everyone = quality_contestants.contestants(variants=["search.trials=2"])
    two = {name: everyone[name] for name in ("hpsearch search.trials=2", "boosting")}
    monkeypatch.setattr(quality, "contestants", lambda *asked: two)
    file = tmp_path / "figures.json"
    entries = quality.measure_quality(1, ["wine"], file=str(file))
    ours, boosting = entries
    inputs, target = load_wine(return_X_y=True)
    learn, test = train_test_split(np.arange(178), test_size=0.2, random_state=0, stratify=target)
    model = HistGradientBoostingClassifier(random_state=0).fit(inputs[learn], target[learn])
    assert boosting.score == model.score(inputs[test], target[test])
    assert boosting.loss == pytest.approx(log_loss(target[test], model.predict_proba(inputs[test])))
    assert ours.score * len(test) == pytest.approx(round(ours.score * len(test)))
    monkeypatch.setattr(quality, "contestants", lambda *asked: dict.fromkeys(two))  # nobody to ask
    assert quality.measure_quality(1, ["wine"], file=str(file)) == entries
    assert quality.table_of(entries).row_count == 5


@pytest.mark.slow
def test_a_tuned_rival_takes_the_seconds_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tunes until as many processor seconds are over as hpsearch took, one trial at least, and never sees a test row."""
    division = divided("wine", 0)
    ticks = iter(range(1_000))
    monkeypatch.setattr(quality_contestants, "process_time", lambda: next(ticks))
    fitted: list[int] = []
    plain = quality_contestants._fitted

    def counted(model: Any, part: Division) -> Any:
        fitted.append(len(part.learn))
        return plain(model, part)

    monkeypatch.setattr(quality_contestants, "_fitted", counted)
    tuned = quality_contestants.contestants(["tuned"])["tuned"]
    probabilities = tuned(division, 0, 3.0)
    rows = len(division.learn)
    assert fitted == [round(0.85 * rows - 0.5)] * 2 + [rows]
    assert probabilities.shape == (len(division.test), 3)
    assert probabilities.sum(axis=1) == pytest.approx(1)


def test_ranks_are_shared_by_equals() -> None:
    """The best score and the lowest loss have rank 1, equals the mean of their ranks; the interval is that of the tables' means."""
    rows = [("a", "x", 0.9, 0.3), ("a", "y", 0.8, 0.2), ("b", "x", 0.7, 0.5), ("b", "y", 0.7, 0.1)]
    entries = [quality.Entry(table, 0, name, score, loss, 1.0) for table, name, score, loss in rows]
    assert quality.mean_ranks(entries, "score") == {"x": (1.25, 1.0, 1.5), "y": (1.75, 1.5, 2.0)}
    assert quality.mean_ranks(entries, "loss") == {"x": (2.0, 2.0, 2.0), "y": (1.0, 1.0, 1.0)}


def judged(**changes: Any) -> coverage.Judged:
    values: dict[str, list[float | None]] = {"seeds": [0.7, 0.8], "rows": [0.7, None], "test": [0.9, 1.0]}
    one = coverage.Judged("t", 0, "accuracy", 0.8, 0.6, values, None, 0, [0.5, None, 0.75, 0.7])
    return replace(one, **changes)


def test_intervals_are_counted_by_metric() -> None:
    """An interval contains the truth where it lies between its ends, one that lacks an end never; metrics have rows of their own."""
    intervals = {name: [1.0, 3.0] for name in coverage.INTERVALS}
    number = judged(metric="rmse", truth=2.0, intervals=intervals, held=0.88)
    shown = coverage.coverage_table([judged(), judged(truth=0.95), number])
    cells = [list(column.cells) for column in shown.columns]
    assert cells[1] == ["accuracy"] * 3 + ["rmse"] * 3 + ["each number"]
    assert [text.split(" (")[0] for text in map(str, cells[3])] == [
        "1 of 2 studies",
        "0 of 2 studies",
        "1 of 2 studies",
        *["1 of 1 studies"] * 3,
        "88.0% of rows, mean of 1 studies",
    ]


def test_gains_are_shares_of_the_errors() -> None:
    """Of errors of 0.5 half are gone with a value of 0.75; failed trials bring nothing; of RMSE less is better."""
    shown = coverage.searching_table([judged()])
    cells = [[str(cell) for cell in column.cells] for column in shown.columns]
    assert [text.split(" ")[0] for text in cells[1]] == ["0.0%", "50.0%", "50.0%"]
    assert cells[2] == ["0 of 1", "1 of 1", "1 of 1"]
    lower = judged(metric="rmse", truth=1.0, alone=4.0, values=[4.0, 3.0])
    assert [str(cell).split(" ")[0] for cell in list(coverage.searching_table([lower]).columns[1].cells)] == [
        "25.0%",
        "75.0%",
    ]


@pytest.mark.slow
def test_a_study_is_judged_on_fresh_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judged study has the interval and trial values of its search; what a file has is not measured again."""
    monkeypatch.setattr(coverage, "ROWS", 120)
    monkeypatch.setattr(coverage, "FRESH", 300)
    monkeypatch.setattr(coverage, "TRIALS", 2)
    file = tmp_path / "coverage.json"
    found = coverage.measure_coverage(1, ["friedman"], str(file))
    (one,) = found
    assert len(one.values) == 2
    assert one.winner in (0, 1)
    assert one.held is not None
    assert 0.5 < one.held <= 1
    monkeypatch.setattr(coverage, "_judged", lambda *_: None)
    assert coverage.measure_coverage(1, ["friedman"], str(file)) == found


def test_no_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Fewer than one round is one line and exit status 2."""
    assert main(["--tables", "--rounds", "0"]) == 2
    assert "--rounds 0: a number from 1 expected." in capsys.readouterr().err


@pytest.mark.slow
def test_overhead_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Proposals, storages and the places of a simulated cluster come out as a table, and nothing is left in a storage."""
    for name, value in {"KNOWN": (15,), "PROPOSALS": 2, "STORED": 2, "PLACES": 4, "SECONDS": 0.05, "WAVES": 2}.items():
        monkeypatch.setattr(overhead, name, value)
    assert main(["--overhead", "--rounds", "2"]) == 0
    out = capsys.readouterr().out
    for what in (
        "proposal, tpe, 15 results known",
        "a trial in a storage, SQLite",
        "a trial in a storage, journal file",
    ):
        assert what in out
    shares = [float(line.split()[-2].rstrip("%")) for line in out.splitlines() if "% busy" in line]
    assert len(shares) == 2
    assert all(0 < share <= 100 for share in shares)


@pytest.mark.slow
def test_workers_are_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One worker and two have their turns, and the efficiency is that of their seconds."""
    monkeypatch.setattr(scaling, "UPDATES", 3)
    monkeypatch.setattr(scaling, "CELL", replace(scaling.CELL, trials=2, engine="reference", batch_size=8))
    assert main(["--workers", "--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert "2 workers, 2 trials of 3 updates" in out
    assert "efficiency of 2 workers" in out
