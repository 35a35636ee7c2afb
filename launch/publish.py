"""python -m launch.publish DIR … --output=results: what figures and verdicts rest on, small enough for a repository."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from launch import claims, report
from launch.publishing import front, kept, records
from launch.shared import commandline, gathering
from launch.shared.commandline import say
from tfpg import storage
from tfpg.errors import UserError, nearest
from tfpg.lock import Lock
from tfpg.run_directory import RunDirectory
from tfpg.studies import plan

ABOUT = ("Keeps what the figures and verdicts of finished runs rest on (settings, returns, the instruments' results; no policies, no single "
         "episodes) in a directory small enough for a repository, with report.html, figures and a README: verdicts, scores beside the "
         "published, versions, hours, commands; somebody's findings.md there is quoted. What was published there of "
         "other runs stays; launch.study --published goes on from it.")
README, FINDINGS = "README.md", "findings.md"


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    flags.DEFINE_multi_string("dir", None, "directory of a study, of runs, or a run; the first may also stand alone", flag_values=values)
    flags.DEFINE_string("output", "results", "directory of what is published", flag_values=values)
    flags.DEFINE_string("title", None, "of README and page; default the study's name", flag_values=values)
    flags.DEFINE_string("readme", None, "a project's README, in which a figure and the verdicts are written anew between its lines "
                        f"'{front.FIRST}' and '{front.LAST}'", flag_values=values)
    flags.DEFINE_string("figure", None, "the figure there, by its name in report/figures", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.publish", about=ABOUT, define=define, word="dir")


def body(values: flags.FlagValues) -> int:
    """Keeps every finished run, then writes page and README of all that is kept."""
    given = [Path(os.path.abspath(Path(each).expanduser())) for each in values.dir or []]
    if not given:
        raise UserError("which results? python -m launch.publish DIR names the directory of a study, of runs, or a run.")
    if values.figure is not None and values.readme is None:
        raise UserError("--figure has no effect without --readme, the text that it stands in.")
    output = Path(os.path.abspath(Path(values.output).expanduser()))
    finished, missing = _finished(given)
    _refuse(output, given, finished)
    if values.readme is not None:
        front.replaced(_text(Path(values.readme)), "")  # refuses one without a place, before anything takes its time
    storage.make_directory(output)
    with Lock(output, "publishes into"):
        for source, base in finished:
            say(f"  runs/{source.path.name}")
            kept.run(source, output / "runs" / source.path.name, base, missing)
        for directory in given:
            records.keep(directory, output)
        more = "".join(f" --{name}={shlex.quote(str(values[name].value))}" for name in ("title", "readme", "figure") if values[name].value)
        return _written(output, values, [
            *(f"python -m launch.study {study.name}" for each in given if (study := plan.read(each)) is not None),
            f"python -m launch.publish {' '.join(_shown(each) for each in given)} --output={_shown(output)}{more}"], missing)


def _front(output: Path, readme: str, figure: str | None, verdicts: Sequence[Any]) -> None:
    """The part of a project's README. Errors: UserError where there is no such figure."""
    from launch.publishing import text
    from tfpg.report.page import pictures

    path, title = Path(os.path.abspath(readme)), ""
    if figure is not None:
        drawn = output / "report" / "figures" / f"{figure}.png"
        if not drawn.exists():
            raise UserError(f"--figure={figure}: there is no {drawn}; {nearest(figure, sorted(each.stem for each in drawn.parent.glob('*.png')))}")
        title = pictures.title(drawn)
    where = Path(os.path.relpath(output, path.parent)).as_posix()
    storage.write_text(path, front.replaced(_text(path), text.front(where, verdicts, figure, title)))
    say(f"{readme}: the verdicts{' and ' + figure if figure else ''}")


def _finished(given: Sequence[Path]) -> tuple[list[tuple[RunDirectory, Path]], list[str]]:
    """Finished runs with the directory that their files' names become relative to, and a sentence for each that is not.

    Errors: UserError where there is none, or two have one name."""
    found: dict[str, tuple[RunDirectory, Path]] = {}
    missing: list[str] = []
    for directory in given:
        for run in gathering.run_directories([directory]):
            if not run.finished:
                missing.append(f"{run.path.name} is not finished.")
            elif found.setdefault(run.path.name, (run, directory))[0].path != run.path:
                raise UserError(f"{found[run.path.name][0].path} and {run.path} would both be runs/{run.path.name}: publish them to two directories.")
    if not found:
        raise UserError(f"no run in {', '.join(map(str, given))} is finished: there is nothing to publish.")
    return list(found.values()), missing


def _refuse(output: Path, given: Sequence[Path], finished: Sequence[tuple[RunDirectory, Path]]) -> None:
    """Errors: UserError where results would be written over what they come from, or over runs."""
    if output in given or (output / "config.json").exists():
        raise UserError(f"--output={output} is where runs are: name another directory.")
    for source, _ in finished:
        kept.refuse_trained(output / "runs" / source.path.name)


def _written(output: Path, values: flags.FlagValues, commands: Sequence[str], missing: list[str]) -> int:
    """Page and README of all that is kept there, and the part of a project's README where one is named."""
    from launch.publishing import text

    title = values.title
    shutil.rmtree(output / "report", ignore_errors=True)  # figures of what is not drawn any more
    code = report.main([str(output), "--linked", *([f"--title={title}"] if title else [])])
    if code:
        return code
    found = gathering.results([output])
    study = plan.read(output)
    lacking = [*missing, *([f"{len(waiting):,} of the study's {len(study.jobs):,} jobs."] if study and (waiting := plan.undone(study).waiting) else [])]
    verdicts = claims.judged(found)
    made = text.Made(commands, records.seconds(output), lacking)
    storage.write_text(output / README, text.readme(
        title or f"Results of the study {study.name}" if study else "Results", study.about if study else "", found, verdicts, made,
        _text(output / FINDINGS) if (output / FINDINGS).exists() else ""))
    if values.readme is not None:
        _front(output, values.readme, values.figure, verdicts)
    files = [path for path in output.rglob("*") if path.is_file()]
    say(f"{output}: {len(found.runs)} agents, {len(found.variants)} variants, {len(files):,} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")
    for sentence in lacking:
        say(f"missing: {sentence}")
    return 0


def _text(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"there is no file {path}.")
    return "".join(f"{line}\n" for line in storage.read_lines(path))


def _shown(path: Path) -> str:
    """As somebody would type it: relative to where the command was given, else its last name."""
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.name


if __name__ == "__main__":
    main()
