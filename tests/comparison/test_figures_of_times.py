"""The figures of times, curves, rates, quality and tuning: what is drawn, what is said, and that thin records are told as such."""

import re
from dataclasses import replace
from functools import cache
from math import inf, log10

import pytest

from hpsearch.comparison.analysis.quality import limits, quality
from hpsearch.comparison.analysis.times import times as arm_times
from hpsearch.comparison.figures import COMPARISON_FIGURES, ComparisonFigure, tuning
from hpsearch.comparison.figures.appearance import gap_texts, interval, regime_color, regime_name, target_text
from hpsearch.comparison.figures.figure import marks_axis, power_axis
from hpsearch.locales import Texts, sentences
from hpsearch.reporting.figures.style import DARK, LIGHT
from hpsearch.statistics import Estimate
from hpsearch.storage import ArmRecord, ComparisonRecord
from hpsearch.trial import History
from tests.support import comparisons

TIMED = (
    "steps",
    "epochs",
    "seconds",
    "update_seconds",
    "tradeoff",
    "curves",
    "loss_curves",
    "rates",
    "quality",
    "tuning",
)
FIGURES = {row.name: row for row in COMPARISON_FIGURES if row.name in TIMED}
made = cache(comparisons.comparison)
EN = Texts("en")
KO = Texts("ko")


def said(name: str, record: ComparisonRecord, texts: Texts = EN) -> str:
    return FIGURES[name].reading(record, texts)


def bare(arm: ArmRecord) -> ArmRecord:
    return replace(arm, fastest=None, best=None)


def running(arm: ArmRecord) -> ArmRecord:
    """The arm with one run that ended and one in training, which has no history yet."""
    assert arm.fastest is not None
    runs = (arm.fastest.runs[0], replace(arm.fastest.runs[1], state="running", outcome="", value=None, history=None))
    winner = replace(arm.fastest, runs=runs)
    return replace(arm, fastest=winner, best=winner)


def lost(arm: ArmRecord) -> ArmRecord:
    """The arm when everything diverged at once."""
    gone = tuple(replace(t, outcome="diverged", value=0.0, history=History(), scores={}) for t in arm.trials)
    assert arm.fastest is not None
    return replace(arm, trials=gone, fastest=None, best=replace(arm.fastest, runs=gone[:3]))


@cache
def thin() -> dict[str, ComparisonRecord]:
    """Records with too little for one thing or another."""
    record = made()
    return {
        "no arms": replace(record, arms=()),
        "no trials": replace(record, arms=tuple(replace(bare(arm), trials=()) for arm in record.arms), target=None),
        "tuning": replace(record, arms=tuple(map(bare, record.arms)), target=None),
        "no winners": replace(record, arms=tuple(map(bare, record.arms))),
        "in training": replace(record, arms=tuple(map(running, record.arms))),
        "one seed": made(seeds=1),
        "two seeds": made(seeds=2),
        "all censored": replace(record, target=0.9999),
        "diverged": replace(record, arms=tuple(map(lost, record.arms))),
        "one arm": replace(record, arms=record.arms[:1]),
        "two arms": replace(record, arms=record.arms[::3]),
        "minimise": replace(
            record, direction="minimize", target=0.1, data={**record.data, "metric": "rmse", "worst": 9.0}
        ),
        "no worst": replace(record, data={**record.data, "worst": None}),
    }


@pytest.mark.slow
@pytest.mark.parametrize("row", FIGURES.values(), ids=list(FIGURES))
def test_nothing_raises_and_all_is_said(row: ComparisonFigure) -> None:
    """Whole and thin records are drawn, or not, and read in both languages without an unfilled brace; every column has a meaning."""
    for name, record in {"whole": made(), "optimizers": made(optimizers=("sgd", "adam")), **thin()}.items():
        figure = row.draw(record, KO if name == "whole" else EN)
        shown = "" if figure is None else figure.to_json().replace("%{", "%")
        english = row.reading(record, EN)
        korean = row.reading(record, KO)
        for text in (english, korean, shown):
            assert not re.search(r"[{][a-z_]+[}]", text), name
        assert korean != english != "", name
        assert "nan" not in english.split(), name
        for column in {key for entry in row.numbers(record) for key in entry}:
            assert EN.has(f"column.{column}"), column
            assert KO.has(f"column.{column}"), column


