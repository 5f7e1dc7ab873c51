"""The benchmark: complete and fair by construction. Nothing here asserts a speed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch.optim.optimizer import register_optimizer_step_post_hook

from hpsearch import bench as module
from hpsearch.bench import COMPARED, CONTESTANTS, Cell, bench, bench_architecture, bench_data, usual_network
from hpsearch.cli import main
from hpsearch.data import Data
from hpsearch.errors import UserError


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take small data, moments instead of seconds, and one thread, which a busy machine does not hold up."""
    monkeypatch.setattr(module, "RANDOM_ROWS", 60)
    monkeypatch.setattr(module, "SECONDS", 1e-6)
    monkeypatch.setattr(module, "PEAK_SECONDS", 1e-6)
    monkeypatch.setattr(module, "system_load", lambda: 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def data() -> Data:
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


@pytest.mark.parametrize("engine", CONTESTANTS)
@pytest.mark.parametrize("optimizer", COMPARED)
@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_contestants_do_the_same_work(
    engine: str, optimizer: str, batch_size: int, data: Data, updates: list[int]
) -> None:
    """Each contestant does exactly the updates that it is asked for, across passes, and moves every parameter of the one network."""
    assert Cell(batch_size, optimizer, engine, 75).seconds(data) > 0
    assert updates == [bench_architecture(data).parameters] * 75 * CONTESTANTS[engine].trials


def test_the_usual_network_is_the_specified_one(data: Data) -> None:
    """The tutorial's network has the reference's layers in its order, so that both contestants do the same arithmetic."""
    architecture = bench_architecture(data)
    layers = [layer for layer in usual_network(architecture) if isinstance(layer, torch.nn.Linear)]
    assert architecture.sizes == (784, 128, 128, 10)
    assert (layers[0].in_features, *(layer.out_features for layer in layers)) == architecture.sizes
    assert sum(p.numel() for p in usual_network(architecture).parameters()) == architecture.parameters


def test_rounds_are_interleaved(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every round visits every cell once, in one order, so that a disturbance meets all contestants."""
    visits: list[tuple[int, str, str]] = []

    def visit(cell: Cell, data: Data) -> float:
        visits.append((cell.batch_size, cell.optimizer, cell.engine))
        return 1.0

    monkeypatch.setattr(Cell, "seconds", visit)
    cells = module.bench_cells([2, 5, 2])
    once = [(cell.batch_size, cell.optimizer, cell.engine) for cell in cells]
    said: list[str] = []
    module.measure(data, cells, 3, said.append)
    assert len(set(once)) == len(once) == 2 * len(COMPARED) * len(CONTESTANTS)
    assert visits[-3 * len(once) :] == once * 3
    assert len(said) == 4 * len(once)


def test_figures_follow_from_the_times(data: Data) -> None:
    """From known times come the median, the spread, trials per minute, the ratio and the arithmetic per second, to the digit."""
    loop, own = (Cell(20, "sgd", engine, 3) for engine in ("usual loop", "reference"))
    measured = module.Measured({loop: [300.0, 100.0, 200.0], own: [50.0, 40.0, 90.0]}, peak=1_000.0)
    cell = module.figures(measured, data, 3, None)["cells"][1]
    assert (cell["microseconds"], cell["lowest"], cell["highest"]) == (50.0, 40.0, 90.0)
    assert cell["speed_up"] == 4.0
    assert cell["trials_per_minute"] == pytest.approx(60e6 / (3 * 50.0))  # 60 rows are 3 updates
    assert cell["gflops"] == pytest.approx(6 * 20 * 118_016 / 50e-6 / 1e9)
    assert cell["share_of_peak"] == pytest.approx(cell["gflops"] / 1_000)


def test_calibration_reaches_the_time_asked_for(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell gets as many updates as fill its time, be one of them slow or fast, and always one at least."""
    monkeypatch.setattr(module, "SECONDS", 1.0)
    for each, expected in ((1e-5, 100_000), (0.01, 100), (3.0, 1)):
        monkeypatch.setattr(Cell, "seconds", lambda cell, data, each=each: each * cell.updates)
        assert Cell(1, "sgd", "reference").calibrated(data).updates == expected


def test_table_and_json_have_every_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints one row for each cell and writes the same cells with positive figures, and says where it measured."""
    file = tmp_path / "bench.json"
    assert main(["bench", "--batch-size", "4", "--batch-size", "60", "--rounds", "2", "--json", str(file)]) == 0
    printed, result = capsys.readouterr().out, json.loads(file.read_text())
    wanted = [(b, o, e) for b in (4, 60) for o in COMPARED for e in CONTESTANTS]
    assert [(cell["batch_size"], cell["optimizer"], cell["engine"]) for cell in result["cells"]] == wanted
    for cell in result["cells"]:
        assert all(value > 0 for value in cell.values() if isinstance(value, int | float))
        assert len(cell["microseconds_by_round"]) == 2
        assert cell["lowest"] <= cell["microseconds"] <= cell["highest"]
    rows = [tuple(line.split()[:2]) for line in printed.splitlines() if any(f" {e} " in line for e in CONTESTANTS)]
    assert rows == [(str(b), o) for b, o, _ in wanted]
    assert "random numbers" in printed
    assert "interleaved rounds, 2 in all" in printed
    assert "round 2 of 2" in printed
    assert {"device", "threads", "torch", "python"} <= result["machine"].keys()
    assert result["data"]["rows"] == 60
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


def test_the_table_fits_a_narrow_terminal(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    """On 80 columns each cell is one line in full, with five digits before the point, and so are the heads."""
    times = {Cell(60, o, e, 9): [11_111.1, 22_222.2, 33_333.3] for o in COMPARED for e in CONTESTANTS}
    result = module.figures(module.Measured(times, 100.0), data, 3, 0.0)
    Console(width=80, markup=False).print(module.table(result))
    printed = capsys.readouterr().out
    assert printed.count("22,222  11,111–33,333") == len(times)
    assert [printed.count(f" {engine} ") for engine in CONTESTANTS] == [2] * len(CONTESTANTS)
    assert "an epoch" in printed


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where other programs were running before the start, a line under the table says so."""
    bench(None, [60], 1, None, "cpu")
    assert "Other programs" not in capsys.readouterr().out
    monkeypatch.setattr(module, "system_load", lambda: 1e3)
    bench(None, [60], 1, None, "cpu")
    assert "Other programs were running" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--batch-size", "0"], "--batch-size 0: "),
        (["--batch-size", "8", "--batch-size", "61"], "--batch-size 61: above the 60 training rows"),
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
    monkeypatch.setattr(Cell, "seconds", _never)
    assert main(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {complaint}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_older_file_survives_a_refusal(tmp_path: Path) -> None:
    """The look whether the file can be written leaves what stands in it alone."""
    file = tmp_path / "bench.json"
    file.write_text("older")
    with pytest.raises(UserError, match="above"):
        bench(None, [61], 1, str(file), "cpu")
    assert file.read_text() == "older"


def _never(cell: Cell, data: Data) -> float:
    raise AssertionError("measured before the input was checked")
