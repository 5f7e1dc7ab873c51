"""The tables of a study's file as checked values: unknown keys are errors, and nothing is converted in silence."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PrivateAttr,
    field_validator,
    model_validator,
)

from hpsearch.config.own import OwnCode, is_code, load_code
from hpsearch.data.metrics import OBJECTIVES
from hpsearch.data.partition import is_last, last_size
from hpsearch.data.tasks import TASKS
from hpsearch.errors import UserError
from hpsearch.space import SearchSpace
from hpsearch.space.hyperparameters import as_number
from hpsearch.trial import BUDGET_UNITS, UNSAID, Budget

SAMPLED = ("qmc", "random")  # samplers that ignore results: so what tuning with fewer trials would have given is known


def _flat(tables: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of tables in each other by their dotted keys."""
    for name, value in tables.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _known_task(name: str) -> str:
    if name not in TASKS:
        raise ValueError(f"unknown task {name}")
    return name


def _last_rows(value: Any) -> Any:
    if not is_last(value):
        raise ValueError("not the last rows")
    try:
        last_size(value)
    except UserError as error:
        raise ValueError(str(error)) from None
    return value


LAST_ROWS = Field(json_schema_extra={"const": "last:5000"})
LastRows = Annotated[Any, AfterValidator(_last_rows), LAST_ROWS]  # no `str`: a text that is a number is read as one
TaskName = Annotated[str, AfterValidator(_known_task), Field(json_schema_extra={"enum": [*TASKS]})]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Positive = Annotated[int, Field(ge=1, le=10**12)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A table of the file: unknown keys are errors. A text that is a number ('1e-3') and 3.0 for 3 are read; nothing else is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _read_numbers(cls, raw: Any) -> Any:
        """Read numbers where the table's keys are numbers."""
        if not isinstance(raw, dict):
            return raw
        known = {name: _types(field.annotation) for name, field in cls.model_fields.items()}
        return {name: _number(known.get(name, set()), value) for name, value in raw.items()}


def _types(annotation: Any) -> set[Any]:
    """Return the types that an annotation is made of."""
    parts = get_args(annotation)
    if not parts:
        return {annotation}
    return set().union(*map(_types, parts))


def _number(types: set[Any], value: Any) -> Any:
    """Return what a key of these types is given, a text that is a number as this number."""
    if str in types or not types & {int, float}:
        return value
    if isinstance(value, list):
        return [_number(types, item) for item in value]
    number = as_number(value)
    if isinstance(number, float) and float not in types and number.is_integer():
        return int(number)
    return number


class StudySection(Section):
    """What the study is: its name (and folder), the question it asks, the seed of everything random in it."""

    name: Name = "study"
    question: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class DataSection(Section):
    """The data: a `name` of `DATASETS` (or of torchvision's), or a `file` with its `target`; how it is read, and which rows go where.

    `validation` and `test` are shares (or numbers) of rows held out, `test` = 0 for none; `rows` caps the training rows; `folds`
    divides all rows but the test rows in so many parts, each of which validates in turn ("auto": 5 for up to 2,000 rows). Rows of
    one `group` stay in one part; with a `time` column the earliest rows train and the latest test. `columns` gives columns a kind
    by force (`COLUMN_TYPES`, or "drop"); `missing` says what takes the place of a missing number, `missing_values` which texts mean one
    besides the usual; `size` is the side of images in pixels. `validation` = "given": the source's own validation rows, "last:5000": the
    last ones; `parts` says what sub-folders of images are, `background` what transparent images are laid over. Several columns may be
    the `target`. `drop_rows` drops rows without a target, and those of classes that are too rare to be in every part. The column `weight`
    says how much a row counts in loss and metrics. Of numbers, `target_transform` is what networks learn in their place, `target_range`
    the lowest and the highest that are possible.
    """

    name: Name | None = None
    file: Annotated[str, Field(min_length=1, max_length=4_096)] | None = None
    target: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)] | None = None
    root: str | None = None
    task: TaskName | None = None
    validation: Share | Positive | Literal["given"] | LastRows | None = None
    test: Share | Annotated[int, Field(ge=0, le=10**12)] | None = None
    rows: Positive | None = None
    folds: Annotated[int, Field(ge=2, le=100)] | Literal["auto"] | None = None
    group: str | None = None
    time: str | None = None
    columns: dict[str, str] = {}
    missing: Literal["median", "mean", "refuse"] | None = None
    missing_values: list[str] = []
    weight: str | None = None
    target_transform: Literal["none", "log"] | None = None
    target_range: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)] | Literal["none"] | None = None
    drop_rows: list[Literal["missing-target", "rare-classes"]] = []
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    header: bool | None = None
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    thousands: Literal[",", ".", " ", "'", "_", "none"] | None = None
    size: Annotated[int, Field(ge=1, le=4_096)] | None = None
    parts: dict[str, Literal["train", "validation", "test", "drop", "class"]] | None = None
    background: Literal["white", "black"] | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _names_with_dots(cls, raw: Any) -> Any:
        """Take `columns.Sepal.Length`, which TOML reads as tables in each other, for the column Sepal.Length, unless that is there too."""
        if not isinstance(raw, dict):
            return raw
        named = list(_flat(raw))
        return dict(named) if len(dict(named)) == len(named) else raw


