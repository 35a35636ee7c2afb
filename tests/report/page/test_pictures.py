"""A figure's files and its words on the page."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.report import surfaces
from tfpg.report import landscapes, slices
from tfpg.report.page import pictures
from tfpg.report.page.contents import Link


@pytest.fixture(scope="module")
def drawn():
    return pictures.drawn("slices-ppo", slices.slices(surfaces.slices(few_episodes=1)), says="The step ranks 2 of 17",
                          links=(Link("data", "a.nc"),))


def image(address):
    """What a data: address holds."""
    kind, encoded = address.split(",", 1)
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


@pytest.fixture(scope="module")
def linked():
    return pictures.linked("slices-ppo", slices.slices(surfaces.slices(few_episodes=1)), says="The step ranks 2 of 17",
                           links=(Link("data", "a.nc"),))


def test_the_words_of_a_figure_become_its_caption(drawn):
    picture = drawn.picture
    assert picture.title == "Along the step and random directions of equal norm: Hopper-v5, PPO, seed 0, iteration 150"
    assert any("surrogate, 0 at the origin" in note for note in picture.notes)
    assert picture.warnings == ("few episodes: intervals can be far too short",)


def test_the_alternative_text_says_what_is_shown_and_what_it_says(drawn):
    assert drawn.picture.alt.startswith("Along the step and random directions")
    assert "Panels: " in drawn.picture.alt and drawn.picture.alt.endswith("The step ranks 2 of 17.")
    assert "$" not in drawn.picture.alt and "\\" not in drawn.picture.alt


def test_files_come_before_data_and_are_what_they_are_called(drawn):
    assert [link.href for link in drawn.picture.links] == ["figures/slices-ppo.png", "figures/slices-ppo.pdf", "a.nc"]
    assert drawn.png.startswith(b"\x89PNG") and drawn.pdf.startswith(b"%PDF")
    assert b"/FontFile2" in drawn.pdf and b"/Type3" not in drawn.pdf  # letters, not their outlines


def test_the_page_has_one_picture_for_light_and_one_for_dark(drawn):
    light, night = (np.asarray(image(each).convert("L"), float) for each in (drawn.picture.light, drawn.picture.dark))
    assert light.shape == night.shape
    assert np.median(light) > 250 and np.median(night) < 40


def test_the_words_are_not_in_the_page_s_picture_but_the_legend_is(drawn):
    whole = Image.open(io.BytesIO(drawn.png))
    shown = image(drawn.picture.light)
    assert shown.height < whole.height
    bottom = np.asarray(shown.convert("L"))[-30:]
    assert (bottom < 200).any()


def test_a_linked_picture_is_one_small_file_with_all_its_words(linked, drawn):
    picture = linked.picture
    assert (picture.light, picture.dark, linked.pdf) == ("figures/slices-ppo.png", "", None)
    assert [link.href for link in picture.links] == ["figures/slices-ppo.png", "a.nc"]
    assert picture[1:5] == drawn.picture[1:5]  # title, alt, notes, warnings
    whole, small = (Image.open(io.BytesIO(each.png)) for each in (drawn, linked))
    assert small.mode == "P" and small.width / small.height == pytest.approx(whole.width / whole.height, rel=0.01)
    assert len(linked.png) < len(drawn.png) / 2.5
    light = np.asarray(small.convert("L"))
    assert np.median(light) > 250 and (light < 60).any()  # dark letters on light paper


@pytest.mark.parametrize(("text", "said"), [
    (r"$\theta_{k+1}$ and $J(\theta_k)$", "θ_k+1 and J(θ_k)"), (r"1/$\sqrt{P}$", "1/√P"), ("no formula", "no formula"),
    (r"max $\pi_\mathrm{new}(a|s)$ / $\pi_\mathrm{old}(a|s)$", "max π_new(a|s) / π_old(a|s)"), ("", "")])
def test_formulas_become_plain_text(text, said):
    assert pictures.plain(text) == said


def test_two_drawings_of_one_figure_are_the_same_bytes():
    first, second = (pictures.drawn("a", landscapes.surface(surfaces.returns())) for _ in range(2))
    assert first.png == second.png and first.pdf == second.pdf and first.picture == second.picture