@pytest.mark.parametrize("row", FIGURES.values(), ids=list(FIGURES))
def test_a_row_has_its_title_and_question(row: ComparisonFigure) -> None:
    """Title and question are there in both languages; the languages have the same names to fill in, in every sentence."""
    for texts in (EN, KO):
        assert texts(f"figure.{row.name}.title")
        assert texts(f"figure.{row.name}.question").endswith("?")
    english = sentences("en")
    korean = sentences("ko")
    for key in (key for key in english if key.startswith((f"figure.{row.name}.", "legend.", "reading.", "axis."))):
        assert set(re.findall(r"\{(\w+)\}", english[key])) == set(re.findall(r"\{(\w+)\}", korean[key])), key
        has_words = re.search("[a-z]", re.sub(r"\{\w+\}", "", english[key]))
        assert english[key] != korean[key] or not has_words or key == "reading.optimizer", key


def test_thin_records_are_not_drawn() -> None:
    """No arms, no winners or one arm: no figure, and the reading says so; the tuning's own figures need no winners."""
    records = thin()
    for name, row in FIGURES.items():
        assert row.draw(records["no arms"], EN) is None
        assert row.draw(records["one arm"], EN) is None
        assert (row.draw(records["no winners"], EN) is None) == (name not in ("rates", "tuning"))
        if name not in ("tradeoff", "tuning"):
            assert row.reading(records["no arms"], EN) == EN("reading.nothing")


def test_few_seeds_conclude_nothing() -> None:
    """With one or two seeds the readings say that there is not enough evidence; with three they conclude."""
    for name in ("steps", "epochs", "seconds", "curves", "quality"):
        for seeds in (1, 2):
            assert said(name, made(seeds=seeds)) == EN("reading.few", seeds="3"), name
        assert said(name, made(seeds=3)) != EN("reading.few", seeds="3"), name


def traces(name: str, record: ComparisonRecord) -> dict[str, dict]:  # type: ignore[type-arg]
    figure = FIGURES[name].draw(record, EN)
    assert figure is not None
    return {trace.name: trace.to_plotly_json() for trace in figure.data}


def test_marks_are_medians_with_their_intervals() -> None:
    """Each arm's mark stands at its median, the bar reaches the ends of the interval, in the regime's colour."""
    record = made()
    drawn = traces("steps", record)[EN("legend.median")]
    for place, arm in enumerate(arm_times(record)):
        median = arm.costs["steps"].median
        assert (drawn["x"][place], drawn["y"][place]) == (arm.batch_size, pytest.approx(median.value))
        assert drawn["y"][place] + drawn["error_y"]["array"][place] == pytest.approx(median.high)
        assert drawn["y"][place] - drawn["error_y"]["arrayminus"][place] == pytest.approx(median.low)
        assert drawn["marker"]["color"][place] == regime_color(arm.batch_size, record.rows)


def test_perfect_scaling_and_the_fit() -> None:
    """The dashed line falls with slope -1 in updates and is level in epochs; the fit in epochs is the one in updates times B / rows."""
    steps = traces("steps", made())
    epochs = traces("epochs", made())
    x = steps[EN("legend.perfect")]["x"]
    y = steps[EN("legend.perfect")]["y"]
    assert x[0] * y[0] == pytest.approx(x[-1] * y[-1], rel=1e-4)
    assert len(set(epochs[EN("legend.perfect")]["y"])) == 1
    fits = [found[EN("legend.fit")] for found in (steps, epochs)]
    expected = [s * b / comparisons.ROWS for s, b in zip(fits[0]["y"], fits[0]["x"], strict=True)]
    assert fits[1]["y"] == pytest.approx(expected, rel=1e-4)


