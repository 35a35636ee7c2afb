"""Did the policy stay where it was told to? On pairs the update did not see, over one run, over several agents."""
