"""Code of the user's own in a study: what makes a network, a loss, a metric. A study's file names it as `FILE.py:NAME`.

Such a file is run only where the user names it, in a study's file or on the command line that trains. Settings that a storage recorded are
only text: whoever reads a stored study never runs code that it names.
"""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError, shown


@dataclass(frozen=True, slots=True)
class OwnCode:
    """Functions of the user's own: `build(trial, shape, outputs)`, `loss(outputs, targets)`, `metric(y_true, y_pred)`; None: hpsearch's."""

    build: Callable[..., Any] | None = None
    loss: Callable[..., Any] | None = None
    metric: Callable[..., float] | None = None

    def __bool__(self) -> bool:
        return any(function is not None for function in (self.build, self.loss, self.metric))


def is_code(name: object) -> bool:
    """Whether a setting names code: `FILE.py:NAME`."""
    return isinstance(name, str) and ".py:" in name


def checksums(names: Mapping[str, object]) -> dict[str, str]:
    """Return a checksum of each file of code that settings name as `FILE.py:NAME`, by the setting; of a file that is there."""
    files = {key: Path(str(name).rpartition(":")[0]) for key, name in names.items() if is_code(name)}
    return {key: sha256(file.read_bytes()).hexdigest() for key, file in files.items() if file.is_file()}


def label_of(function: Callable[..., Any]) -> str:
    """Return the text by which a study's settings name a function that Python gave."""
    module = getattr(function, "__module__", "") or type(function).__module__
    return f"{module}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def load_code(reference: str, key: str) -> Callable[..., Any]:
    """Run a Python file and return one of its functions; `reference` is `FILE.py:NAME`, `key` is the setting that names it.

    Raises:
        UserError: there is no such file or function, or the file raises an error.
    """
    file, _, name = reference.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        raise UserError(f"{key} {shown(reference)}: no such file. Give it as FILE.py:NAME, for example net.py:build.")
    module = _module(path, key)
    function = getattr(module, name, None)
    if not callable(function):
        functions = [known for known, value in vars(module).items() if callable(value)]
        public = sorted(known for known in functions if not known.startswith("_"))
        known = ", ".join(public[:9])
        raise UserError(f"{key} {shown(reference)}: {file} has no function {shown(name)}. It has: {known or 'none'}.")
    return function  # type: ignore[no-any-return]


def _module(path: Path, key: str) -> Any:
    """Run a file as a module that the functions in it can be found in again, by pickle for example; once for each content."""
    name = f"{path.stem}_{sha256(path.read_bytes() + str(path.resolve()).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a file whose name ends in .py has a loader"
    assert spec.loader is not None, "a file whose name ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{key}: {path} raises {type(error).__name__}: {error}. Mend that file.") from error
    return module
