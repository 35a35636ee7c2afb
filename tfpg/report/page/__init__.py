"""One self-contained HTML page of results: what is on it (contents), how it is written (rendering), the surfaces one turns (grounds)."""
