"""Jobs that do what a test wants: python -m tests.studies.worker make FILE | fail FILE | refuse | flaky FILE | hang FILE | deaf FILE | doze FILE |
leave CODE | explain | nothing."""

import os
import pathlib
import signal
import sys
import time


def main(what: str, *names: str) -> None:
    """What each does: see above."""
    path = pathlib.Path(names[0]) if names else None
    if path is not None and what != "leave":
        path.parent.mkdir(parents=True, exist_ok=True)
    if what == "make":
        time.sleep(0.05)
        path.write_text(" ".join(names))
    elif what == "fail":
        with open(path, "a") as file:
            file.write("tried\n")
        sys.exit("worker: the motor is hot.")
    elif what == "refuse":
        with open(path, "a") as file:
            file.write("tried\n")
        print("worker: seed=x is no number.", file=sys.stderr)
        sys.exit(2)
    elif what == "flaky":
        if path.with_suffix(".once").exists():
            path.write_text("made")
        else:
            path.with_suffix(".once").touch()
            sys.exit("worker: not today.")
    elif what == "doze":
        time.sleep(1.0)
    elif what == "explain":
        print("at work\nlaunch.worker: another configuration:\n  seed: 1 → 2")
        sys.exit(2)
    elif what == "leave":
        sys.exit(int(names[0]))
    elif what == "deaf":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        path.with_suffix(".begun").touch()
        time.sleep(600)
    elif what == "hang":
        path.with_suffix(".begun").write_text(str(os.getpid()))
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            time.sleep(1.0)
            path.with_suffix(".kept").touch()
            sys.exit(130)


if __name__ == "__main__":
    main(*sys.argv[1:])
