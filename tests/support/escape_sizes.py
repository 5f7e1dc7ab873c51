"""Sizes of the escape tests for tests: `quick` ones, compiled, and `tiny` ones, which plain Python can run."""

from hpsearch.comparison.escape import Settings
from hpsearch.comparison.escape.dead_relu import DeadSettings
from hpsearch.comparison.escape.instability import InstabilitySettings
from hpsearch.comparison.escape.teacher import TeacherSettings
from hpsearch.comparison.escape.thermal import ThermalSettings


def quick() -> Settings:
    """Return sizes at which each test takes a second or less."""
    return Settings(
        InstabilitySettings(seeds=20, learning_rates=(0.3, 0.7, 0.95, 1.05), batch_sizes=(1, 2, 3, 8), updates=1_000),
        ThermalSettings(
            seeds=40,
            learning_rates=(0.05,),
            ratios=(100, 200),
            unstable=(0.5, 1.6),
            examples=100_000,
            equal_updates=5_000,
            equal_examples=50_000,
        ),
        TeacherSettings(
            starts=12,
            good=2,
            learning_rates=(0.01, 0.03),
            unstable=(1.0,),
            batch_sizes=(1, 4),
            marks=(100, 200),
            examples=800,
        ),
        DeadSettings(seeds=20, learning_rates=(0.1, 10.0), updates=100, examples=200),
    )


def tiny() -> Settings:
    """Return sizes at which each test takes about a second without its compiler."""
    return Settings(
        InstabilitySettings(
            seeds=3, examples_in_sum=8, learning_rates=(0.3,), batch_sizes=(1,), updates=20, examples=20
        ),
        ThermalSettings(
            seeds=3,
            examples_in_sum=8,
            learning_rates=(0.05,),
            ratios=(100,),
            unstable=(1.6,),
            updates=20,
            examples=20,
            equal_updates=10,
            equal_examples=10,
        ),
        TeacherSettings(
            units=2,
            starts=1,
            good=1,
            learning_rates=(0.01,),
            unstable=(),
            batch_sizes=(1,),
            marks=(2, 5),
            examples=5,
        ),
        DeadSettings(seeds=1, examples_in_sum=4, learning_rates=(0.1,), batch_sizes=(1,), updates=5, examples=5),
    )
