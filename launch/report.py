"""python -m launch.report DIR …: one page, and figures for a paper, from what the instruments left in runs."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from launch import claims
from launch.shared import commandline, gathering
from launch.shared.commandline import say
from tfpg import storage
from tfpg.config import Config
from tfpg.errors import UserError
from tfpg.studies import plan

ABOUT = ("Writes report.html, one file that opens without a network: verdicts first, then scores, trust regions, landscapes that can be "
         "turned, gradients, values, ablations, settings. Its figures lie beside it as PNG and PDF, and in tensorboard/. Computes "
         "nothing anew; what a study still lacks is named.")
PAGE, VERDICTS = "report.html", "claims.json"


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    flags.DEFINE_multi_string("dir", None, "directory of a study, of runs, or a run; the first may also stand alone", flag_values=values)
    flags.DEFINE_string("output", None, "directory of the report; default report in the first directory", flag_values=values)
    flags.DEFINE_string("title", None, "of the page; default the study's name", flag_values=values)
    flags.DEFINE_boolean("linked", False, "small: the page shows figures/*.png of 256 colours, which have to stay beside it; no PDF, no "
                         "TensorBoard events, light paper alone", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.report", about=ABOUT, define=define, word="dir")


def body(values: flags.FlagValues) -> int:
    """Gathers, judges, draws, writes."""
    given = [Path(each).expanduser() for each in values.dir or []]
    if not given:
        raise UserError("a report of what? python -m launch.report DIR names the directory of a study, of runs, or a run.")
    output = Path(values.output).expanduser() if values.output is not None else given[0] / "report"
    found = gathering.results(given)

    from tfpg import runtime

    runtime.start(Config().runtime)  # TensorFlow writes TensorBoard's events
    verdicts = claims.judged(found)
    page = written(found, verdicts, output, given, values.title, linked=values.linked)
    storage.write_bytes(output / PAGE, page.encode())
    say(f"{len(found.runs or found.variants)} runs, {len(verdicts)} verdicts; {output / PAGE}, {len(page) / 1e6:.1f} MB; " + (
        "it shows figures/, which have to stay beside it, as data/" if values.linked else
        f"figures/ (PNG and PDF) and data/ beside it; tensorboard --logdir {given[0]} shows them too, and in HParams every run with its scores"))
    for sentence in found.missing:
        say(f"missing or passed over: {sentence}")
    return 0


def written(found: gathering.Results, verdicts: list[Any], output: Path, given: Sequence[Path], title: str | None, *,
            linked: bool = False) -> str:
    """The page; its figures and data are written on the way."""
    from launch.reporting import chapters, settings
    from launch.reporting import verdicts as judged
    from launch.reporting.drawing import DATA, Drawer
    from tfpg.report.page import rendering
    from tfpg.report.page.contents import Link, Page

    studies = _studies(given, found.missing)
    say(f"drawing into {output}")
    with Drawer(output, found.missing, linked=linked) as draw:
        made = [_made(chapter, found, draw) for chapter in chapters.CHAPTERS]
        missing, notes = (tuple(_here(sentence, given) for sentence in some) for some in (found.missing, found.notes))
        record = claims.as_json(verdicts, found)
        storage.write_json(output / DATA / VERDICTS, {
            **record, "runs": [draw.relative(Path(run)) for run in record["runs"]], "passed_over": [*notes, *missing]})
        links = {key: each for chapter in made for key, each in chapter.links.items()}
        first = judged.section(verdicts, links, (Link(VERDICTS, f"{DATA}/{VERDICTS}"),), {
            claim: [_here(sentence, given) for sentence in sentences] for claim, sentences in found.refused.items()})
    sections = [first, *(chapter.section for chapter in made), settings.section([*found.runs, *(found.variants if not found.runs else [])])]
    return rendering.html(Page(
        title=title or ("Study " + ", ".join(study.name for study in studies) if studies else "Policy-gradient algorithms, measured"),
        about=" ".join(study.about for study in studies) or "What the instruments of tfpg found in these runs.",
        facts=_facts(found), sections=tuple(section for section in sections if section is not None), missing=missing,
        words=(*notes, "Written by tfpg. Intervals are of 95 %; the unit is the agent. Links to data lead to files beside this page.")))


def _made(chapter: Callable[..., Any], found: gathering.Results, draw: Any) -> Any:
    """A chapter. One whose results this version cannot read costs itself alone."""
    from launch.reporting.chapters import Chapter

    try:
        return chapter(found, draw)
    except (UserError, ValueError, KeyError, IndexError, TypeError) as error:
        found.missing.append(f"no chapter on {chapter.__name__}: its results are not as this version has them ({type(error).__name__}: {error}).")
        return Chapter(None, {})


def _here(sentence: str, given: Sequence[Path]) -> str:
    """Without the directories that were named: the page may be read elsewhere."""
    for directory in sorted({str(each) for path in given for each in (path, path.absolute(), path.resolve())}, key=len, reverse=True):
        sentence = sentence.replace(f"{directory}/", "")
    return sentence


def _facts(found: gathering.Results) -> tuple[tuple[str, str], ...]:
    from tfpg.report import captions

    configs = [run.config for run in found.runs or found.variants]
    facts = [("agents", f"{len(configs):,}"), ("tasks", ", ".join(dict.fromkeys(config.env for config in configs))),
             ("algorithms", ", ".join(dict.fromkeys(captions.named(config.preset) for config in configs))),
             ("pairs an agent", ", ".join(f"{steps:,}" for steps in sorted({config.total_steps for config in configs})))]
    ended = [finished for run in found.runs if (finished := _finished(run)) is not None]
    return (*((name, value) for name, value in facts if value), *([("last run ended", max(ended).date().isoformat())] if ended else []))


def _finished(run: Any) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(storage.read_json(run.path / "finished.json")["finished"])
    except (UserError, KeyError, TypeError, ValueError):
        return None


def _studies(given: Sequence[Path], missing: list[str]) -> list[plan.Plan]:
    """Of the directories that are studies'; what these lack goes to `missing`."""
    found = []
    for directory in given:
        try:
            study = plan.read(directory)
        except UserError as error:
            missing.append(str(error))
            continue
        if study is None:
            continue
        found.append(study)
        lacking = plan.undone(study)
        missing += [f"job {name} failed: {reason}" for name, reason in lacking.failed.items()]
        if waiting := lacking.waiting:
            shown = ", ".join(waiting[:5]) + (f" and {len(waiting) - 5:,} more" if len(waiting) > 5 else "")
            missing.append(f"{len(waiting):,} of the study's {len(study.jobs):,} jobs are not done: {shown}; python -m launch.study goes "
                           "on with them.")
    return found


if __name__ == "__main__":
    main()
