"""Which presets are there? Each module named in PRESETS has `config(env) -> Config`: one run of that algorithm.

base holds what all share, environments the authors' settings task by task. Relative imports only: the command line
loads this package by its path, under a private name, so that a user's own `configs` folder never shadows it."""

PRESETS = ("trpo", "trpo_plus", "ppo", "ppo_m", "ppo_noclip", "ppo_bare")
