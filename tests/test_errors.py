"""What a message quotes may come from a stranger."""

import pytest

from tfpg.errors import RunError, UserError


@pytest.mark.parametrize("kind", [UserError, RunError])
@pytest.mark.parametrize(("message", "said"), [
    ("there is no preset algo=\x1b[2J.", "there is no preset algo=\\x1b[2J."),
    ("there is no x\nlaunch.train: all is well.", "there is no x launch.train: all is well."),
    ("another configuration:\n  seed: 0 → 1\n  lam: 1 → 0", "another configuration:\n  seed: 0 → 1\n  lam: 1 → 0"),
    (f"seed={'a' * 5000} is no integer.", f"seed={'a' * 195}…{'a' * 20} is no integer."),
    ("θ̂ ≥ 0 — «ümläute» stay.", "θ̂ ≥ 0 — «ümläute» stay."),
])
def test_a_message_shows_control_characters_as_escapes_and_cuts_what_buries_the_sentence(kind, message, said):
    assert str(kind(message)) == said
