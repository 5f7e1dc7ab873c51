"""The commands of the command line: one module each, with `add(command)` for its options and `call(options)` for what it does.

A new command is a module here and its row in `COMMANDS`. Only the module of the command that is asked for is imported, and what is heavy
where it is needed, so that `--help` waits for nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command in the help: its group, what it does, and examples, each the rest of a command line."""

    group: str
    purpose: str
    examples: tuple[str, ...] = ()


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
    ),
    "init": CommandRow(
        PREPARE,
        "write a study's file for your data, with comments, to edit",
        ("init sales.csv --target price", "init sales.csv --target price -o mine.toml"),
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
    ),
    "compare": CommandRow(
        PREPARE,
        "compare gradient descent, mini-batches and SGD, each tuned alike",
        ("compare", "compare wine --batch-sizes 1,32,full --trials 20"),
    ),
    "list": CommandRow(
        LOOK,
        "list your studies; or samplers, optimizers, data sets, metrics, …",
        ("list", "list optimizers", "list --storage sqlite:///any.db"),
    ),
    "show": CommandRow(
        LOOK, "show a study's result, best trials and batch sizes here", ("show digits", "show digits --lang ko")
    ),
    "open": CommandRow(LOOK, "open a study's report in the browser", ("open digits",)),
    "report": CommandRow(
        LOOK,
        "make a study's report again, from its storage",
        ("report digits", "report sqlite:///any.db --study tuned"),
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
    ),
    "export": CommandRow(
        USE,
        "write a study's model as ONNX, pt2 or safetensors, and check it",
        ("export sales", "export sales --format pt2"),
    ),
    "refit": CommandRow(USE, "train the best trial again, on training and validation rows", ("refit sales",)),
    "replay": CommandRow(TRUST, "train one trial again, compare it with its record, save it", ("replay sales 17",)),
    "verify": CommandRow(
        TRUST,
        "train recorded trials again with the reference engine, and compare",
        ("verify sales", "verify sales --trials 5 --float64"),
    ),
    "help": CommandRow(LEARN, "list the topics of the documentation, or show one", ("help", "help data")),
    "completion": CommandRow(
        LEARN,
        "print a script that completes commands with the Tab key",
        ("completion bash", "completion zsh", "completion fish"),
    ),
}
