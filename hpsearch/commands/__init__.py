"""The commands of the command line: one module each, with `add(command)` for its options and `call(options)` for what it does.

A new command is a module here and its row in `COMMANDS`. Only the module of the command that is asked for is imported, and what is heavy
where it is needed, so that `--help` waits for nothing.
"""

from dataclasses import dataclass

from hpsearch.searching.stopping import RESUMES, Ending

KEEPS_NOTHING = Ending("nothing of it is kept", "begin again")
SHOWN_ONLY = Ending("", "begin again")


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command: its group in the help, what it does, examples (each the rest of a command line), and what is left where it is stopped."""

    group: str
    purpose: str
    examples: tuple[str, ...] = ()
    stopped: Ending = SHOWN_ONLY


PREPARE = "prepare and run"
LOOK = "look at results"
USE = "use the model"
TRUST = "check and repeat"
LEARN = "find out more"

COMMANDS = {  # name → its row, in the order of --help; the rows of a group stand together
    "check": CommandRow(
        PREPARE,
        "say what run would do with your data, without training",
        ("check sales.csv --target price", "check mine.toml"),
        stopped=KEEPS_NOTHING,
    ),
    "init": CommandRow(
        PREPARE,
        "write a study's file for your data, with comments, to edit",
        ("init sales.csv --target price", "init sales.csv --target price -o mine.toml"),
        stopped=KEEPS_NOTHING,
    ),
    "run": CommandRow(
        PREPARE,
        "run a study, or continue it",
        (
            "run",
            "run --data sales.csv --target price",
            "run mnist --data-root DIR --trials 20",
            "run mine.toml --set learning_rate.high=0.3 --set search.sampler=random",
        ),
        stopped=RESUMES,
    ),
    "compare": CommandRow(
        PREPARE,
        "compare gradient descent, mini-batches and SGD, each tuned alike",
        ("compare", "compare wine --batch-sizes 1,32,full --trials 20"),
        stopped=RESUMES,
    ),
    "list": CommandRow(
        LOOK,
        "list your studies; or samplers, optimizers, metrics, …",
        ("list", "list optimizers", "list --storage sqlite:///any.db"),
    ),
    "show": CommandRow(
        LOOK, "show a study's result, best trials and batch sizes here", ("show digits", "show digits --lang ko")
    ),
    "open": CommandRow(LOOK, "open a study's report in the browser", ("open digits",)),
    "report": CommandRow(
        LOOK,
        "make a study's report again; of several studies one page",
        ("report digits", "report digits wider", "report sqlite:///any.db --study tuned"),
    ),
    "dashboard": CommandRow(LOOK, "show a study in optuna-dashboard, on this machine", ("dashboard digits",)),
    "log": CommandRow(
        LOOK,
        "write a recorded study for TensorBoard or MLflow",
        ("log digits --to tensorboard", "log digits --to mlflow"),
    ),
    "predict": CommandRow(
        USE,
        "predict new rows with a study's model",
        ("predict sales new.csv", "predict sales new.csv -o prices.csv --keep id --force"),
        stopped=KEEPS_NOTHING,
    ),
    "export": CommandRow(
        USE,
        "write a study's model as ONNX, pt2 or safetensors, and check it",
        ("export sales", "export sales --format pt2"),
        stopped=KEEPS_NOTHING,
    ),
    "refit": CommandRow(
        USE, "train the best trial again, on training and validation rows", ("refit sales",), stopped=KEEPS_NOTHING
    ),
    "replay": CommandRow(
        TRUST, "train one trial again, compare it with its record, save it", ("replay sales 17",), stopped=KEEPS_NOTHING
    ),
    "verify": CommandRow(
        TRUST,
        "train recorded trials again with the reference engine, and compare",
        ("verify sales", "verify sales --trials 5 --float64"),
        stopped=KEEPS_NOTHING,
    ),
    "help": CommandRow(LEARN, "list the topics of the documentation, or show one", ("help", "help data")),
    "completion": CommandRow(
        LEARN,
        "print a script that completes commands with the Tab key",
        ("completion bash", "completion zsh", "completion fish"),
    ),
}
