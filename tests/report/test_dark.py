"""Figures on a dark page: greys change sides, colours stay."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

from tests.report import surfaces
from tfpg.report import dark, landscapes, slices


@pytest.mark.parametrize(("colour", "becomes"), [("white", dark.PAPER), ("black", dark.INK), ("#0072B2", "#0072b2")])
def test_white_becomes_paper_black_ink_and_a_colour_itself(colour, becomes):
    assert to_hex(dark.swapped(colour)) == becomes


def test_opacity_and_nothing_stay():
    assert dark.swapped((1.0, 1.0, 1.0, 0.25))[3] == 0.25
    assert dark.swapped("none") == "none"


def test_a_darkened_figure_is_dark_and_its_words_can_be_read():
    figure = dark.darken(slices.slices(surfaces.slices()))
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    assert np.mean(pixels.max(-1) < 90) > 0.5  # most of it is paper
    assert to_hex(figure._suptitle.get_color()) == dark.INK
    assert to_hex(figure.axes[0].xaxis.label.get_color()) == dark.INK


def test_what_is_drawn_over_colours_stays_as_it_was_made():
    figure = landscapes.surface(surfaces.returns())
    [heat] = surfaces.flat(figure)
    before = [(line.get_label(), to_rgba(line.get_markerfacecolor())) for line in heat.lines]
    dark.darken(figure)
    assert [(line.get_label(), to_rgba(line.get_markerfacecolor())) for line in heat.lines] == before
