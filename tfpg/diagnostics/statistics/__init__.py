"""What do numbers say, and how surely? Intervals, ranks, orderings and tails of any samples: nothing here knows a policy."""
