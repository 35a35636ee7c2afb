"""How are results kept for readers? Runs without what is large, a page, and a text beside it."""
