"""What does a report show, chapter by chapter? Results in, sections with figures and tables out; what is not there is left out."""

from __future__ import annotations

from collections.abc import Callable

from launch.reporting.chapters.factorials import toggles
from launch.reporting.chapters.instruments import agreement, gains, predictions, regions
from launch.reporting.chapters.landscapes import grounds_of
from launch.reporting.chapters.scores import scores
from launch.reporting.chapters.shared import Chapter
from launch.reporting.drawing import Drawer
from launch.shared.gathering import Results

# In the order of the page.
CHAPTERS: tuple[Callable[[Results, Drawer], Chapter], ...] = (scores, regions, grounds_of, gains, agreement, predictions, toggles)
