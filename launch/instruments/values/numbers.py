"""What does a study of values say, in a few lines? Every number with its interval and its sample size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from launch.shared import tables
from launch.shared.numbers import interval, number
from tfpg.diagnostics.gradients.references import TRUSTED
from tfpg.report.sheets import significant
from tfpg.report.values import used_halves

_JUDGED = {"train": "V, its own pairs", "heldout": "V, held-out", "run": "the run's V, held-out", "before": "V before, held-out",
           "true": "V*, held-out"}
_BASELINES = {"zero": "none", "learned": "V", "true": "V*"}
_RATIOS = {"learned/zero": "V / none", "true/zero": "V* / none", "true/learned": "V* / V"}
_FORMS = {"monte_carlo": "returns less the baseline, un-normalised",
          "authors": "batch-normalised: returns, GAE with V, GAE with V*"}
_NETS = {"before": "V before its update", "run": "the run's V", "true": "V*"}
AT = 2000  # pairs that an agent sees, about


def report(found: xr.Dataset) -> str:
    """The numbers beside the picture."""
    head = f"{_name(found)}, iteration {found.attrs['iteration']} (95 % intervals in brackets)"
    return "\n".join([head, "", *_predictions(found), "", *_true(found), *(
        line for form in _FORMS for line in ("", *_gradients(found, form)))])


def table(found: Sequence[xr.Dataset]) -> str:
    """Several policies beside each other: MRE of both targets, and the gradient under the three baselines."""
    rows: list[tuple[str, ...]] = [
        ("mean relative error", "V_old + Â, held-out", "returns, held-out", "returns, own pairs", "returns, V* held-out")]
    for each in found:
        returns = each.sel(target="returns")
        rows.append((_short(each), interval(each.sel(target="gae", judged="heldout"), "mre", 3),
                     *(interval(returns.sel(judged=judged), "mre", 3) for judged in ("heldout", "train", "true"))))
    lines = tables.aligned(rows)
    for form, words in _FORMS.items():
        rows = [("variance", *_RATIOS.values()), *((_short(each), *(
            interval(each.sel(form=form, size=at(each), ratio=ratio), "variance_ratio", 3) for ratio in _RATIOS))
            for each in found)]
        lines += ["", f"gradients of {at(found[0]):,} pairs, {words}", *tables.aligned(rows)]
        rows = [("cosine of two", *_BASELINES.values()), *((_short(each), *(
            interval(each.sel(form=form, size=at(each), baseline=baseline), "cosine", 3) for baseline in _BASELINES))
            for each in found)]
        lines += tables.aligned(rows)
    return "\n".join(lines)


def at(found: xr.Dataset) -> int:
    """The size nearest to what an agent sees."""
    sizes = np.asarray(found["size"])
    return int(sizes[np.abs(np.log(sizes / AT)).argmin()])


def _predictions(found: xr.Dataset) -> list[str]:
    a = found.attrs
    errors = [("mean relative error", "V_old + Â", "returns", "difference")]
    others: list[tuple[str, ...]] = [("explained variance, bias", "V_old + Â", "returns", "bias, returns")]
    for judged, words in _JUDGED.items():
        one = found.sel(judged=judged)
        gae, returns = one.sel(target="gae"), one.sel(target="returns")
        errors.append((f"  {words}", interval(gae, "mre", 3), interval(returns, "mre", 3), interval(one, "mre_excess", 3)))
        others.append((f"  {words}", *(interval(each, "explained_variance", 2) for each in (gae, returns)),
                       interval(returns, "bias")))
    heldout = found.sel(judged="heldout")
    floored = ", ".join(f"{float(heldout['floored_share'].sel(target=target)):.2%}" for target in ("gae", "returns"))
    return [f"predictions: {int(a['repeats'])} value updates repeated from {int(a['update_pairs']):,} pairs each,",
            f"{int(a['heldout_pairs']):,} held-out pairs", *tables.aligned(errors), *tables.aligned(others),
            "  in the frozen reward scale: root mean square of the returns, held-out, "
            + number(heldout["target_rms"].sel(target="returns"), 2),
            f"  relative errors: terminal steps left out, targets below 1 % of their root mean square floored: {floored} of them"]


def _true(found: xr.Dataset) -> list[str]:
    a, count = found.attrs, int(found["check_explained_variance_count"].max())
    return [(f"V*: fitted to {int(a['fitted_pairs']):,} pairs ({int(a['fit_episodes']):,} episodes with the tenth that it was "
             f"stopped by), epoch {int(a['fit_best_epoch'])} of {found.sizes['epoch']}"),
            f"explained variance of the returns of {count:,} episodes that no net has seen:",
            *(f"  {words} {interval(found.sel(net=net), 'check_explained_variance', 3)}" for net, words in _NETS.items())]


def _gradients(found: xr.Dataset, form: str) -> list[str]:
    size, a = at(found), found.attrs
    here = found.sel(form=form, size=size)
    rows = [("  baseline", "variance of a pair", "noise scale, pairs", "cosine of two", "cosine, reference")]
    for baseline, words in _BASELINES.items():
        each = here.sel(baseline=baseline)
        rows.append((f"  {words}", interval(each, "variance"), _scale(each), interval(each, "cosine", 3),
                     interval(each, "cosine_reference", 3)))
    return [f"gradients of {size:,} pairs: {_FORMS[form]}", *tables.aligned(rows),
            "  variances, " + "; ".join(
                f"{words} {interval(here.sel(ratio=ratio), 'variance_ratio', 3)}" for ratio, words in _RATIOS.items()),
            f"  {int(a['estimates'])} estimates of each size", *_references(found, form)]


def _references(found: xr.Dataset, form: str) -> list[str]:
    """Can what the cosines are taken with be believed?"""
    lines, pairs = [], int(found.attrs["reference_pairs"])
    for baseline, half in used_halves(found)[form].items():
        whose = "V*'s, for all three" if form == "monte_carlo" else f"baseline {_BASELINES[baseline]}"
        verdict = "unknown" if np.isnan(half) else "called the truth" if half >= TRUSTED else "below .9, so not called the truth"
        lines.append(f"  reference of {pairs:,} pairs, {whose}: its halves have cosine {half:.3f}, {verdict}")
    return lines


def _scale(one: xr.Dataset) -> str:
    """A noise scale to three digits; a lower bound where that is all that is known."""
    value, low, high = (number(significant(float(one[f"noise_scale{end}"])), 0) for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]" if np.isfinite(float(one["noise_scale_high"])) else f"at least {low}"


def _name(found: xr.Dataset) -> str:
    return f"{found.attrs['preset']} on {found.attrs['task']}, seed {found.attrs['run_seed']}"


def _short(found: xr.Dataset) -> str:
    return f"  {found.attrs['preset']}, seed {found.attrs['run_seed']}, {found.attrs['iteration']:>3}"
