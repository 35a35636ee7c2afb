"""Does the value net predict the returns, and what do baselines do to the gradient?"""
