"""How is a landscape too large for one job made by several? What all need first, shares beside each other, then the ordinary command.

    landscape.<run>.<k>.first        <landscape>/shares/first.json
    landscape.<run>.<k>.2-of-8       <landscape>/shares/2-of-8.json
    landscape.<run>.<k>              the landscape: the same job, of the same identity, as where it is not split

Another number of shares makes other shares, which find what was played; once the landscape is done, none of them is left to do."""

from __future__ import annotations

import dataclasses
import math

from launch.instruments.landscapes.plan import FIRST, Share
from launch.studies import costs as studycosts
from tfpg.studies.jobs import Job

LONGEST = 2 * 3600.0  # s on one processor that a landscape may take as one job: what a lost machine or a slow one may hold up


def count(seconds: float, asked: int | None) -> int:
    """How many shares; 1: none. Args: seconds: that it takes as one job. asked: by the look."""
    return asked or max(1, math.ceil(seconds / LONGEST))


def split(landscape: Job, shares: int, costs: studycosts.Split) -> list[Job]:
    """The jobs of a landscape in so many shares, the landscape last. Args: costs: of the jobs, in that split."""
    if shares == 1:
        return [landscape]

    def part(share: Share, flag: str, needs: tuple[str, ...], cost: studycosts.Cost) -> Job:
        return Job(f"{landscape.name}.{share.name}", landscape.module, (*landscape.arguments, f"--share={flag}"), needs,
                   f"{landscape.product}/shares/{share.name}.json", *cost, towards=landscape.name)

    first = part(Share(0, 0), FIRST, (), costs.first)
    parts = [part(Share(number, shares), f"{number}/{shares}", (first.name,), costs.share) for number in range(1, shares + 1)]
    joined = dataclasses.replace(landscape, needs=tuple(each.name for each in parts), **costs.joined._asdict())
    return [first, *parts, joined]
