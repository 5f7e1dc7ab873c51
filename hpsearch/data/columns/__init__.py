"""The columns of a table: from cells to columns of numbers, by rules that are stated.

A loader gives one frozen `Table`, whose text stays text until a column's type is known: nothing is guessed cell by cell. `roles` takes the
target aside, `column_types` and `column_selection` say what each column is, `reading` reads its cells as numbers by the rules of `parsing`,
and `fitting` does all of this for the parts of a data set, and fits what fills and scales them.
"""