def test_censored_arms_are_triangles_on_the_line_of_the_budget() -> None:
    """An arm whose median run never reached stands as a triangle at the budget's end; one with some such runs has an open one."""
    record = replace(made(), target=0.988)
    arms = arm_times(record)
    never = [arm for arm in arms if arm.costs["epochs"].median.value == inf]
    some = [arm for arm in arms if arm not in never and arm.reached < arm.runs]
    assert never, "the record is made so that gradient descent is censored"
    drawn = traces("epochs", record)
    assert drawn[EN("legend.never")]["x"] == [arm.batch_size for arm in never]
    assert drawn[EN("legend.never")]["y"] == [comparisons.EPOCHS] * len(never)
    assert drawn[EN("legend.never")]["marker"]["symbol"] == "triangle-up"
    assert (EN("legend.some") in drawn) == bool(some)
    assert set(drawn[EN("legend.cap")]["y"]) == {comparisons.EPOCHS}
    assert EN("legend.cap") not in traces("epochs", made(target=0.9))
    assert "gradient descent (GD)" in said("epochs", record)
    assert said("steps", record).endswith(EN("figure.steps.unfitted"))


def test_the_published_curve_belongs_to_its_data() -> None:
    """Shallue's curve is drawn for MNIST alone, starts at our smallest batch size's median, and the note says whose it is."""
    mnist = replace(made(), data={**made().data, "name": "mnist"})
    drawn = traces("steps", mnist)[EN("legend.shallue")]
    assert drawn["y"][0] == pytest.approx(arm_times(mnist)[0].costs["steps"].median.value)
    assert drawn["x"][-1] == comparisons.ROWS
    assert EN("legend.shallue") not in traces("steps", made())
    assert EN("legend.shallue") not in traces("epochs", mnist)


def test_readings_name_the_known_winners() -> None:
    """In the synthetic record GD needs the fewest updates and the most epochs, SGD the most updates, a mini-batch the least time."""
    assert re.match(r"Fewest updates: gradient descent .* Most: SGD", said("steps", made()))
    assert re.match(r"Least data: SGD.* Most: gradient descent", said("epochs", made()))
    assert "Fastest: mini-batch 8" in said("seconds", made())
    assert "by epochs SGD;" in said("curves", made(seeds=6))
    assert "unit of the budget" in said("quality", made())
    assert "worse ones tried on both sides" in said("rates", made())


def timed(start: float = 3e-4, row: float = 1e-6) -> ComparisonRecord:
    """The record with times of the plain loop, and its device."""
    return replace(made(), plain=comparisons.plain(start=start, row=row), made={"device": "cpu"})


def test_seconds_name_their_engine_and_are_read_after_updates_and_epochs() -> None:
    """The engine and its device stand in the reading, once; where they are not on record, that is told."""
    record = timed()
    assert said("seconds", record).startswith("Measured with the compiled engine on cpu; other machines differ.")
    figure = FIGURES["seconds"].draw(record, EN)
    assert figure is not None
    assert "engine" not in figure.layout.meta["note"]
    assert "an engine that is not on record" in said("seconds", made())


def test_two_engines_stand_beside_each_other() -> None:
    """Seconds of an update and to the target in both engines: four lines in two panels, a row for each batch size and engine."""
    record = timed()
    figure = FIGURES["update_seconds"].draw(record, EN)
    assert figure is not None
    assert figure.layout.meta["panels"] == 2
    assert [trace.name for trace in figure.data] == ["the compiled engine on cpu", "the plain loop of torch"] * 2
    rows = FIGURES["update_seconds"].numbers(record)
    assert [row["engine"] for row in rows] == ["compiled", "reference"] * 4
    assert rows[1]["update_seconds"] == pytest.approx(3.01e-4)