class TrainingSection(Section):
    """One trial's budget (one of epochs, updates, examples; `max_examples` in any case), its evaluations, early stopping, the precision.

    `class_weights`: "balanced" gives each class the same weight in the loss, however rare it is. `model` and `loss` are functions of your
    own, as "FILE.py:NAME": `build(trial, shape, outputs)` makes a network, `loss(outputs, targets)` takes the place of the task's.
    `max_seconds` ends a trial after so many seconds, wherever it is then; how far that is depends on the machine.
    """

    epochs: Positive | None = None
    updates: Positive | None = None
    examples: Positive | None = None
    max_examples: Positive | None = None
    evaluations: Annotated[int, Field(ge=1, le=10_000)] | None = None
    patience: Positive | None = None
    precision: Literal["float32", "float64", "tf32", "bfloat16"] = "float32"
    class_weights: Literal["none", "balanced"] = "none"
    model: Annotated[str, Field(min_length=1, max_length=4_096)] | None = None
    loss: Annotated[str, Field(min_length=1, max_length=4_096)] | None = None
    max_seconds: Annotated[float, Field(gt=0, le=10**9)] | None = None


class SearchSection(Section):
    """The search: trials in all, seconds at most, who proposes (sampler), who stops early (pruner), what counts (metric).

    `lag`: trial k knows the results of trials 0 … k - lag, however many train at once, so that their number changes no result.
    `objectives`: several figures to be made better at once, metrics or "parameters"; the first is the metric. A `metric` of your own is a
    function, as "FILE.py:NAME"; `better` says then what is better, "maximize" or "minimize". `start`: the hyperparameters of the first
    trials, or the name of a study whose best trial is the first one. `patience`: trials without a better metric after which no further
    one begins; `target_value`: the metric at which none does.
    """

    trials: Annotated[int, Field(ge=1, le=10_000_000)] = 64
    timeout: Annotated[float, Field(gt=0, le=10**9)] | None = None
    sampler: str = "tpe"
    pruner: str = "none"
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3
    lag: Annotated[int, Field(ge=1, le=100_000)] = 8
    metric: str | None = None
    better: Literal["maximize", "minimize"] | None = None
    objectives: Annotated[list[str], Field(min_length=2, max_length=4)] | None = None
    start: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)] | Name | None = None
    patience: Positive | None = None
    target_value: FiniteFloat | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_start(cls, raw: Any) -> Any:
        """Take one table of settings for a list of one."""
        if isinstance(raw, dict) and isinstance(raw.get("start"), dict):
            return {**raw, "start": [raw["start"]]}
        return raw

    @model_validator(mode="before")
    @classmethod
    def _first_objective(cls, raw: Any) -> Any:
        """Take the first of several objectives for the metric."""
        if not isinstance(raw, dict) or raw.get("metric") is not None:
            return raw
        objectives = raw.get("objectives")
        if isinstance(objectives, list) and objectives and isinstance(objectives[0], str):
            return {**raw, "metric": objectives[0]}
        return raw

    @property
    def secondary_of_rows(self) -> list[str]:
        """The objectives after the first that are measured on rows."""
        secondary = (self.objectives or [])[1:]
        known = [name for name in secondary if name in OBJECTIVES]
        return [name for name in known if OBJECTIVES[name].of_rows]


class ConfirmSection(Section):
    """What happens once the search is done: its best `trials` are trained again on fresh `seeds`, and the best mean of them wins.

    Neither the winner nor its mean is then the luck of one seed. `trials` = 0: the best trial as it is. `ensemble`: how many networks
    predict together at most, by a weighted mean of their predictions, unless one network is clearly better on validation rows.
    `refit`: the networks of the selected model train once more, on training and validation rows; after a cross-validation they always do.
    """

    trials: Annotated[int, Field(ge=0, le=1_000)] = 3
    seeds: Annotated[int, Field(ge=2, le=1_000)] = 5
    ensemble: Annotated[int, Field(ge=1, le=100)] = 1
    refit: bool = True


class CompareSection(Section):
    """A comparison: what is trained at each batch size, with equal means.

    `batch_sizes`: the regimes (default: the list in `[space]`, else `BATCH_SIZES`), for each optimizer of `[space]`. `trials` settings are
    tried at each, the winner is trained again on `seeds` fresh seeds, `measured` of these runs update by update. `target`: the metric
    to be passed (default: the best that every batch size reached in tuning). `tune_until` and `train_until`: whether a run ends at the
    target or goes on to its budget. `seconds`: a run's budget as time in training, turned into updates once for each batch size.
    `resolution`: the share of a time to the target within which it is known. `space`: what takes the place of `[space]` for an optimizer.
    `refine`: the fresh seeds on which a finer grid of learning rates around the best setting is tried, before a winner is named; 0: none.
    `divisions`: of the rows, over which the winners' seeds run; another one tunes. 1: all on the rows that tuned.
    """

    batch_sizes: Annotated[list[Positive | Literal["full"]], Field(min_length=1, max_length=64)] | None = None
    trials: Annotated[int, Field(ge=2, le=10_000)] = 16
    seeds: Annotated[int, Field(ge=2, le=1_000)] = 10
    measured: Annotated[int, Field(ge=0, le=1_000)] = 3
    target: FiniteFloat | None = None
    tune_until: Literal["target", "budget"] = "budget"
    train_until: Literal["target", "budget"] = "budget"
    seconds: Annotated[float, Field(gt=0, le=10**7)] | None = None
    resolution: Annotated[float, Field(ge=0.001, le=1)] = 0.02
    refine: Annotated[int, Field(ge=0, le=100)] = 2
    divisions: Annotated[int, Field(ge=1, le=100)] = 5
    space: dict[str, dict[str, Any]] = {}


