"""Behind launch.benchmark: processes that take turns, and the table of their speeds."""
