"""Behind launch.gradients."""
