"""What do the results of many agents say of the claims? Datasets in, verdicts out, by task; each function a result of one instrument.

    of_slices, of_surrogates, of_concentrations    C1, C3, C4: landscapes       of_steps            C2: steps
    of_trust_regions                               C5 to C7: trust regions      of_gradients        C8: gradients
    of_values                                      C9, C10: values              of_final_scores     C11: scores"""

from tfpg.claims.estimators import of_gradients, of_values
from tfpg.claims.gains import of_steps
from tfpg.claims.landscapes import of_concentrations, of_slices, of_surrogates
from tfpg.claims.regions import REPORTED_EPSILON, of_trust_regions
from tfpg.claims.scores import of_final_scores

__all__ = ["REPORTED_EPSILON", "of_concentrations", "of_final_scores", "of_gradients", "of_slices", "of_steps", "of_surrogates",
           "of_trust_regions", "of_values"]