def test_a_quickest_batch_size_that_the_engines_do_not_share_depends_on_the_engine() -> None:
    """Where the plain loop costs the same for any batch, larger ones are quickest in it and the reading says so; else it does not."""
    apart = said("update_seconds", timed(start=3e-3, row=1e-9))
    assert EN("figure.update_seconds.depends") in apart
    assert "Seconds of SGD by those of mini-batch" in apart
    alike = said("update_seconds", timed(start=4e-6, row=1e-6))
    assert "Among the quickest in both: mini-batch 8" in alike
    assert said("update_seconds", made()).endswith(EN("figure.update_seconds.untimed"))


def test_a_batch_size_without_times_of_the_plain_loop_is_named() -> None:
    """Where the full batch has no winner to be timed, the two engines are compared on the others, and the reading says so."""
    record = replace(made(), plain=comparisons.plain(batch_sizes=(1, 8, 64)))
    reading = said("update_seconds", record)
    assert "no setting reached the target in tuning: gradient descent (GD)." in reading
    assert "Quickest to the target" in reading


def test_a_batch_size_is_judged_by_updates_times_epochs_before_seconds() -> None:
    """The reading names the mini-batch of the best balance and how far the ends are from it; its line runs through that mark."""
    reading = said("tradeoff", made())
    assert "the best balance is that of mini-batch 64" in reading
    assert re.search(r"SGD needs [\d.]+ \([\d.]+ to [\d.]+\) times as much of that product", reading)
    assert reading.endswith(EN("figure.tradeoff.seconds"))
    figure = FIGURES["tradeoff"].draw(made(), EN)
    assert figure is not None
    (line,) = [trace for trace in figure.data if trace.name == EN("legend.balance")]
    rows = FIGURES["tradeoff"].numbers(made())
    (best,) = [row for row in rows if row["batch_size"] == 64]
    product = float(str(best["median_steps"])) * float(str(best["median_examples"]))
    assert [x * y for x, y in zip(line.x, line.y, strict=True)] == pytest.approx([product] * 2, rel=1e-3)
    assert best["median_product"] == pytest.approx(product / comparisons.ROWS, rel=0.01)


def test_what_the_seeds_cannot_tell_from_the_least_is_named() -> None:
    """Two batch sizes with the same runs are alike in updates, and the reading of the figure says so of the second."""
    record = made()
    first, second, *rest = record.arms
    twin = replace(record, arms=(replace(first, batch_size=16), second, *rest))
    assert "Not told from the least" not in said("steps", replace(record, arms=(first, second)))
    same = replace(second, fastest=first.fastest, best=first.best)
    assert "Not told from the least" in said("steps", replace(twin, arms=(first, same)))


def test_several_optimizers_have_a_line_each() -> None:
    """Two optimizers have two colours and their names; map and tuning have panels, which share one legend."""
    both = made(optimizers=("sgd", "adam"))
    drawn = traces("steps", both)
    assert drawn["sgd"]["marker"]["color"][0] != drawn["adam"]["marker"]["color"][0]
    assert said("steps", both).count("Fewest updates") == 2
    assert "adam: Fewest updates: batch size 1,024" in said("steps", both), (
        "full batches of Adam are not gradient descent"
    )
    assert set(traces("tuning", both)) - {None} == {f"batch size {size}" for size in ("1", "8", "64", "1,024")}
    for name, panels in (("rates", 2), ("quality", 6), ("tuning", 4)):
        figure = FIGURES[name].draw(both, EN)
        assert figure is not None
        assert figure.layout.meta["panels"] == panels
        assert figure.layout[f"xaxis{panels}"].title.text
        listed = [trace.name for trace in figure.data if trace.showlegend]
        assert len(listed) == len(set(listed))


def test_a_switch_has_places_for_every_trace() -> None:
    """Every option of the page's switch holds as many places as there are traces, each as long as its heights."""
    figure = FIGURES["rates"].draw(made(), EN)
    assert figure is not None
    for option in figure.layout.meta["switch"]:
        assert len(option["x"]) == len(option["y"]) == len(figure.data)
        assert all(len(x) == len(y) > 0 for x, y in zip(option["x"], option["y"], strict=True))


