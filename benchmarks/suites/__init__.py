"""What is raced. A suite has `plan(options)`, a list of functions that make a Case each, COLUMN, the dim that its
pictures have on their horizontal axis, and `panel(dims)`, the texts of the row and the column of the picture that
shows a case; `load` measures other things and has `measure(options, names, threads)`."""
