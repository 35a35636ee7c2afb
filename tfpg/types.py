"""The records that pass between the rooms: immutable, named, with their shapes.

Shapes: T time, N environments, B = T·N pairs, S observation, A action, P = |θ|, Q = |φ|, E epochs.
Nothing here computes anything, and nothing here imports TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Tensor = Any  # a tf.Tensor or a NumPy array
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)  # levels at which trust regions are described


class Moments(NamedTuple):
    """Count, mean and centred second moment of all samples seen so far (float64)."""

    count: Tensor  # []
    mean: Tensor  # [...]
    m2: Tensor  # [...]  Σ (x − mean)²


class Normaliser(NamedTuple):
    """Statistics of observations and rewards, frozen while a batch is collected and used."""

    observation: Moments  # over observations, [S]
    reward: Moments  # over rewards, or over discounted returns: whatever code_level.reward_scaling needs, []


class Trajectory(NamedTuple):
    """T·N real transitions (s, a, r, s') in the environment's own units; time-major, no reset rows."""

    obs: Tensor  # [T, N, S] float32  s_t
    actions: Tensor  # [T, N, A] float32, or [T, N] int32 for discrete actions
    rewards: Tensor  # [T, N] float32
    terminated: Tensor  # [T, N] bool    the task ended: V(s_{t+1}) = 0
    truncated: Tensor  # [T, N] bool     cut by the time limit
    successors: Tensor  # [T, N, S] float32  s_{t+1} as the transition produced it, before any reset
    episode_step: Tensor  # [T, N] int32  t within its episode, 0 at a start state


class Episodes(NamedTuple):
    """The episodes that ended while a trajectory was collected, in the order of their ends (NumPy)."""

    returns: Tensor  # [n] float64  undiscounted raw return
    lengths: Tensor  # [n] int64


class Batch(NamedTuple):
    """What an update is computed from: B pairs as the learner sees them (normalised, flattened time-major)."""

    obs: Tensor  # [B, S]
    critic_obs: Tensor  # [B, S], or [B, S + 1] with the time feature
    actions: Tensor  # [B, A] or [B] int32
    advantages: Tensor  # [B]  Â, un-normalised
    value_targets: Tensor  # [B]  V_targ
    values: Tensor  # [B]  V_{φ_old}(s)


class Slots(NamedTuple):
    """State of a first-order optimiser over one flat vector."""

    count: Tensor  # [] float32  steps taken
    first: Tensor  # [P]  Adam's m (unused by SGD)
    second: Tensor  # [P]  Adam's v (unused by SGD)


class Learner(NamedTuple):
    """Everything an update changes. With shared weights θ and φ are one vector, kept equal."""

    theta: Tensor  # [P]
    phi: Tensor  # [Q]
    policy_slots: Slots  # over θ (untouched by TRPO)
    value_slots: Slots  # over φ


class TrustRegion(NamedTuple):
    """How far π_θ is from π_old on a set of pairs: exact KL over states, ratio ρ = π_θ(a|s) / π_old(a|s) over pairs.

    [] each but the quantiles, which are [5]. The largest and smallest of more pairs lie further out: compare those of
    equal numbers of pairs only."""

    mean_kl: Tensor  # E_s KL(π_old ‖ π_θ), nats
    max_kl: Tensor
    kl_quantiles: Tensor  # [5]  at QUANTILES
    mean_reverse_kl: Tensor  # E_s KL(π_θ ‖ π_old), nats
    mean_ratio: Tensor
    max_ratio: Tensor
    min_ratio: Tensor
    ratio_quantiles: Tensor  # [5]  at QUANTILES
    mean_ratio_distance: Tensor  # E|ρ − 1|
    outside_fraction: Tensor  # share of pairs with ρ outside [1 − ε, 1 + ε]
    without_gradient: Tensor  # share with ρ > 1 + ε and Â > 0, or ρ < 1 − ε and Â < 0; nan where Â was not given


class Drift(NamedTuple):
    """What an update of the normaliser alone does to π_θ(k+1): as it will see a batch's states through the merged statistics,
    against as it saw them. All []."""

    mean_kl: Tensor
    max_kl: Tensor
    max_ratio: Tensor
    min_ratio: Tensor


class ValueUpdate(NamedTuple):
    """What fitting V did."""

    phi: Tensor  # [Q]
    slots: Slots
    losses: Tensor  # [E]  mean minibatch loss of each epoch, in squared units of the value targets
    finite: Tensor  # [] bool  every loss and gradient was finite


class TrpoUpdate(NamedTuple):
    """What one TRPO step did. A refused or rejected step has theta == theta_old bit for bit."""

    theta: Tensor  # [P]
    proposed: Tensor  # [P]  θ_old + β·direction, the full step before the line search
    gradient: Tensor  # [P]  ∇L(θ_old)
    step_size: Tensor  # []  β
    expected_gain: Tensor  # []  gᵀ(θ − θ_old) of the full step
    actual_gain: Tensor  # []  L(θ) − L(θ_old) of the applied step
    predicted_kl: Tensor  # []  ½ ΔθᵀF Δθ of the applied step (undamped F): the quadratic model of the KL
    fisher_kl: Tensor  # []  what predicted_kl predicts: the applied step's mean KL on the states F was estimated on
    applied_kl: Tensor  # []  mean KL(π_old ‖ π_θ) of the applied step
    rejected_kl: Tensor  # []  mean KL of the last trial refused, 0 if none was
    accepted: Tensor  # [] bool
    accepted_fraction: Tensor  # []  share of the full step that was applied, 0 if none
    backtracks: Tensor  # [] int32
    cg_residual: Tensor  # []  ‖F x − g‖ / ‖g‖ after the last iteration
    curvature_ok: Tensor  # [] bool  False: some pᵀFp or dᵀFd was not positive (or g is 0), the step was refused
    finite: Tensor  # [] bool


class Epochs(NamedTuple):
    """Where the epochs of one PPO update stood: π after each epoch against π_old, on the whole batch. [E] each."""

    surrogate: Tensor  # clipped surrogate, batch-normalised advantages
    mean_kl: Tensor
    max_kl: Tensor
    max_ratio: Tensor
    min_ratio: Tensor
    mean_ratio_distance: Tensor
    clip_fraction: Tensor  # share of pairs outside [1 − ε, 1 + ε]
    without_gradient: Tensor
    entropy: Tensor


class PpoUpdate(NamedTuple):
    """What one PPO update did."""

    theta: Tensor  # [P]
    slots: Slots
    thetas: Tensor  # [E, P]  after each epoch
    finite: Tensor  # [] bool


class Update(NamedTuple):
    """One iteration's learning: the learner after it and the record of how."""

    learner: Learner
    policy: TrpoUpdate | PpoUpdate
    value: ValueUpdate
    entropy: Tensor  # []  of π_θk, mean over the batch, nats
    std: Tensor  # []  mean standard deviation of π_θk (nan for discrete actions)
    values_after: Tensor  # [B]  V_φ(k+1)(s) on the batch
    schedule: dict[str, float]  # step sizes or δ in force


class Moved(NamedTuple):
    """What an update did to the policy, on the batch that it was made from."""

    after: TrustRegion  # π_θ(k+1) against π_θk
    epochs: Epochs | None  # the same after each of PPO's epochs; None for TRPO
    drift: Drift  # of π_θ(k+1), from this iteration's normaliser to the next


class EngineState(NamedTuple):
    """Where every environment stands: enough to replay it bit for bit (NumPy)."""

    starts: Tensor  # [N] int64  resets so far
    lengths: Tensor  # [N] int64  steps into the current episode
    actions: Tensor  # [Σ lengths, A]  actions of the current episodes, environment by environment
    obs: Tensor  # [N, S] float64  current observations, to check the replay against
    returns: Tensor  # [N] float64  raw return so far of the current episodes


class RunState(NamedTuple):
    """All that the next iteration depends on besides the configuration."""

    iteration: int  # k of the next iteration
    env_steps: int  # real transitions taken so far, warm-up included
    learner: Learner
    normaliser: Normaliser
    accumulators: Tensor  # [N] float64  running discounted return of each environment, for reward scaling
    engine: EngineState


class Iteration(NamedTuple):
    """One finished iteration of training: what was there, what was done, where to go on."""

    index: int  # type: ignore[assignment]  # a field; k
    steps: int  # pairs that updates were made from, this iteration included
    env_steps: int  # transitions taken, warm-up included: TensorBoard's x axis
    before: Learner  # θ_k, φ_k, slots
    normaliser: Normaliser  # frozen throughout iteration k
    trajectory: Trajectory
    batch: Batch
    episodes: Episodes
    update: Update
    moving: Callable[[], Moved]  # what the update did to the policy: begun, and waited for where it is asked
    seconds: dict[str, float]  # wall-clock time by part; differs from run to run
    state: RunState  # from which iteration k + 1 follows

    @property
    def moved(self) -> Moved:
        """What the update did to the policy."""
        return self.moving()
