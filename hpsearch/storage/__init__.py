"""The storage is the study: an ordinary Optuna study that optuna-dashboard and Optuna's own functions read.

`opening` turns a URL into an Optuna storage; `lease` sees to it that one process writes; `writing` keeps trials in few transactions
off the training thread; `reading` gives it all back as the frozen `records` that tables and the report are made from.

Of hpsearch's own a study has the user attributes `hpsearch:schema`, `:settings`, `:data`, `:result` and `:lease`, a trial has
`hpsearch:run`; all of them JSON, none of them ever run as code.
"""

from hpsearch.storage.records import StudyRecord, TrialRecord

__all__ = ["StudyRecord", "TrialRecord"]
