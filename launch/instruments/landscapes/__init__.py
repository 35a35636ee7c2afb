"""Behind launch.landscape."""
