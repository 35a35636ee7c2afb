"""Does the true return rise from one iteration to the next? Updates of a run's film, before and after, on common numbers."""
