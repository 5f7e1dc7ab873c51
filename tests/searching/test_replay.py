"""A recorded trial trained again is the same run; a difference is seen, and rounding told apart from it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hpsearch.cli import main
from hpsearch.errors import UserError
from hpsearch.model import load_model
from hpsearch.searching.replay import (
    DIFFERS,
    EXACT,
    ROUNDING,
    RecordedStudy,
    _same,
    find_trial,
    prepare,
    replay,
    verify,
)
from hpsearch.storage.attributes import verified, with_checksum
from hpsearch.storage.reading import read_study
from hpsearch.storage.records import StudyRecord, TrialRecord
from hpsearch.training.engines import make_engine
from hpsearch.training.network import DNN
from hpsearch.trial import History, Outcome

STUDY = """
[data]
name = "iris"
[space]
depth = 1
width = 8
learning_rate = { low = 1e-3, high = 0.1, log = true }
batch_size = [16, "full"]
[training]
epochs = 9
[search]
trials = 7
sampler = "random"
pruner = "halving"
lag = 1
[confirm]
trials = 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study that the reference has run."""
    place = tmp_path_factory.mktemp("replay")
    (place / "small.toml").write_text(STUDY)
    arguments = ["run", str(place / "small.toml"), "--reports", str(place), "--engine", "reference", "--device", "cpu"]
    assert main(arguments) == 0
    return place / "small"


@pytest.fixture(scope="module")
def record(folder: Path) -> StudyRecord:
    return read_study(f"sqlite:///{folder / 'study.db'}")


@pytest.fixture(scope="module")
def question(record: StudyRecord) -> RecordedStudy:
    return prepare(record, root=None, device="cpu", engine=None)


def test_every_trial_is_the_same_run_again(record: StudyRecord, question: RecordedStudy) -> None:
    """Finished and pruned trials give their whole history again, bit for bit, and end where they ended."""
    engine = make_engine("reference", question.data)
    pruned = 0
    for trial in record.trials:
        replayed = replay(record, trial, question, engine)
        assert replayed.verdict == EXACT
        assert replayed.run.outcome == trial.outcome
        assert trial.history is not None
        assert replayed.evaluations == len(trial.history) == len(replayed.run.history)
        pruned += trial.outcome == "pruned"
    assert 0 < pruned < len(record.trials), "the study has both"


def test_another_engine_is_equal_up_to_rounding(record: StudyRecord, question: RecordedStudy) -> None:
    """An engine that sums in another order is not called different."""
    longest = max(record.trials, key=lambda trial: len(trial.history or ()))
    assert replay(record, longest, question, make_engine("fused", question.data)).verdict in (EXACT, ROUNDING)


def test_another_learning_rate_is_seen(record: StudyRecord, question: RecordedStudy) -> None:
    """A record whose learning rate was one thousandth larger differs, and the control says that this is no rounding."""
    trial = record.trials[0]
    params = {**trial.params, "learning_rate": trial.params["learning_rate"] * 1.001}
    replayed = replay(record, replace(trial, params=params), question, make_engine("reference", question.data))
    assert replayed.verdict == DIFFERS
    assert replayed.control is not None
    assert max(replayed.gaps[:2]) > 100 * max(replayed.control[:2])


def test_a_thinned_record_is_verified_to_its_last_evaluation(record: StudyRecord, question: RecordedStudy) -> None:
    """The reference trains a trial to the evaluation where the clock ended it, however few of those before it were kept."""
    finished = next(trial for trial in record.trials if trial.outcome == "finished")
    assert finished.history is not None
    first_five = History(**{name: column[:5] for name, column in finished.history.columns().items()})  # type: ignore[arg-type]
    cut_short = replace(finished, outcome=str(Outcome.TIMED_OUT), history=first_five.thinned(2))
    (verified,) = verify(question, [cut_short])
    assert (verified.evaluations, verified.gaps) == (2, (0.0, 0.0, 0.0))
    assert verified.reference_outcome == Outcome.TIMED_OUT


def test_a_thinned_record_is_compared_where_it_has_entries() -> None:
    """Of a long run the record keeps some evaluations: these have to be there again, and the last one has to be the last."""
    columns = {name: tuple(float(i) for i in range(1, 10)) for name in History().columns()}
    whole = History(**{**columns, "evaluation": tuple(range(1, 10))})  # type: ignore[arg-type]
    thin = whole.thinned(4)
    assert _same(thin, whole)
    assert not _same(replace(thin, metric=(*thin.metric[:-1], 0.0)), whole)
    assert not _same(whole.thinned(4), History(**{name: column[:-1] for name, column in whole.columns().items()}))  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_command_keeps_the_network(folder: Path, record: StudyRecord, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says that the histories are equal, and writes the trial's model, which has the recorded validation loss."""
    best = record.result["trial"]
    assert main(["replay", str(folder), str(best), "--engine", "reference", "--device", "cpu"]) == 0
    assert EXACT in capsys.readouterr().out
    model = load_model(folder, f"trial-{best}")
    assert model.metrics["metric"] == "accuracy"
    assert model.provenance["study"] == "small"
    assert model.provenance["data"]["hash"] == record.data["hash"]
    question = prepare(record, root=None, device="cpu", engine=None)
    architecture = model.members[0].architecture
    assert architecture is not None
    network = DNN(architecture)
    network.load_state_dict(dict(model.members[0].weights))
    with torch.no_grad():
        loss, _ = question.data.score(network(question.data.validation.inputs), question.data.validation)
    assert loss == record.trials[best].validation_loss


