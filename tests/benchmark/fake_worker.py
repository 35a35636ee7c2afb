"""A child for tests of workers: does as it is told."""

import os
import sys
import time

from tfpg.benchmark import workers


def make(task):
    if task.get("refuse"):
        raise ValueError("it will not.")

    def handle(request):
        match request["what"]:
            case "echo":
                print("what a library prints")
                return {"said": request["text"]}
            case "fail":
                raise KeyError("nothing")
            case "die":
                print("the last words", file=sys.stderr)
                os._exit(3)
            case "sleep":
                time.sleep(600)

    return handle


if __name__ == "__main__":
    sys.exit(workers.serve(make))
