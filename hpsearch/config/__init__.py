"""`StudyConfig`: a study's TOML file as checked values.

Every problem of a file is told at once, each in a line: `FILE: KEY: what is wrong. What to do.` `sections` says what may stand in a file,
`conflicts` what may not stand in it together, `reading` reads one, `comparing` one that is compared, `messages` words the problems.
"""

from hpsearch.config.comparing import read_comparison
from hpsearch.config.reading import (
    STUDIES,
    check_config,
    find_study,
    is_study,
    parse_value,
    read_config,
)
from hpsearch.config.sections import CompareSection, MinimaConfig, MinimaSection, StudyConfig

__all__ = [
    "STUDIES",
    "CompareSection",
    "MinimaConfig",
    "MinimaSection",
    "StudyConfig",
    "check_config",
    "find_study",
    "is_study",
    "parse_value",
    "read_comparison",
    "read_config",
]
