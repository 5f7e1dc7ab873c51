"""The room of tables: from a file or a pandas frame to columns of numbers, by rules that are stated.

`reading` opens a file (`opening` its bytes, `dialect` its separator, header and decimal mark, `structure` its rows) and `frames` takes
pandas and Parquet; both give one frozen `Table`. `kinds` says what each column is, `columns` reads cells into a matrix of numbers, and
`preprocessing` turns those into a network's inputs. Text stays text until a column's kind is known, so nothing is guessed cell by cell.
"""
