"""How far did an update move the policy on pairs that it was not made from?

The pairs are a pool of whole episodes of π_θk under the normaliser of iteration k, in environments and with random numbers
of their own: named by the run's seed and k, so that they are the same while the run trains and from its film afterwards,

    with Heldout(config, task) as heldout:             one update at a time, beside the training
        heldout.measure([step_of(iteration)])
    with Heldout(config, task, points=8) as heldout:   several at once: the same bits, eight times as many environments
        heldout.measure([step_on_film(run, k) for k in …])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import tensorflow as tf

from tfpg import checkpoint, seeds
from tfpg.algos import batches
from tfpg.algos.distances import moved
from tfpg.algos.networks import networks
from tfpg.config import Config
from tfpg.diagnostics import pools
from tfpg.diagnostics.statistics.estimates import clustered
from tfpg.envs.episodes import EpisodeSampler
from tfpg.envs.make import Task
from tfpg.envs.transforms import normalise_observation
from tfpg.run_directory import RunDirectory
from tfpg.types import Iteration, Moments, Normaliser, Tensor, Trajectory, TrustRegion


class Step(NamedTuple):
    """One update: what acted, and what it became."""

    iteration: int  # k
    theta: Tensor  # [P]  θ_k
    theta_next: Tensor  # [P]  θ_{k+1}
    phi: Tensor  # [Q]  φ_k, for the advantages
    normaliser: Normaliser  # frozen during iteration k


class HeldoutRegion(NamedTuple):
    """What held-out pairs say of one update (NumPy)."""

    region: TrustRegion
    mean_kl_stderr: np.ndarray  # of mean_kl; pairs of an episode hang together, episodes do not
    mean_return: float  # raw, of all episodes that were played for the pairs, each to its end: what π_θk earns
    mean_return_stderr: float  # s/√episodes_played
    pairs: int
    episodes: int  # that began among the pairs
    episodes_played: int  # rounds of equally many, so neither short nor long ones are favoured


class Heldout:
    """Plays the pools of a run and looks at its updates on them; to be closed, or used in a `with`.

    Args: config: the run's. task: from `describe`. pairs: of a pool; None: as many as the run's batches have, for largest
    ratios are compared at equal numbers. points: updates that can be looked at together.
    Errors: as of tfpg.envs.episodes."""

    def __init__(self, config: Config, task: Task, *, pairs: int | None = None, points: int = 1):
        self.pairs, self.points = pairs or config.rollout.num_steps, points
        self._config, self._task = config, task
        self._nets = networks(task, algorithm=config.algorithm, value=config.value, network=config.network,
                              code_level=config.code_level, seed=config.seed)
        self._look = tf.function(self._looked, autograph=False)
        self._sampler: EpisodeSampler | None = None

    def measure(self, steps: Sequence[Step]) -> list[HeldoutRegion]:
        """Each update on its own pool. A result does not depend on those beside it."""
        return [self._measured(step, pool) for step, pool in zip(steps, self.play(steps), strict=True)]

    def play(self, steps: Sequence[Step]) -> list[Trajectory]:
        """At least `pairs` transitions of each π_θk in whole episodes, raw [B, 1, …]."""
        sampler = self._environments([step.iteration for step in steps])
        noise = [[int(word) for word in seeds.words(self._config.seed, "heldout_noise", step.iteration)] for step in steps]
        thetas = np.stack([np.asarray(step.theta) for step in steps])
        moments = [Moments(*map(np.asarray, step.normaliser.observation)) for step in steps]
        count, mean, m2 = (np.stack(parts) for parts in zip(*moments, strict=True))
        stacked = Moments(count[:, None, None], mean[:, None], m2[:, None])  # beside observations [K, n, S]
        return pools.whole_episodes(sampler, self._act, self.pairs, noise, thetas, stacked,
                                    noise_kind="gumbel" if self._task.discrete else "normal")

    def close(self) -> None:
        """Frees the environments."""
        if self._sampler is not None:
            self._sampler.close()
        self._sampler = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _environments(self, iterations: Sequence[int]) -> EpisodeSampler:
        """The sampler at the first starts of these iterations' environments; its compiled loop is kept."""
        if len(iterations) > self.points:
            raise ValueError(f"{len(iterations)} updates for {self.points} points")
        rows = [*iterations, *[iterations[-1]] * (self.points - len(iterations))]  # environments that nobody will step
        table = [seeds.environments(self._config.seed, "heldout", pools.FEW_ENVS, k) for k in rows]
        if self._sampler is None:
            self._sampler = EpisodeSampler(self._task, table, points=self.points, threads=self._config.runtime.env_threads,
                                           patience=self._config.rollout.patience)
        else:
            self._sampler.renew(table)
        return self._sampler

    def _act(self, obs, noise, thetas, moments):
        return self._nets.policy.act_stacked(thetas, normalise_observation(obs, moments, self._config.code_level), noise)

    def _measured(self, step: Step, played: Trajectory) -> HeldoutRegion:
        pool = pools.first(played, self.pairs)
        tensors = tf.nest.map_structure(tf.convert_to_tensor, (step.theta, step.theta_next, step.phi, step.normaliser, pool))
        region, kl = tf.nest.map_structure(np.asarray, self._look(*tensors))
        episode, returns = pools.clusters(pool), np.bincount(pools.clusters(played), played.rewards[:, 0].astype(np.float64))
        return HeldoutRegion(
            region, clustered(kl, episode).stderr, mean_return=float(returns.mean()),
            mean_return_stderr=float(returns.std(ddof=1) / np.sqrt(len(returns))), pairs=self.pairs,
            episodes=int(episode[-1]) + 1, episodes_played=len(returns))

    def _looked(self, theta, theta_next, phi, normaliser, pool):
        """The trust region on a pool [B, 1, …], and KL(π_θk ‖ π_θk+1) in each of its states [B]."""
        config, pi = self._config, self._nets.policy
        batch = batches.prepare(
            pool, normaliser, phi, self._nets.value, time_limit=self._task.time_limit, rollout=config.rollout,
            advantages=config.advantages, value=config.value, code_level=config.code_level)
        kl = pi(theta, batch.obs).kl_divergence(pi(theta_next, batch.obs))
        return moved(pi, theta, theta_next, batch, config.algorithm), kl


def step_of(iteration: Iteration) -> Step:
    """The update of an iteration just done."""
    return Step(iteration.index, iteration.before.theta, iteration.update.learner.theta, iteration.before.phi,
                iteration.normaliser)


def step_on_film(run: RunDirectory, k: int) -> Step:
    """The update of iteration k of a run, from frames k and k + 1. Errors: UserError naming a missing or damaged frame."""
    frame, following = (checkpoint.load_iterate(run.iterates, i) for i in (k, k + 1))
    return Step(k, frame.theta, following.theta, frame.phi, frame.normaliser)


def frames(run: RunDirectory) -> range:
    """The iterations whose update the film shows: those with a frame that follows."""
    count = 0
    while run.iterate(count).exists():
        count += 1
    return range(max(0, count - 1))
