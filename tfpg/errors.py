"""What can go wrong, by who can mend it: the user (exit code 2) or nobody in this run (exit code 1)."""

import re

# Messages quote what files and command lines say. What comes from a stranger must neither steer a terminal nor look like a line of
# ours nor bury the sentence: so control characters are shown as escapes, ends of lines as spaces (our own lists begin their lines with
# two spaces and stay), and very long words lose their middle.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_LINES = re.compile(r"\n(?!  \S)")
_LONG = re.compile(r"(\S{200})\S{200,}(\S{20})")


def plain(message: str) -> str:
    """The message, fit for a terminal."""
    return _LONG.sub(r"\1…\2", _CONTROL.sub(lambda found: repr(found[0])[1:-1], _LINES.sub(" ", message)))


class UserError(ValueError):
    """Bad input: one clear sentence that names the thing and the nearest right choice (exit code 2)."""

    def __init__(self, message: str):
        super().__init__(plain(message))


class RunError(RuntimeError):
    """The run cannot go on: one clear sentence that names iteration and cause (exit code 1).

    Nothing already written is lost: the last good checkpoint stays as it is."""

    def __init__(self, message: str):
        super().__init__(plain(message))


def nearest(name: str, choices) -> str:
    """The closest of `choices` to a mistyped name as " Did you mean …?", or the list of them."""
    import difflib

    choices = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return "choose one of " + ", ".join(choices) + "."
