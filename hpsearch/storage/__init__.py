"""The storage is the study: an ordinary Optuna study that optuna-dashboard and Optuna's own functions read.

`opening` turns a URL into an Optuna storage (`journals`: a file's or Redis's; `sqlite_files`: whether one is whole); `retrying` waits
for one that is away. `lease` sees to it that one process writes, `joining` waits for its end, `turns` is a process's turn. `writing`
keeps trials off the training thread, `telling` and `curves` in few transactions that may be done twice, `fingerprint` refuses another
study of the same name. `rows` reads trials, `seals` and `kept` tell damage, `reading` gives it all back as the frozen `records` that
tables and the report are made from.

Of hpsearch's own a study has the user attributes `hpsearch:schema`, `:identity`, `:settings`, `:data`, `:result` and `:complete`, a
trial has `hpsearch:run`; all of them JSON, none of them ever run as code. While one runs there is a study `lease of NAME`. A comparison
NAME is a study without trials (`:plan`, `:updates`, `:shared`, `:textbook`, `:minima`), one for each arm's tuning, NAME/OPTIMIZER/BATCH
SIZE, and one for each winner's runs on fresh seeds, NAME/OPTIMIZER/BATCH SIZE/trial NUMBER (`:measured`).
"""

from hpsearch.storage.records import (
    ArmRecord,
    ComparisonRecord,
    StudyRecord,
    TrialRecord,
    WinnerRecord,
)

__all__ = ["ArmRecord", "ComparisonRecord", "StudyRecord", "TrialRecord", "WinnerRecord"]
