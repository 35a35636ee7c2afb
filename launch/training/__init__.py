"""What of a training is written down, and how."""
