"""Which way does a pool say that θ should move? The policy gradient and ∇J from pairs that come in parts.

    measure, sums = Measure(probe), Sums(len(probe.theta))  # of the surrogate's gradient
    for part in stream.take(10**7):
        batch = measure.prepare(part)
        sums.add(batch.advantages, measure.surrogate(batch, order=draw.permutation(len(batch.advantages))))
    sums.gradient()

Two limits. The estimator's, with Â the GAE of training normalised over all pairs of the estimate,

    g = ∇E[ρ_θ Â] at θ_k = 1/(N s) Σ_t (Â_t − m) ∇log π(a_t|s_t),     m, s: mean and standard deviation of the Â_t

so that four sums are enough: Σ Â∇log π, Σ ∇log π, Σ Â, Σ Â². And ∇J of J's own definition, undiscounted and raw,

    ∇J = E[Σ_t ∇log π(a_t|s_t) (G_t − V(s_t))],    G_t = Σ_{u ≥ t} r_u to the episode's end

over whole episodes, each counted once. Sums are float64; memory is that of a part."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.updates import CHUNK, Repeater, networks_of
from tfpg.envs import transforms
from tfpg.types import Batch, Trajectory

SMALLEST = 256  # pairs that a part is filled up to at least
FLAT = 1e-6  # of the largest |Â|: a spread below it is rounding, as for objectives.normalised
PERMUTED = "advantages permuted among the pairs of a part (up to 65,536, whole episodes)"


class Sums:
    """What a pool has added up to, part by part; equal to updates.surrogate_gradient of the whole pool but for rounding."""

    FIELDS = ("count", "total", "square", "largest", "score", "weighted", "permuted")

    def __init__(self, size: int):
        """Args: size: P."""
        self.count, self.total, self.square, self.largest = 0.0, 0.0, 0.0, 0.0  # N, Σ Â, Σ Â², max |Â|
        self.score, self.weighted, self.permuted = np.zeros((3, size))  # Σ ∇log π, Σ Â ∇log π, the same with Â permuted

    def add(self, advantages: np.ndarray, products: np.ndarray) -> None:
        """A part. Args: advantages: [B], un-normalised. products: [3, P], of weights 1, Â, Â permuted."""
        advantages = np.asarray(advantages, np.float64)
        self.count += len(advantages)
        self.total += advantages.sum()
        self.square += (advantages**2).sum()
        self.largest = max(self.largest, np.abs(advantages).max(initial=0))
        for name, product in zip(("score", "weighted", "permuted"), products, strict=True):
            setattr(self, name, getattr(self, name) + product)

    def gradient(self) -> np.ndarray:
        """g, [P]; 0 where all advantages are equal."""
        return self._normalised(self.weighted)

    def chance(self) -> np.ndarray:
        """The same with advantages permuted: what a gradient is that knows nothing of them, [P]."""
        return self._normalised(self.permuted)

    def arrays(self) -> dict[str, np.ndarray]:
        """To be kept."""
        return {name: np.asarray(getattr(self, name), np.float64) for name in self.FIELDS}

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> Sums:
        """From `arrays`."""
        found = cls(len(arrays["score"]))
        for name in cls.FIELDS:
            setattr(found, name, arrays[name])
        return found

    @classmethod
    def joined(cls, several: list[Sums]) -> Sums:
        """Of all their pairs."""
        found = cls(len(several[0].score))
        for name in cls.FIELDS:
            values = [getattr(each, name) for each in several]
            setattr(found, name, max(values) if name == "largest" else sum(values))
        return found

    def _normalised(self, weighted: np.ndarray) -> np.ndarray:
        mean = self.total / self.count
        std = np.sqrt(max(self.square / self.count - mean**2, 0))
        if std <= FLAT * self.largest:
            return np.zeros_like(weighted)
        return (weighted - mean * self.score) / (self.count * std)


class Scores:
    """Weighted sums of ∇log π_θk(a|s): Σ_t w_t ∇log π(a_t|s_t), for several weights at once, in float64.

    Anything that is linear in the scores comes of it: gradients under any advantages or baselines."""

    def __init__(self, probe: Probe):
        pi = networks_of(probe).policy
        self._theta, self._kind = tf.constant(probe.theta, tf.float64), np.int32 if probe.task.discrete else np.float64

        @tf.function(autograph=False, reduce_retracing=True)
        def products(theta, obs, actions, weights):
            with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
                tape.watch(theta)
                log_probs = pi(theta, obs).log_prob(actions)
            return tf.stack([tape.gradient(log_probs, theta, output_gradients=each) for each in weights])

        self._products = products

    def __call__(self, obs: np.ndarray, actions: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Args: obs: normalised [B, S]. actions: [B, A] or [B]. weights: [m, B]. Returns: [m, P]."""
        total = np.zeros((len(weights), len(self._theta)))
        for first in range(0, len(obs), CHUNK):
            rows = slice(first, first + CHUNK)
            pairs = tf.constant(np.asarray(obs[rows], np.float64)), tf.constant(np.asarray(actions[rows], self._kind))
            chosen = tuple(tf.constant(np.asarray(each[rows], np.float64)) for each in weights)
            total += self._products(self._theta, *pairs, chosen).numpy()
        return total


