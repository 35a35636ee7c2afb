"""Probes of the linear quadratic task whose policy is linear, a = w s + b + σ ε, so that its values and gradient are known.

With hidden layers: a relu net that says relu(s) − relu(−s) = s, so that the value net beside it can bend."""

import dataclasses

import numpy as np

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tfpg.config import Advantages, CodeLevel, Network, Value

W, BIAS, LOG_STD = -0.6, 0.2, float(np.log(0.4))


def config(*, hidden=(32,), gamma=0.9, target="returns", **changes):
    of = dataclasses.replace
    base = handmade.config(lq.TASK)
    return of(base, network=Network(hidden=hidden), advantages=Advantages(gamma=gamma, lam=0.9),
              code_level=CodeLevel(observation_normalisation=False, activation="relu"),
              value=Value(minibatches=2, target=target),
              **changes)


def linear(probe):
    """The probe with θ so that its policy is linear; the value net's optimiser, whose numbers are made up, at its start."""
    slots = probe.value_slots
    probe = probe._replace(value_slots=slots._replace(count=np.float32(0), first=0 * slots.first, second=0 * slots.second))
    hidden = probe.config.network.hidden
    if not hidden:
        return probe._replace(theta=np.array([W, BIAS, LOG_STD], np.float32))
    units, = hidden
    first, head = np.zeros((1, units)), np.zeros((units, 1))
    first[0, :2], head[:2, 0] = (1, -1), (W, -W)
    theta = np.concatenate([first.ravel(), np.zeros(units), head.ravel(), [BIAS, LOG_STD]])
    return probe._replace(theta=theta.astype(np.float32))


def exact(states, steps, gamma):
    """V(s, t) in closed form."""
    p, q, r = lq.values(W, BIAS, np.exp(LOG_STD), gamma)[steps].T
    return p * states**2 + q * states + r
