"""Slow NumPy twins that look like the equations. float64 throughout; nothing here is vectorised for speed."""

import numpy as np


def gae(rewards, values, next_values, terminated, ended, gamma, lam):
    """Â_t = δ_t + γλ Â_{t+1}, environment by environment, from the last row back (Schulman 2016, eq. 16)."""
    advantages = np.zeros(rewards.shape)
    for n in range(rewards.shape[1]):
        following = 0.0
        for t in reversed(range(rewards.shape[0])):
            next_value = 0.0 if terminated[t, n] else next_values[t, n]
            delta = rewards[t, n] + gamma * next_value - values[t, n]
            following = delta + (0.0 if ended[t, n] else gamma * lam * following)
            advantages[t, n] = following
    return advantages


def discounted_returns(rewards, next_values, terminated, ended, gamma):
    """R_t = r_t + γ R_{t+1}, begun again at each end of an episode and of the batch."""
    returns = np.zeros(rewards.shape)
    last = rewards.shape[0] - 1
    for n in range(rewards.shape[1]):
        for t in reversed(range(rewards.shape[0])):
            if terminated[t, n]:
                following = 0.0
            elif ended[t, n] or t == last:
                following = next_values[t, n]
            returns[t, n] = following = rewards[t, n] + gamma * following
    return returns


def running_discounted(rewards, ended, accumulators, gamma):
    """R_t = γ R_{t−1} + r_t, forgotten after an episode's end."""
    discounted, running = np.zeros(rewards.shape), np.array(accumulators, np.float64)
    for t in range(rewards.shape[0]):
        for n in range(rewards.shape[1]):
            discounted[t, n] = running[n] = gamma * running[n] + rewards[t, n]
            if ended[t, n]:
                running[n] = 0.0
    return discounted, running


def adam(gradients, step_size, epsilon, beta_1=0.9, beta_2=0.999):
    """The changes of Kingma & Ba 2015, algorithm 1, for a list of gradients."""
    m = v = 0.0
    changes = []
    for t, g in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        changes.append(-step_size * (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon))
    return changes


def mlp(weights, obs, activation):
    """Kernel, bias, kernel, bias, …: hidden layers pass through the activation, the last does not."""
    x = np.asarray(obs, np.float64)
    for i in range(0, len(weights), 2):
        x = x @ np.asarray(weights[i], np.float64) + np.asarray(weights[i + 1], np.float64)
        if i + 2 < len(weights):
            x = np.tanh(x) if activation == "tanh" else np.maximum(x, 0.0)
    return x


def gaussian_log_prob(actions, mean, std):
    """Σ_i −½ ((a_i − μ_i) / σ_i)² − log σ_i − ½ log 2π."""
    return np.sum(-0.5 * ((actions - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi), -1)


def gaussian_kl(mean_old, std_old, mean, std):
    """KL(old ‖ new) = Σ_i log(σ_i / σ_old,i) + (σ_old,i² + (μ_old,i − μ_i)²) / (2σ_i²) − ½."""
    return np.sum(np.log(std / std_old) + (std_old**2 + (mean_old - mean) ** 2) / (2 * std**2) - 0.5, -1)


def gaussian_entropy(std):
    """Σ_i ½ log(2πe σ_i²)."""
    return np.sum(0.5 * np.log(2 * np.pi * np.e * std**2), -1)


def probabilities(logits):
    """exp(l_i) / Σ_j exp(l_j)."""
    weights = np.exp(logits - np.max(logits, -1, keepdims=True))
    return weights / np.sum(weights, -1, keepdims=True)


def clipped_surrogate(ratios, advantages, epsilon):
    """Mean over pairs of min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â), one pair at a time (Schulman 2017, eq. 7)."""
    terms = []
    for rho, advantage in zip(ratios, advantages, strict=True):
        bounded = min(max(rho, 1 - epsilon), 1 + epsilon)
        terms.append(min(rho * advantage, bounded * advantage))
    return np.mean(terms)


def without_gradient(ratios, advantages, epsilon):
    """Share of pairs whose clipped term is constant in ρ around where it is, one pair at a time."""
    lost = 0
    for rho, advantage in zip(ratios, advantages, strict=True):
        lost += (advantage > 0 and rho > 1 + epsilon) or (advantage < 0 and rho < 1 - epsilon)
    return lost / len(ratios)


def value_loss(values, targets, values_old, clip):
    """Mean over pairs of the larger square, one pair at a time."""
    terms = []
    for value, target, old in zip(values, targets, values_old, strict=True):
        near = min(max(value, old - clip), old + clip)
        terms.append(max((value - target) ** 2, (near - target) ** 2))
    return np.mean(terms)


def moving_filter(samples):
    """z of the newest sample by statistics that include it already, as the authors' filter does it."""
    samples = np.asarray(samples, np.float64)
    return (samples[-1] - samples.mean(0)) / samples.std(0)
