"""`StudyConfig`: a study's TOML file as checked values.

Every problem of a file is told at once, each in a line: `FILE: KEY: what is wrong. What to do.` `sections` says what may stand in a file,
`problems` what may not stand in it together, `reading` reads one.
"""

from hpsearch.config.reading import (
    STUDIES,
    check_config,
    find_study,
    is_study,
    parse_value,
    read_comparison,
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
