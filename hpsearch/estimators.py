"""`DNNClassifier` and `DNNRegressor`: scikit-learn estimators that search the hyperparameters of a deep network inside `fit`.

They keep to scikit-learn's conventions in full, so that pipelines, `cross_val_score`, `GridSearchCV` and `clone` take them as they
are. `fit` holds rows out to compare networks on (no rows test: whoever wants a test score holds rows back, as `cross_val_score`
does), searches in memory, and keeps nothing but the model and the table of trials.

Weights of samples are not offered: `fit` takes none, as scikit-learn's own `MLPClassifier` took none for a decade, since batches drawn alike for
all trials are what makes trials comparable here. `class_weight` weighs classes.
"""
