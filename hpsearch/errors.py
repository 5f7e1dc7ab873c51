"""Every error that is a user's to mend, each with the exit status of the command line.

A message says what was given, what was expected and what to do, in one line. Anything else that is raised is a bug of ours.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TypeVar

Row = TypeVar("Row")
LONGEST = 80  # characters of a value that an error shows
LONGEST_PLACE = 300  # of a path or a URL, whose end matters
SECRETS = re.compile(  # what stands before the last @ may hold any character; options may be written with %3D for =
    r"(://[^/@:\s]*:).*@|((?:passw(?:or)?d|passphrase|pwd|secret|token)(?:=|%3D))(?:(?!%3B)[^&;\s'\"])*", re.IGNORECASE
)

MISTYPED = re.compile(  # user:password@ behind no ://, as in postgresql:/u:p@h
    r"((?:^|[/\s'\"])[^/@:\s'\"]+:)(?!/|\*\*\*@)[^\s@]+@"
)


class HpsearchError(Exception):
    """The root of hpsearch's own errors; `status` is the exit status of the command line."""

    status = 1


class UserError(HpsearchError, ValueError):
    """The input cannot be used: a file, a key, a value, a name, a device. Python code may catch it as a ValueError."""

    status = 2


class StorageError(HpsearchError):
    """The storage cannot be reached, read or written.

    Its text is one line: what a damaged storage holds may have any characters, and stands in the reasons of other programs too.
    """

    status = 3

    def __init__(self, message: str) -> None:
        super().__init__(escaped(message))


def damaged(what: str) -> StorageError:
    """Return the error of a storage whose content is not what was written: which part of it, and how."""
    return StorageError(f"storage damaged: {what}. It was not changed; restore a copy.")


class SearchFailed(HpsearchError):
    """No trial of the search gave a usable network."""

    status = 4


class CompletedElsewhere(HpsearchError):
    """Another process completed the study that this one waited for: nothing is left to do."""

    status = 0


class Stopped(HpsearchError):
    """The search was asked to stop by a signal; `status` is 128 + its number."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def shown(value: object, longest: int = LONGEST) -> str:
    """Return a value as an error shows it: in one line of characters that print, and at most `longest` of them."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # 0.0, not np.float64(0.0)
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write a whole number of more than 4,300 digits
        text = "a number of thousands of digits"
    return shortened(text, longest)


def escaped(text: str) -> str:
    """Return text whose control characters are escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return at most so many characters of a text."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def counted(count: int, noun: str) -> str:
    """Return a number of things: `1 trial`, `0 trials`, `1,257 trials`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def rows_text(count: int) -> str:
    """Return a number of rows in words."""
    return counted(count, "row")


def percent_text(part: float) -> str:
    """Return a share in whole percent, `81 %`; 0 % is none of all, 100 % is all."""
    rounded = round(100 * part)
    if 0 < part < 1:
        rounded = min(99, max(1, rounded))
    return f"{rounded} %"


def listed(values: Sequence[object], most: int = 5) -> str:
    """Return the first values as an error shows them, and how many more there are."""
    first = ", ".join(shown(value) for value in values[:most])
    if len(values) > most:
        return f"{first} and {len(values) - most:,} more"
    return first


@contextmanager
def mistakes(what: str, own: bool = True) -> Iterator[None]:
    """Turn an error inside the block, which calls a function of the user's own, into a line that names the function as `what`.

    With `own` false the function is hpsearch's, and its error, a bug, passes as it is.

    Raises:
        UserError: the function raised an error.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not own:
            raise
        text = " ".join(str(error).split())
        raise UserError(f"{what} raised {type(error).__name__}: {text}. Mend it.") from error


def masked(text: str) -> str:
    """Return a storage's URL, or any line with one in it, without its password: for screen, log and report."""
    plain = SECRETS.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", text)
    return MISTYPED.sub(r"\1***@", plain)


