"""What can go wrong, by who can mend it: the user (exit code 2) or nobody in this run (exit code 1)."""


class UserError(ValueError):
    """Bad input: one clear sentence that names the thing and the nearest right choice (exit code 2)."""


class RunError(RuntimeError):
    """The run cannot go on: one clear sentence that names iteration and cause (exit code 1).

    Nothing already written is lost: the last good checkpoint stays as it is."""


def nearest(name: str, choices) -> str:
    """The closest of `choices` to a mistyped name as " Did you mean …?", or the list of them."""
    import difflib

    choices = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return "choose one of " + ", ".join(choices) + "."
