"""The storage is the study: an ordinary Optuna study that optuna-dashboard and Optuna's own functions read.

`opening` turns a URL into an Optuna storage; `lease` sees to it that one process writes; `writing` keeps trials in few transactions
off the training thread; `reading` gives it all back as the frozen `records` that tables and the report are made from.

Of hpsearch's own a study has the user attributes `hpsearch:schema`, `:settings`, `:data`, `:result` and `:lease`, a trial has
`hpsearch:run`; all of them JSON, none of them ever run as code. A comparison NAME is a study without trials (`:plan`, `:updates`,
`:shared`, `:textbook`, `:minima`), one for each arm's tuning, NAME/OPTIMIZER/BATCH SIZE, and one for each winner's runs on fresh seeds,
NAME/OPTIMIZER/BATCH SIZE/trial NUMBER (`:measured`).
"""

from hpsearch.storage.records import ArmRecord, ComparisonRecord, StudyRecord, TrialRecord, WinnerRecord

__all__ = ["ArmRecord", "ComparisonRecord", "StudyRecord", "TrialRecord", "WinnerRecord"]
