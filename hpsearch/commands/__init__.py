"""The commands of the command line: one module each, with `add(command)` for its options and `call(options)` for what it does.

A new command is a module here and its name in `COMMANDS`. Only the module of the command that is asked for is imported, and what is heavy
where it is needed, so that `--help` waits for nothing.
"""

COMMANDS = {  # name → what it does, in the order of --help
    "run": "run a study, or continue it",
    "check": "say what run would do with your data, without training",
    "predict": "predict new rows with a study's model",
    "export": "write a study's model as ONNX, pt2 or safetensors, and check it",
    "refit": "train the best trial again, on training and validation rows together",
    "replay": "train one trial again, compare it with its record, keep it",
    "compare": "compare gradient descent, mini-batches and SGD, each tuned alike",
    "report": "rebuild a study's report from its storage",
    "dashboard": "show a study in optuna-dashboard, on this machine",
    "log": "write a recorded study for TensorBoard or MLflow",
    "verify": "train recorded trials again with the reference engine, and compare",
    "list": "list samplers, optimizers, data sets, metrics and other names",
    "help": "list the topics of the documentation, or show one",
}