class MinimaSection(Section):
    """The escape tests, which need no data: runs in each cell of the one-dimensional ones, networks of the student that are trained.

    As many networks again are trained to measure anew what was best on the first ones.
    """

    seeds: Annotated[int, Field(ge=10, le=100_000)] = 100
    starts: Annotated[int, Field(ge=10, le=100_000)] = 300


class MinimaConfig(BaseModel):
    """A study of the escape tests alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: StudySection = StudySection()
    minima: MinimaSection = MinimaSection()

    def settings(self) -> dict[str, Any]:
        """Return the study as plain values, as in its file: what the storage keeps."""
        return self.model_dump()


class StudyConfig(BaseModel):
    """A study, whole: what is searched, on what, how long and by whom."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    study: StudySection = StudySection()
    data: DataSection = DataSection()
    space: SearchSpace
    training: TrainingSection = TrainingSection()
    search: SearchSection = SearchSection()
    confirm: ConfirmSection = ConfirmSection()
    compare: CompareSection | None = None
    minima: MinimaSection | None = None
    _code: OwnCode = PrivateAttr(default_factory=OwnCode)
    _notices: tuple[str, ...] = PrivateAttr(())

    @property
    def code(self) -> OwnCode:
        """The functions of the user's own, at hand; settings alone only name them."""
        return self._code

    def with_code(self, code: OwnCode) -> "StudyConfig":
        """Return the study with the functions that its settings name."""
        config = self.model_copy()
        config._code = code
        return config

    def named_code(self) -> OwnCode:
        """Load the functions that the settings name as files, by running these files.

        Raises:
            UserError: there is no such file or function.
        """
        build = self.training.model and load_code(self.training.model, "training.model (--model)")
        loss = self.training.loss and load_code(self.training.loss, "training.loss (--loss)")
        metric = None
        if is_code(self.search.metric):
            metric = load_code(str(self.search.metric), "search.metric (--metric)")
        return OwnCode(build or None, loss or None, metric)

    @property
    def named_functions(self) -> dict[str, tuple[str, bool]]:
        """What the settings name of code of the user's own, and whether it is at hand, by the option that names it."""
        metric = self.search.metric if self.search.better else None
        named = {
            "--model": (self.training.model, self.code.build),
            "--loss": (self.training.loss, self.code.loss),
            "--metric": (metric, self.code.metric),
        }
        return {option: (name, function is not None) for option, (name, function) in named.items() if name}

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences on what was left out of the file because of the command line."""
        return self._notices

    def with_notices(self, notices: Iterable[str]) -> "StudyConfig":
        """Return the study with these sentences."""
        study = self.model_copy()
        study._notices = tuple(notices)
        return study

    @property
    def budget(self) -> Budget:
        """The budget of each trial."""
        unit, amount = UNSAID
        for given in BUDGET_UNITS:
            if getattr(self.training, given):
                unit, amount = given, getattr(self.training, given)
                break
        evaluations = self.training.evaluations
        if evaluations is None:
            evaluations = min(amount, 100) if unit == "epochs" else 20
        prunes = self.search.pruner != "none"
        return Budget(
            unit=unit,
            amount=amount,
            evaluations=evaluations,
            patience=self.training.patience,
            reduction_factor=self.search.reduction_factor if prunes else None,
            resolution=self.compare.resolution if self.compare else None,
            max_seconds=self.training.max_seconds,
            max_examples=self.training.max_examples,
        )

    @property
    def folds(self) -> int | Literal["auto"] | None:
        """The folds of the data; "auto" is for a search whose objectives after the first are not measured on rows."""
        if self.data.folds != "auto":
            return self.data.folds
        if self.compare or self.search.secondary_of_rows:
            return None
        return "auto"

    def settings(self) -> dict[str, Any]:
        """Return the study as plain values, tables and keys as in its file: what the storage keeps."""
        sections = {name: getattr(self, name) for name in type(self).model_fields if name != "space"}
        plain = {name: section.model_dump() for name, section in sections.items() if section is not None}
        if self.compare:
            plain["search"] = {"sampler": self.tuner, "metric": self.search.metric}  # a comparison decides the rest
            del plain["confirm"]
        return {**plain, "space": self.space.plain()}

    @property
    def tuner(self) -> str:
        """Who proposes the trials of a comparison."""
        sampler = self.search.sampler
        return sampler if sampler in SAMPLED else SAMPLED[0]
