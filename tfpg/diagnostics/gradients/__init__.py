"""How well do so many pairs say where to go? Estimates of gradients and steps, and how far they agree."""
