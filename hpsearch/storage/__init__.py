"""The storage is the study: an ordinary Optuna study that optuna-dashboard and Optuna's own functions read.

`opening` turns a URL into an Optuna storage (`databases` by way of SQLAlchemy, or one of `journals`; `urls` and `folders` say which),
`failures` waits for one that is away and explains errors, `optuna_internals` has what Optuna does not make public. `lease` lets one
process write a study, others wait for its end. `writing` is the study as its writer sees it: `writer_thread` keeps writes off the training
thread, `trial_writing` makes them safe to repeat, `fingerprint` refuses another study of the same name. `reading` gives a study back as
the frozen `records` that tables and pages are made from (`trial_records`: one trial; `foreign`: a study that hpsearch did not run); the
checksums of `attributes` show damage. `contents` looks at a database before Optuna adds its tables to it.

Of hpsearch's own a study has the user attributes `hpsearch:schema`, `:identity`, `:settings`, `:data`, `:trials`, `:result` and
`:complete`, and where there are such `:start` (the settings that it began with), `:code` (checksums of code files) and `:confirmed:NUMBER`
(a trial's runs on fresh seeds); a trial has `hpsearch:run`; all of them JSON, none of them ever run as code. While one runs there is a
study `lease of NAME`. A comparison NAME is a study without trials (`:plan`, `:made`, `:updates`, `:plain`, `:shared` with `:shared_of`,
`:textbook`, `:minima`), one for each arm's tuning, NAME/OPTIMIZER/BATCH SIZE, and one for each winner's runs on fresh seeds,
NAME/OPTIMIZER/BATCH SIZE/trial NUMBER (`:measured`).
"""

from hpsearch.storage.records import ArmRecord, ComparisonRecord, StudyRecord, TrialRecord, WinnerRecord

__all__ = ["ArmRecord", "ComparisonRecord", "StudyRecord", "TrialRecord", "WinnerRecord"]