class Preparer:
    """Batches of parts of any length, as training makes them; compiled for a few lengths only."""

    def __init__(self, repeater: Repeater):
        self._repeater = repeater

    def __call__(self, part: Trajectory) -> Batch:
        """Args: part: raw, [B, 1, …]. Returns: Batch [B]; Â of a last row that has not ended its episode is bootstrapped.

        Rows are put before the part, up to a power of two: returns flow backwards in time, so they change nothing."""
        pairs = len(part.rewards)
        more = max(SMALLEST, 1 << (pairs - 1).bit_length()) - pairs
        filled = Trajectory(*(np.concatenate([np.repeat(column[:1], more, axis=0), column]) for column in part))
        filled.terminated[:more] = True
        filled.truncated[:more] = False
        return Batch(*(column[more:] for column in self._repeater.prepare(filled)))


class Measure:
    """What a part adds to the sums. Args: probe: whose θ_k, V_φk, normaliser and scaling are used."""

    def __init__(self, probe: Probe, repeater: Repeater | None = None):
        self._probe, self.scores = probe, Scores(probe)
        self.prepare = Preparer(repeater or Repeater(probe))

    def surrogate(self, batch: Batch, order: np.ndarray) -> np.ndarray:
        """The products of Sums.add. Args: order: a permutation of the B rows, for chance. Returns: [3, P]."""
        advantages = np.asarray(batch.advantages, np.float64)
        return self.scores(batch.obs, batch.actions, np.stack([np.ones_like(advantages), advantages, advantages[order]]))

    def monte_carlo(self, episodes: Trajectory) -> np.ndarray:
        """Σ_t ∇log π(a_t|s_t) (G_t − V(s_t)) over whole episodes, the last one too; ∇J is its mean over episodes.

        V is brought back to raw rewards by the factor they were scaled with; that it discounts, or that reward_scaling
        "rewards" also shifts, leaves it a baseline: it changes the variance and not the mean.
        Args: episodes: raw, [B, 1, …]. Returns: [P]."""
        batch = self.prepare(episodes)
        baseline = np.asarray(batch.values, np.float64) * reward_scale(self._probe)
        weights = rewards_to_go(episodes) - baseline
        return self.scores(batch.obs, batch.actions, weights[np.newaxis])[0]


def reward_scale(probe: Probe) -> float:
    """Raw reward of one unit of reward as the learner saw it."""
    code_level = probe.config.code_level
    return 1.0 if code_level.reward_scaling == "none" else float(transforms.scale(probe.normaliser.reward))


def rewards_to_go(episodes: Trajectory) -> np.ndarray:
    """G_t = Σ_{u ≥ t} r_u to the end of t's episode, undiscounted, raw. Args: [B, 1, …]. Returns: [B] float64."""
    rewards = np.asarray(episodes.rewards, np.float64)[:, 0]
    ended = np.asarray(episodes.terminated | episodes.truncated)[:, 0]
    after = np.cumsum(rewards[::-1])[::-1]  # to the end of the pool
    ends = np.flatnonzero(ended)
    beyond = np.append(after, 0.0)[ends + 1]  # what comes after each episode
    episode = np.concatenate([[0], np.cumsum(ended)[:-1]]).astype(int)
    beyond = np.append(beyond, 0.0)  # rows after the last end
    return after - beyond[episode]


def whole_episodes(episodes: Trajectory) -> int:
    """How many end in a pool."""
    return int(np.asarray(episodes.terminated | episodes.truncated).sum())
