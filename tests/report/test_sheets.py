"""Sheets: numbers as they are read, captions that fit, panels that keep their size."""

import pytest
from matplotlib.text import Text

from tfpg.report import sheets


@pytest.mark.parametrize(("value", "read"), [
    (0.012345, "0.0123"), (34.56, "34.6"), (123.4, "123"), (999.4, "999"), (1234.5, "1,234"), (-1234.5, "−1,234"),
    (-0.5, "−0.5"), (7_328_111, "7.33 M"), (0, "0")])
def test_numbers_have_three_digits_and_a_true_minus(value, read):
    assert sheets.number(value) == read


def test_numbers_of_two_digits_never_turn_into_powers_of_ten():
    assert [sheets.number(value, 2) for value in (0.184, 12.34, 333.3)] == ["0.18", "12", "333"]


def test_a_difference_has_its_sign_and_an_unknown_interval_is_not_said():
    assert (sheets.signed(23), sheets.signed(-4.5)) == ("+23", "−4.5")
    assert sheets.interval(-40, 90) == " [−40, 90]" and sheets.interval(float("nan"), 1) == ""


def test_names_are_joined_as_in_speech():
    assert [sheets.joined("abc"[:count]) for count in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def drawn(notes, title="Title"):
    figure = sheets.blank(3, width=8)
    axes = figure.add_subplot()
    for index in range(9):
        axes.plot([0, 1], label=f"a line of some length, number {index}")
    sheets.finish(figure, title, notes, warnings=["beware"])
    figure.canvas.draw()
    return figure


def test_a_long_caption_is_wrapped_within_the_figure_and_makes_it_longer_not_its_panels_smaller():
    short, long = drawn(["short"]), drawn(["short", "many words " * 60])
    assert long.get_size_inches()[1] > short.get_size_inches()[1]
    heights = [figure.axes[0].get_window_extent().height for figure in (short, long)]
    assert heights[0] == pytest.approx(heights[1], abs=1)
    assert all(text.get_window_extent().x0 >= 0 for text in long.texts)


def test_a_long_title_is_wrapped_within_the_figure_and_above_the_caption():
    figure = drawn(["short"], title="Return and surrogate: Hopper-v5, TRPO, seed 0, the step from 100,000 pairs" * 2)
    box = figure._suptitle.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert box.y0 >= max(text.get_window_extent().y1 for text in figure.texts if text is not figure._suptitle) - 1


def test_a_legend_of_many_lines_stays_within_the_figure_and_below_the_panel():
    figure = drawn(["short"])
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0
    assert box.y1 <= figure.axes[0].get_tightbbox().y0 + 1


def test_nothing_is_smaller_than_seven_points():
    assert min(text.get_fontsize() for text in drawn(["short"]).findobj(Text) if text.get_text()) >= 7


def test_captions_break_between_phrases_where_those_fit():
    note = "35 episodes a point; actual pairs 10,185–33,346 a point, 2.43 M in all; median standard error 142; common random numbers"
    lines = sheets._wrapped(note, 90)
    assert " ".join(lines) == note and len(lines) == 2 and max(map(len, lines)) <= 90
    assert lines[0].endswith(";")
    long = "one phrase without an end " * 8
    assert all(len(line) <= 60 for line in sheets._wrapped(long.strip(), 60))
    assert sheets._wrapped("short", 60) == ["short"]