def test_the_switch_counts_the_same_rates() -> None:
    """A rate per row is the rate divided by the batch size."""
    figure = FIGURES["rates"].draw(made(), EN)
    assert figure is not None
    plain, per_row = figure.layout.meta["switch"]
    for a, b, y in zip(plain["x"], per_row["x"], plain["y"], strict=True):
        assert [v for v in b if v] == pytest.approx([v / s for v, s in zip(a, y, strict=True) if v], rel=1e-4)


def test_the_map_has_every_trial_once() -> None:
    """Every tuning trial is one mark in the class that became of it, and every tuned rate is ringed."""
    record = made()
    drawn = traces("rates", record)
    classes = [EN(f"figure.rates.{name}") for name in ("reached", "late", "never", "diverged")]
    assert sum(len(drawn[name]["x"]) for name in classes if name in drawn) == sum(
        len(arm.trials) for arm in record.arms
    )
    tuned = [arm.fastest.learning_rate for arm in record.arms if arm.fastest]
    assert drawn[EN("figure.rates.tuned")]["x"] == pytest.approx(tuned)


def test_quality_marks_what_is_significant() -> None:
    """With ten seeds differences that all pairs share are filled marks."""
    ten = traces("quality", made(seeds=10, batch_sizes=(1, 64, 1024)))
    assert EN("figure.quality.significant") in ten


def test_tuning_counts_trials() -> None:
    """`needed` is the first n at which nine tenths of the way from the first to the last expected best are gone."""
    for arm in tuning.arms_of(made()):
        way = [(value - arm.best.value[0]) / (arm.best.value[-1] - arm.best.value[0]) for value in arm.best.value]
        count = tuning.needed_trials(arm)
        assert way[count - 1] >= 0.9
        assert all(done < 0.9 for done in way[: count - 1])


def test_regimes_look_the_same_everywhere() -> None:
    """SGD, GD and mini-batches have their colours, mini-batches darken with their size, and every colour has a dark twin."""
    assert (regime_color(1, 1000), regime_color(1000, 1000)) == (LIGHT["one"], LIGHT["full"])
    assert regime_color(32, 1024) == LIGHT["some"]
    shades = [regime_color(2**k, 1024) for k in range(1, 10)]
    assert len(set(shades)) == 5
    assert LIGHT.keys() == DARK.keys()
    twins = {(LIGHT[name], DARK[name]) for name in LIGHT}
    assert len(twins) == len(set(LIGHT.values())), "one light colour has two dark ones"
    assert regime_name(8, 1024, EN) == "mini-batch 8"
    assert [regime_name(b, 1024, KO, short=True) for b in (1, 8, 1024)] == ["SGD", "8", "GD"]


def test_axes_show_batch_sizes_that_there_are() -> None:
    """Ticks are batch sizes of the data, the ends among them, and no more than fit; powers of ten cover what is switched to."""
    sizes = [2**k for k in range(17)]
    ticks = marks_axis(sizes, "")["tickvals"]
    assert set(ticks) <= set(sizes)
    assert (ticks[0], ticks[-1]) == (1, 65536)
    assert len(ticks) <= 10
    assert marks_axis([1, 4, 16], "")["tickvals"] == [1, 4, 16]
    axis = power_axis("")
    assert [round(log10(tick)) for tick in axis["tickvals"]] == list(range(-12, 13))
    assert "10⁻⁶" in axis["ticktext"]


def test_values_are_written_in_the_language() -> None:
    """Differences have a sign and points, times their unit, targets their direction; an end that nothing bounds is 0 or infinite."""
    record = made()
    gap = gap_texts(record, Estimate(-0.0123, -0.05, 0.0001), EN)
    assert gap == {"value": "−1.2 points", "low": "−5.0", "high": "0.0"}
    assert gap_texts(record, Estimate(0.02, 0.01, 0.03), KO)["value"] == "+2.0 %p"
    assert (
        gap_texts(replace(record, data={**record.data, "metric": "rmse"}), Estimate(0.5, 0, 1), EN)["value"] == "+0.5"
    )
    assert interval(Estimate(123.4, -inf, inf)) == ("123", "0", "∞")
    assert interval(Estimate(0.00345, 0.5, 90.0), seconds=True) == ("3.4\u00a0ms", "0.5\u00a0s", "1\u00a0min 30\u00a0s")
    assert target_text(record, EN) == "accuracy above 95.0\u00a0%"
    assert target_text(replace(record, direction="minimize"), KO) == "정확도 95.0\u00a0% 미만"


