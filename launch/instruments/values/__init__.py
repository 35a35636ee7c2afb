"""Behind launch.values."""
