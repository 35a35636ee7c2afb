"""Behind launch.study: its jobs, what each will cost, and how it looks on a terminal."""