def ends_low(arm: ArmRecord) -> ArmRecord:
    """The arm whose runs on fresh seeds never get beyond 10 %."""
    assert arm.fastest is not None
    runs = []
    for run in arm.fastest.runs:
        assert run.history is not None
        runs.append(replace(run, history=replace(run.history, metric=(0.1,) * len(run.history))))
    winner = replace(arm.fastest, runs=tuple(runs))
    return replace(arm, fastest=winner, best=winner)


def test_no_seconds_are_compared_with_those_of_runs_that_never_arrived() -> None:
    """Where GD never reached the target SGD alone is held against the mini-batch, and no ratio is 0 or infinite."""
    record = timed(3e-4, 1e-6)
    reading = said("update_seconds", record)
    assert reading.count("by those of mini-batch 64") == 2
    censored = replace(record, arms=(*record.arms[:-1], ends_low(record.arms[-1])))
    reading = said("update_seconds", censored)
    assert "Seconds of SGD by those of" in reading
    assert "Seconds of gradient descent" not in reading
    assert "∞" not in reading


def test_two_runs_do_not_say_which_batch_size_is_quickest_in_an_engine() -> None:
    """From fewer than three runs of a batch size the reading of the two engines concludes nothing, as those of the costs."""
    few = replace(comparisons.comparison(seeds=2), plain=comparisons.plain(), made={"device": "cpu"})
    reading = said("update_seconds", few)
    assert reading.endswith(EN("reading.few", seeds="3"))
    assert "Quickest to the target" not in reading


def test_the_short_budget_has_an_update_of_every_batch_size() -> None:
    """An easy target is reached in a fifth of an epoch, in which GD makes no update: networks are compared at one epoch then."""
    record = replace(made(), target=0.5)
    assert 2 * min(arm.costs["epochs"].median.value for arm in arm_times(record)) < 1
    assert limits(record)["short"].epochs == 1.0
    (last,) = [arm for arm in quality(record) if arm.batch_size == comparisons.ROWS]
    assert last.within["short"].metric.value > 0.1
    assert "equal epochs (1):" in said("quality", record).lower()
    assert limits(made())["short"].epochs > 2


def test_what_tuning_brings_is_said_of_the_trials_that_there_were() -> None:
    """Nine tenths of it are a share of what so many trials brought, not of what tuning could bring."""
    assert said("tuning", made()).startswith("Nine tenths of what 11 trials bring are there after ")


def test_one_learning_rate_is_no_range() -> None:
    """A single rate that works is named alone; a tuned rate that is the same at both ends is not "multiplied by 1"."""
    record = made()

    def tuned(arm: ArmRecord, rate: float) -> ArmRecord:
        assert arm.fastest is not None
        only = tuple(trial for trial in arm.trials if trial.params["learning_rate"] == rate)
        return replace(arm, trials=only, fastest=replace(arm.fastest, params={"learning_rate": rate}))

    rate = 2.0**-4
    reading = said("rates", replace(record, arms=tuple(tuned(arm, rate) for arm in record.arms[1:3])))
    assert "(0.062 alone)" in reading
    assert "The tuned learning rate is the same with a batch 8 times as large." in reading


def test_a_loss_that_is_lowest_at_the_end_is_told_once() -> None:
    """The lowest and the last validation loss are one number then, and an epoch has no plural fault."""
    reading = said("loss_curves", made())
    assert re.search(r"gradient descent \(GD\): lowest at the end, epoch 40 \([\d.]+\)\.", reading)
    assert "epochs" not in reading
