"""From the results in runs to a report: what is drawn (chapters), what is said of claims (verdicts), and where it goes (drawing)."""
