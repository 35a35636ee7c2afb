"""What is claimed, by whom, and from which number on does it hold? One table, fixed before the data.

The margins are round numbers of convention, none of a result: 95 % of iterations for "keeps", a tenth for "barely", a half for "much
less than". SEED: the seed study; IM: Engstrom 2020; CL: Ilyas 2020."""

from __future__ import annotations

from typing import NamedTuple

from tfpg.claims.verdicts import Bound

KEPT = 0.95  # share of iterations in which a region that is "kept" is kept
FIRST_WINDOW, LAST_WINDOW = (50, 250), (250, 450)  # iterations before and while an annealed step size goes to 0
AGENT_PAIRS = 2_048  # pairs that an agent sees


class Claim(NamedTuple):
    """One claim of the study."""

    text: str
    source: str
    from_what: str  # the instrument whose results it is judged from
    bounds: dict[str, Bound]  # by the name of the statistic


CLAIMS = {
    "C5": Claim("TRPO keeps its mean-KL region", "SEED, IM", "trust_region", {
        "share of iterations with held-out mean KL ≤ δ": Bound(True, KEPT)}),
    "C6": Claim("PPO keeps a KL region, PPO-M does not", "SEED; IM disagrees", "trust_region", {
        "PPO: share of iterations with held-out mean KL ≤ TRPO's δ": Bound(True, KEPT),
        "PPO-M: share of iterations with held-out mean KL ≤ TRPO's δ": Bound(False, KEPT)}),
    "C7": Claim("no algorithm keeps the ratio within 1 + ε; the optimisations make it better", "SEED", "trust_region", {
        "log of the largest held-out ratio less log(1 + ε)": Bound(True, 0.0),
        "log of PPO's largest held-out ratio less PPO-M's": Bound(False, 0.0)}),
    "C8": Claim("at 2,048 pairs gradient estimates barely agree, less so later in training", "CL", "gradients", {
        "cosine of two estimates after iteration 0": Bound(False, 0.1),
        "cosine at iteration 0 less that later": Bound(True, 0.0)}),
    "C9": Claim("the value net fits its own target, not the returns", "CL", "values", {
        "held-out relative error, own target : returns": Bound(False, 0.5)}),
    "C10": Claim("the learned baseline reduces variance little compared with the true one", "CL", "values", {
        "variance taken away, V : V*": Bound(False, 0.5)}),
    "C11": Claim("code-level optimisations matter at least as much as the choice of algorithm", "IM", "scores", {
        "ACLI less AAI": Bound(True, 0.0)}),
}
