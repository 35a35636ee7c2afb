"""How much do the instruments look at? Scales by name: smoke to see that it works, small for a laptop's evening, paper as
published and larger. Times are for Hopper on an idle machine."""

from typing import NamedTuple


class Landscape(NamedTuple):
    """Budgets of launch.landscape; pairs are nominal: episodes are fixed from the mean length at the origin."""

    points: int  # of each axis of a surface
    extent: tuple[float, float]  # of both axes, in steps and in random directions
    pairs: int  # of each point of the return surface
    concentration: tuple[int, ...]  # sample sizes, pairs of each point
    slice_points: int
    slice_extent: tuple[float, float]
    slice_pairs: int  # of each point of a slice
    directions: int  # random ones that the step is compared with
    end_pairs: int  # of θ_k and of θ_k + step, for their difference
    update_pairs: tuple[str, ...]  # the steps looked at: the stored one, and recomputed ones by their number of pairs
    heldout_pairs: int  # that the surrogate is measured on besides the update's own
    repeats: int  # independent updates from the checkpoint
    repeat_episodes: int  # of each of them


LANDSCAPES = {
    # about a minute on two cores, start-up included
    "smoke": Landscape(
        points=5, extent=(0, 3), pairs=1_000, concentration=(200, 1_000), slice_points=5, slice_extent=(-1, 3),
        slice_pairs=1_000, directions=16, end_pairs=10_000, update_pairs=("stored", "8192"), heldout_pairs=4_096,
        repeats=8, repeat_episodes=8),
    # an hour a policy on two cores, most of it slices
    "small": Landscape(
        points=9, extent=(0, 3), pairs=20_000, concentration=(2_000, 6_000, 20_000), slice_points=13, slice_extent=(-1, 3),
        slice_pairs=100_000, directions=16, end_pairs=500_000, update_pairs=("stored", "100000"), heldout_pairs=20_000,
        repeats=64, repeat_episodes=16),
    # a day and a half a policy on two cores
    "paper": Landscape(
        points=21, extent=(0, 3), pairs=1_000_000, concentration=(2_000, 20_000, 100_000), slice_points=21,
        slice_extent=(-1, 3), slice_pairs=1_000_000, directions=16, end_pairs=10_000_000,
        update_pairs=("stored", "1000000"), heldout_pairs=100_000, repeats=256, repeat_episodes=32),
}


class Gradients(NamedTuple):
    """Budgets of launch.gradients, in pairs."""

    sizes: tuple[int, ...]  # of an estimate of the gradient; the training batch's is added
    reference_pairs: int  # of both truths; sizes above a fifth of them are dropped
    estimates: int  # of each size
    step_sizes: tuple[int, ...]  # of an estimate of the step; at least 640
    step_reference_pairs: int  # held at once: a million of Hopper take 2.5 GB


GRADIENTS = {
    # a minute and a half a policy on two cores, start-up included
    "smoke": Gradients(sizes=(200, 640, 2_048), reference_pairs=20_480, estimates=10, step_sizes=(640, 2_048),
                       step_reference_pairs=10_240),
    # some four minutes a policy on two cores
    "small": Gradients(sizes=(200, 640, 2_048, 6_400, 20_000, 64_000), reference_pairs=1_000_000, estimates=10,
                       step_sizes=(640, 2_048, 6_400, 20_000, 64_000), step_reference_pairs=320_000),
    # half an hour a policy on two cores, 3 GB for the steps
    "paper": Gradients(sizes=(100, 320, 1_000, 2_048, 10_000, 32_000, 100_000, 320_000, 1_000_000), reference_pairs=10_000_000,
                       estimates=10, step_sizes=(640, 2_048, 10_000, 32_000, 100_000, 200_000), step_reference_pairs=1_000_000),
}


class Values(NamedTuple):
    """Budgets of launch.values; pairs are real ones, episodes at their end played on until they are over."""

    repeats: int  # value updates repeated from φ_k, each judged on as many held-out pairs as it was made from
    fit_pairs: int  # whole episodes that V* is fitted to; published with 5·10⁶
    check_pairs: int  # whole episodes that V*'s explained variance is measured on
    sizes: tuple[int, ...]  # pairs of a gradient estimate, ascending
    estimates: int  # of each size, from disjoint episodes
    reference_pairs: int  # of the gradient that they are compared with, at least five times the largest size


VALUES = {
    # less than a minute on two cores, start-up included
    "smoke": Values(
        repeats=4, fit_pairs=50_000, check_pairs=20_000, sizes=(500, 1_000, 2_000), estimates=5, reference_pairs=20_000),
    "small": Values(
        repeats=16, fit_pairs=500_000, check_pairs=200_000, sizes=(500, 1_000, 2_000, 5_000, 10_000), estimates=10,
        reference_pairs=500_000),
    "paper": Values(
        repeats=64, fit_pairs=5_000_000, check_pairs=1_000_000, sizes=(500, 1_000, 2_000, 5_000, 10_000), estimates=10,
        reference_pairs=5_000_000),
}


class TrustRegions(NamedTuple):
    """Budget of launch.trust_region; a pool has as many pairs as a batch of the run, for largest ratios to compare."""

    heldout_every: int  # iterations from one that is looked at on held-out pairs to the next


TRUST_REGIONS = {
    "smoke": TrustRegions(heldout_every=100),  # seconds a run
    "small": TrustRegions(heldout_every=10),  # half a minute a run of 488 iterations
    "paper": TrustRegions(heldout_every=1),  # every iteration, as published: some minutes a run
}


class Steps(NamedTuple):
    """Budget of launch.steps; an episode's return spreads by hundreds, a mean gain is a few points."""

    # Updates around each checkpoint, at least 25 for their mean to stand for the others.
    count: int  # type: ignore[assignment]  # a field; nobody counts in this tuple
    spread: int  # iterations of the window that they are drawn from
    episodes: int  # of both ends of every update


STEPS = {
    # seconds a run: sees that it works, and finds nothing
    "smoke": Steps(count=4, spread=8, episodes=16),
    # some ten minutes a run with four checkpoints; finds a mean gain of a per cent of Hopper's final return
    "small": Steps(count=25, spread=50, episodes=100),
    # some hours a run; finds a few tenths of a per cent
    "paper": Steps(count=50, spread=50, episodes=1_000),
}
