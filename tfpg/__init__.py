"""tfpg: a laboratory for policy-gradient algorithms in TensorFlow 2. The map of the house:

    config settings types seeds errors   what a run is, the records that pass between rooms
    numerics/    flat krylov linesearch returns moments optimisers       pure tensors
    models/      mlp policy value       envs/   make transforms rollout      objectives
    algos/       trpo ppo critic schedule: the update rules; agent: wiring and compilation
    training     iterations(config) → Iterator[Iteration]
    snapshot checkpoint               SavedModel and resume state ⇄ directory
    diagnostics/ probe: a saved iteration as a function of θ; landscapes/ trust_regions/ gradients/ values/ statistics/
    report/      metrics summaries figures     benchmark/  how fast all of it is
    launch/      python -m launch.train | evaluate | landscape | trust_region | gradients | values | benchmark

Begin with algos/trpo.py. Importing `tfpg` alone imports no TensorFlow."""
