"""How large each escape test is: every grid, budget and count of seeds; `quick()` is the size of a test run."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InstabilitySettings:
    """Learning rates × batch sizes of the selection test; `updates` and `examples` are the two budgets of a run."""

    seeds: int = 100
    examples_in_sum: int = 100
    learning_rates: tuple[float, ...] = tuple(round(0.05 * i, 2) for i in range(1, 23))
    batch_sizes: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 16, 32)
    updates: int = 2_000
    examples: int = 20_000


@dataclass(frozen=True, slots=True)
class ThermalSettings:
    """Learning rates × ratios batch size / learning rate, the axis of Kramers' law; `unstable` are GD's larger learning rates.

    A run ends at its first passage, after `updates`, or after `examples`, whichever comes first; `equal_updates` and
    `equal_examples` are the two budgets within which all arms are compared.
    """

    seeds: int = 100
    examples_in_sum: int = 1_000
    deviation: float = 4.0
    learning_rates: tuple[float, ...] = (0.02, 0.04, 0.1)
    ratios: tuple[int, ...] = (50, 100, 200, 300, 400, 500)
    unstable: tuple[float, ...] = (0.5, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
    updates: int = 1_000_000
    examples: int = 4_000_000
    equal_updates: int = 20_000
    equal_examples: int = 400_000


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """Student and teacher of `units` rectified units and as many inputs; `starts` random networks, of which some get stuck.

    `good` of the others are the control. `step` is the learning rate of the descent that finds and polishes minima. `updates` and
    `examples` are the two budgets of each run from a certified minimum; GD uses the full distribution in each update. `unstable` are
    GD's larger learning rates.
    """

    units: int = 10
    starts: int = 120
    good: int = 10
    step: float = 0.5
    learning_rates: tuple[float, ...] = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.6)
    unstable: tuple[float, ...] = (0.64, 0.66, 0.68, 0.7, 1.0)
    batch_sizes: tuple[int, ...] = (1, 4, 16, 64)
    updates: int = 1_000
    examples: int = 16_000


@dataclass(frozen=True, slots=True)
class DeadSettings:
    """Learning rates × batch sizes of the case that no optimizer can leave."""

    seeds: int = 100
    examples_in_sum: int = 64
    learning_rates: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)
    batch_sizes: tuple[int, ...] = (1, 4, 16)
    updates: int = 1_000
    examples: int = 4_000


@dataclass(frozen=True, slots=True)
class Settings:
    """The sizes of all four tests."""

    instability: InstabilitySettings = field(default_factory=InstabilitySettings)
    thermal: ThermalSettings = field(default_factory=ThermalSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    dead_relu: DeadSettings = field(default_factory=DeadSettings)


def sized(seeds: int, starts: int) -> Settings:
    """Return the usual grids with so many runs in each cell of the one-dimensional tests, and so many networks of the student."""
    return Settings(
        InstabilitySettings(seeds=seeds),
        ThermalSettings(seeds=seeds),
        TeacherSettings(starts=starts),
        DeadSettings(seeds=seeds),
    )


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
            updates=200,
            examples=800,
        ),
        DeadSettings(seeds=20, learning_rates=(0.1, 10.0), updates=100, examples=200),
    )
