"""What do final scores say of C11? Scores of agents in, verdicts out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tfpg.claims.catalogue import CLAIMS
from tfpg.claims.grouping import Found, verdicts
from tfpg.claims.verdicts import Verdict, judge
from tfpg.diagnostics.statistics import factorials

Scores = Mapping[str, Mapping[str, np.ndarray]]  # task ↦ preset ↦ [agents]


def of_final_scores(scores: Scores, best: Scores | None = None) -> list[Verdict]:
    """C11. Args: scores: of the last iterations, task ↦ preset ↦ [agents]; they alone decide. best: of each agent's best iteration.

    The published tables do not say which of the two they are of, and the authors' notebook takes the best. A maximum over iterations
    rises with the noise of an iteration's few episodes, and with how many iterations there are; so it is shown, and not judged."""
    return verdicts("C11", _code_against_algorithm(scores, best or {}))


def _code_against_algorithm(scores: Scores, best: Scores) -> Found:
    (what, bound), = CLAIMS["C11"].bounds.items()
    for task, cells in scores.items():
        if set(factorials.PRESETS) <= cells.keys():
            found = factorials.algorithm_and_code(cells)
            note = f"last iterations: {_said(found)}"
            if math.isfinite(found.bias.acli):  # of one agent a cell nothing is known of the noise
                note += f"; with no effect at all {found.bias.acli:,.0f} and {found.bias.aai:,.0f}"
            if set(factorials.PRESETS) <= best.get(task, {}).keys():
                note += f"; best iteration of each agent instead: {_said(factorials.algorithm_and_code(best[task]))}"
            yield task, [judge(what, task, factorials.PRESETS, found.difference, bound, agents=min(found.agents), note=note)]


def _said(found: factorials.AlgorithmAndCode) -> str:
    parts = (("ACLI", found.acli), ("AAI", found.aai), ("ACLI less AAI", found.difference))
    return ", ".join(f"{name} {part.mean:,.0f}" + (f" [{part.low:,.0f}, {part.high:,.0f}]" if math.isfinite(part.low) else "")
                     for name, part in parts)
