"""Behind launch.trust_region."""
