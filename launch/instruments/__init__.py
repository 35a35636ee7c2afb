"""Behind the commands that look at runs and policies: for each a plan read from flags, the measuring, the numbers said."""