USUAL = {  # what else people call something → what it is called here; a new name is one row
    **dict.fromkeys(("bayes", "bayesian", "bayesopt", "hyperopt", "smbo", "parzen"), "tpe"),
    **dict.fromkeys(("gaussian", "gaussianprocess", "gpei", "botorch"), "gp"),
    **dict.fromkeys(("gridsearch", "exhaustive"), "grid"),
    **dict.fromkeys(("randomsearch", "uniform"), "random"),
    **dict.fromkeys(("sobol", "quasirandom", "halton", "latinhypercube"), "qmc"),
    **dict.fromkeys(("genetic", "evolutionary", "nsga", "nsgaii"), "nsga2"),
    "evolution": "cmaes",
    **dict.fromkeys(("asha", "sha", "successivehalving"), "halving"),
    **dict.fromkeys(("off", "no", "false", "nopruner"), "none"),
    **dict.fromkeys(("auc", "rocauc", "auroc", "rocaucscore"), "roc_auc"),
    **dict.fromkeys(("logloss", "crossentropy", "nll", "neglogloss"), "log_loss"),
    **dict.fromkeys(("mse", "meansquarederror", "rootmeansquarederror", "negrootmeansquarederror"), "rmse"),
    **dict.fromkeys(("l1", "meanabsoluteerror", "negmeanabsoluteerror"), "mae"),
    **dict.fromkeys(("rsquared", "r2score"), "r2"),
    **dict.fromkeys(("acc", "accuracyscore"), "accuracy"),
    **dict.fromkeys(("balanced", "bacc", "balancedaccuracyscore"), "balanced_accuracy"),
    **dict.fromkeys(("fscore", "f1score", "f1macro"), "f1"),
    **dict.fromkeys(("matthews", "matthewscorrcoef", "phi"), "mcc"),
    **dict.fromkeys(("multi", "multinomial"), "multiclass"),
    **dict.fromkeys(("labels", "tags", "multioutput", "multilabelindicator"), "multilabel"),
    **dict.fromkeys(("swish",), "silu"),
    **dict.fromkeys(("logistic",), "sigmoid"),
    **dict.fromkeys(("lrelu", "prelu"), "leaky_relu"),
    **dict.fromkeys(("he", "henormal", "kaiming"), "kaiming_normal"),
    **dict.fromkeys(("heuniform",), "kaiming_uniform"),
    **dict.fromkeys(("glorot", "xavier", "glorotuniform"), "xavier_uniform"),
    **dict.fromkeys(("glorotnormal",), "xavier_normal"),
    **dict.fromkeys(("onecycle", "warmup"), "warm_up_cosine"),
    **dict.fromkeys(("heavyball",), "momentum"),
    **dict.fromkeys(("nag",), "nesterov"),
    **dict.fromkeys(("numeric", "float", "int", "integer", "double", "numerical"), "number"),
    **dict.fromkeys(("bool", "binary"), "boolean"),
    **dict.fromkeys(("categorical", "text", "string", "str", "object"), "category"),
    **dict.fromkeys(("datetime", "time", "timestamp"), "date"),
    **dict.fromkeys(("ignore", "exclude", "skip", "remove"), "drop"),
}


def normalized(name: str) -> str:
    """Return the letters and digits of a name in lower case: spellings of one name are equal then."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `Did you mean 'x'? Known: x, y.` for a name that is not known."""
    names = sorted(known)
    listing = f"Known: {', '.join(names)}."
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    usual = USUAL.get(normalized(name))
    if usual in names:
        near = [usual]
    return f"Did you mean '{near[0]}'? {listing}" if near else listing


def look_up(rows: Mapping[str, Row], name: str, what: str) -> Row:
    """Return the row of a literal table, or say which names it has.

    Raises:
        UserError: the table has no such row.
    """
    if name not in rows:
        raise UserError(f"unknown {what} {shown(name)}. {suggestion(name, rows)}")
    return rows[name]
