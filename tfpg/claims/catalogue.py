"""What is claimed, by whom, and from which number on does it hold? One table, fixed before the data.

The margins are round numbers of convention, none of a result: 95 % of iterations for "keeps", a tenth for "barely", a half for "much
less than" and "little compared with", twice for "much faster than", a thousandth of the final return for "does not raise", and the
middle between chance and certainty for "cannot be told apart". Who claims it: SOURCES."""

from __future__ import annotations

from typing import NamedTuple

from tfpg.claims.verdicts import Bound

KEPT = 0.95  # share of an agent's iterations in which a region that is "kept" is kept: so their 95 % quantile is looked at
FEWEST_ITERATIONS = 20  # with held-out pairs, of an agent: the 95 % quantile of fewer is their largest or second largest
AGENT_PAIRS = 2_048  # pairs that an agent sees
LEAST_DIRECTIONS = 16  # random ones that a step is compared with
MUCH_FASTER = 2.0  # times as steep
WINDOWS = (50, 250), (250, 450)  # iterations before and while an annealed step size goes to 0, in which PPO and PPO-M are compared
NEAR = 1.1  # a size that stands for them is at most so many times larger or smaller


class Claim(NamedTuple):
    """One claim of the study."""

    text: str
    source: str
    from_what: str  # the instrument whose results it is judged from
    bounds: dict[str, Bound]  # by the name of the statistic
    needs: str  # of it


# Of whom `source` speaks.
SOURCES = ("SEED is the authors' article on landscapes and trust regions, the third on their paper \"Are Deep Policy Gradient Algorithms "
           "Truly Policy Gradient Algorithms?\", CL Ilyas 2020, IM Engstrom 2020.")

CLAIMS = {
    "C1": Claim("at random initialisation return rises much faster along the step than along a random direction", "SEED", "landscape", {
        "slope along the step, reward a step": Bound(True, 0.0),
        "contrast of its square and that of twice a random direction's slope": Bound(True, 0.0)},
        "slices of an algorithm's own step at iteration 0"),
    "C2": Claim("at later iterations the step does not raise, or lowers, the true return", "SEED", "steps", {
        "mean gain of an update after iteration 0, of the final return": Bound(False, 0.001)},
        "gains of updates at iterations after 0"),
    "C3": Claim("… while the surrogate that the step was made to raise does rise", "SEED", "landscape", {
        "surrogate after the step on its own pairs, after iteration 0": Bound(True, 0.0),
        "surrogate after the step on held-out pairs, after iteration 0": Bound(True, 0.0)},
        "slices with surrogates at iterations after 0"),
    "C4": Claim("with the samples an agent sees, good and bad points cannot be told apart", "SEED", "landscape", {
        "probability that 2,048 pairs a point order two points rightly, after iteration 0": Bound(False, 0.75)},
        "concentration at about 2,048 pairs a point, at iterations after 0"),
    "C5": Claim("TRPO keeps its mean-KL region", "SEED, IM", "trust_region", {
        "log of the 95 % quantile of held-out mean KL : δ": Bound(False, 0.0)},
        "TRPO's held-out pairs"),
    "C6": Claim("PPO keeps a KL region, PPO-M does not", "SEED; IM disagrees", "trust_region", {
        "PPO: log of the 95 % quantile of held-out mean KL : TRPO's δ": Bound(False, 0.0),
        "PPO-M: log of the 95 % quantile of held-out mean KL : TRPO's δ": Bound(True, 0.0)},
        "PPO's and PPO-M's held-out pairs"),
    "C7": Claim("no algorithm keeps the ratio within 1 + ε; the optimisations make it better", "SEED", "trust_region", {
        "log of the largest held-out ratio : 1 + ε, median iteration": Bound(True, 0.0),
        "log of PPO's largest held-out ratio : PPO-M's, median iteration": Bound(False, 0.0)},
        "held-out pairs"),
    "C8": Claim("at 2,048 pairs gradient estimates barely agree, less so later in training", "CL", "gradients", {
        "cosine of two estimates after iteration 0": Bound(False, 0.1),
        "cosine at iteration 0 less that later": Bound(True, 0.0)},
        "gradients at about 2,048 pairs"),
    "C9": Claim("the value net fits its own target, not the returns", "CL", "values", {
        "held-out relative error, own target : returns": Bound(False, 0.5)},
        "predictions"),
    "C10": Claim("the learned baseline reduces variance little compared with the true one", "CL", "values", {
        "share of variance that V takes away, less half of V*'s": Bound(False, 0.0)},
        "variances at about 2,048 pairs"),
    "C11": Claim("code-level optimisations matter at least as much as the choice of algorithm", "IM", "scores", {
        "ACLI less AAI": Bound(True, 0.0)},
        "scores of PPO, PPO-M, TRPO and TRPO+ on a task"),
}
