"""Behind launch.steps."""
