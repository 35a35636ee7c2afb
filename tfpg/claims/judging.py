"""What do the results of many agents say of the claims? Datasets in, verdicts out, by task; each function a result of one instrument.

    of_slices, of_surrogates, of_concentrations    C1, C3, C4: landscapes       of_steps            C2: steps
    of_trust_regions                               C5 to C7: trust regions      of_gradients        C8: gradients
    of_values                                      C9, C10: values              of_final_scores     C11: scores"""

from collections.abc import Callable

from tfpg.claims.estimators import baselines, of_gradients, of_values, relative_errors
from tfpg.claims.gains import of_steps
from tfpg.claims.landscapes import of_concentrations, of_slices, of_surrogates
from tfpg.claims.regions import REPORTED_EPSILON, kept_by_ppo, kept_by_trpo, largest_ratios, of_trust_regions
from tfpg.claims.scores import of_final_scores
from tfpg.claims.verdicts import Verdict

# What judges each claim; its arguments are the results of the instrument that the catalogue names.
JUDGES: dict[str, Callable[..., list[Verdict]]] = {
    "C1": of_slices, "C2": of_steps, "C3": of_surrogates, "C4": of_concentrations, "C5": kept_by_trpo, "C6": kept_by_ppo,
    "C7": largest_ratios, "C8": of_gradients, "C9": relative_errors, "C10": baselines, "C11": of_final_scores}

__all__ = ["JUDGES", "REPORTED_EPSILON", "of_concentrations", "of_final_scores", "of_gradients", "of_slices", "of_steps", "of_surrogates",
           "of_trust_regions", "of_values"]