def test_a_record_that_was_changed_fails(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history that no rounding explains ends the command with status 1 and one line."""
    from hpsearch.searching import replay as module

    found = find_trial(read_study(f"sqlite:///{folder / 'study.db'}"), 0)
    history = found.history
    assert history is not None
    wrong = replace(found, history=replace(history, validation_loss=tuple(x + 0.01 for x in history.validation_loss)))
    monkeypatch.setattr(module, "find_trial", lambda record, number: wrong)
    assert main(["replay", str(folder), "0", "--engine", "reference", "--device", "cpu"]) == 1
    assert "further from its record than rounding" in capsys.readouterr().err


def test_a_repeat_is_the_trial_that_it_repeats(record: StudyRecord) -> None:
    """A trial that took over another's result is replayed as that one, whose seed it shares."""
    repeat = replace(record.trials[1], repeats=0)
    assert find_trial(replace(record, trials=(record.trials[0], repeat)), 1) is record.trials[0]


@pytest.mark.parametrize(("number", "said"), [(99, "no trial 99"), (-1, "no trial -1"), (1, "not trained to its end")])
def test_what_cannot_be_replayed_is_told(number: int, said: str, record: StudyRecord) -> None:
    """A number that is none of the study's, and a trial that is running: one line each."""
    running = TrialRecord(1, "running", record.trials[1].params)
    with pytest.raises(UserError, match=said):
        find_trial(replace(record, trials=(record.trials[0], running)), number)


def test_other_data_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study whose data have another hash is not replayed on them."""
    import sqlite3
    from shutil import copytree

    copy = copytree(folder, tmp_path / "copy")
    with sqlite3.connect(copy / "study.db") as database:
        (value,) = database.execute(
            "SELECT value_json FROM study_user_attributes WHERE key = 'hpsearch:data'"
        ).fetchone()
        changed = json.dumps(with_checksum({**verified(json.loads(value), "data", "data"), "hash": "0" * 64}, "data"))
        database.execute("UPDATE study_user_attributes SET value_json = ? WHERE key = 'hpsearch:data'", (changed,))
    database.close()
    assert main(["replay", str(copy), "0", "--device", "cpu"]) == 2
    assert "the data changed since the study began" in capsys.readouterr().err


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a cross-validated study."""
    place = tmp_path_factory.mktemp("folded")
    (place / "folded.toml").write_text(STUDY.replace('name = "iris"', 'name = "iris"\nfolds = 3'))
    arguments = ["run", str(place / "folded.toml"), "--reports", str(place), "--engine", "reference", "--device", "cpu"]
    assert main(arguments) == 0
    return place / "folded"


def test_a_cross_validated_trial_leaves_the_network_of_the_search(
    folded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best trial's replay keeps the very weights that the search kept, trained on all rows but the test rows, and says so."""
    kept = load_model(folded)
    best = kept.members[0].trial
    assert main(["replay", str(folded), str(best), "--engine", "reference", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    again = load_model(folded, f"trial-{best}")
    for name, weights in kept.members[0].weights.items():
        assert torch.equal(again.members[0].weights[name], weights)
    assert again.preprocessing == kept.preprocessing
    assert EXACT in said
    test = read_study(f"sqlite:///{folded / 'study.db'}").data["rows"]["test"]
    assert again.metrics["rows"] == 150 - test
    assert f"on all {150 - test} rows but the test rows" in said


def test_every_cross_validated_trial_that_has_a_value_leaves_a_network(folded: Path) -> None:
    """A trial that a pruner ended leaves one as well, trained for as many passes as its own best evaluation was late."""
    record = read_study(f"sqlite:///{folded / 'study.db'}")
    trial = next(trial for trial in record.trials if trial.outcome == "pruned")
    assert trial.history is not None
    assert main(["replay", str(folded), str(trial.number), "--engine", "reference", "--device", "cpu"]) == 0
    model = load_model(folded, f"trial-{trial.number}")
    assert [member.trial for member in model.members] == [trial.number]
    examples = trial.history.examples[trial.history.evaluation.index(trial.best_evaluation)]
    first_fold = examples / model.metrics["passes"]
    assert first_fold == pytest.approx(record.data["rows"]["training"])


@pytest.mark.filterwarnings("ignore:The value")  # of Optuna: the learning rate is outside of the space
def test_a_failed_trial_leaves_none_and_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the trial diverges there is nothing to keep, and the line of the model says that."""
    from hpsearch.searching import replay as module

    found = find_trial(read_study(f"sqlite:///{folder / 'study.db'}"), 0)
    wild = replace(found, params={**found.params, "learning_rate": 1e30}, history=History(), outcome="diverged")
    monkeypatch.setattr(module, "find_trial", lambda record, number: wild)
    main(["replay", str(folder), "0", "--engine", "reference", "--device", "cpu"])
    assert "none is kept: a trial that ended as diverged leaves no network" in capsys.readouterr().out
