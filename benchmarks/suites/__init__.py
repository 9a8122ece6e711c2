"""What is raced. A suite has `cases(options)`, an iterable of Case, and COLUMN, the dim that its pictures
have on their horizontal axis; `load` measures other things and has `measure(options)`."""
