"""The report in a real browser: it loads without errors, its surfaces render and turn, its links work, on any screen.

Needs Chromium (Debian and Ubuntu: apt-get install chromium)."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from launch import report
from tests.launch import madeup
from tests.launch.grounds import command

pytestmark = pytest.mark.long
# Without a graphics card WebGL is rendered by SwiftShader; root has no sandbox.
ARGUMENTS = ["--no-sandbox", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = madeup.study(tmp_path_factory.mktemp("study"))
    code, _, err = command(report, str(directory))
    assert code == 0, err
    return directory / "report" / "report.html"


@pytest.fixture(scope="module")
def browser():
    path = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    assert path, "these tests look at the report in Chromium: apt-get install chromium"
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, written):
    """Opens the page on a screen; at the end nothing may have gone wrong or been fetched."""
    contexts, wrong, fetched = [], [], []

    def opened(*, width=1280, height=900, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url) if not request.url.startswith(("data:", "blob:", "file:")) else None)
        page.goto(written.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == [] and fetched == []


def scene(page, side):
    """The surface on one side, drawn."""
    page.locator(".grounds").scroll_into_view_if_needed()
    page.wait_for_function(f"document.querySelector('.scene.{side}').layout?.scene?.camera !== undefined", timeout=60_000)
    page.wait_for_timeout(1_500)  # the first frame of a software renderer
    return page.locator(f".scene.{side}")


def pixels(locator):
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"), float)


def eye(page, side):
    camera = page.evaluate(f"document.querySelector('.scene.{side}').layout.scene.camera.eye")
    return np.array([camera[axis] for axis in "xyz"])


def covered(image):
    """Share of pixels that are not nearly white: a surface covers much, its axes and their words little."""
    return float(np.mean(image.min(-1) < 190))


def test_surfaces_render_on_both_sides(visit):
    page = visit()
    for side in ("left", "right"):
        assert covered(pixels(scene(page, side))) > 0.07


def test_a_drag_turns_both_surfaces(visit):
    page = visit()
    left = scene(page, "left")
    scene(page, "right")
    before, seen = eye(page, "left"), pixels(left)
    box = left.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y + 20, steps=8)
    page.mouse.up()
    page.wait_for_timeout(1_500)
    assert np.abs(eye(page, "left") - before).max() > 0.1
    np.testing.assert_allclose(eye(page, "right"), eye(page, "left"), atol=1e-6)
    assert np.abs(pixels(left) - seen).mean() > 1


def test_arrow_keys_and_buttons_turn_and_bring_back(visit):
    page = visit()
    scene(page, "left")
    scene(page, "right")
    home = eye(page, "left")
    page.locator(".scene.left").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    turned = eye(page, "left")
    # A turn about the vertical keeps height and distance.
    assert np.abs(turned - home).max() > 0.1 and turned[2] == pytest.approx(home[2])
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(home))
    np.testing.assert_allclose(eye(page, "right"), turned)
    page.get_by_role("button", name="first view").click()
    page.wait_for_timeout(500)
    np.testing.assert_allclose(eye(page, "left"), home)


def test_another_policy_step_and_surface_can_be_chosen(visit):
    page = visit()
    scene(page, "left")
    page.locator("select.policy").select_option(index=1)
    page.locator("select.step").select_option(index=1)
    page.wait_for_timeout(800)
    label = page.locator(".scene.left").get_attribute("aria-label")
    assert "iteration 150" in label and "Recomputed step from 100,000 pairs" in label and "True return" in label


def test_a_link_leads_from_a_verdict_to_its_figure(visit):
    page = visit()
    page.locator("#C7").get_by_role("link", name="figure").first.click()
    figure = page.locator("#trust-regions-hopper-v5")
    page.wait_for_timeout(300)
    assert figure.bounding_box()["y"] < 200
    assert page.evaluate("document.querySelector('#trust-regions-hopper-v5 img.on-light').naturalWidth") > 300


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_screen_scrolls_sideways(visit, width):
    page = visit(width=width)
    scene(page, "left")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_dark_system_has_a_dark_page_with_dark_figures_and_the_button_changes_it(visit):
    page = visit(scheme="dark")
    shown = "getComputedStyle(document.querySelector('#learning-curves img.on-{}')).display"
    assert page.evaluate(shown.format("dark")) == "block" and page.evaluate(shown.format("light")) == "none"
    assert pixels(page.locator("body")).mean() < 110
    page.get_by_role("button", name="light page").click()
    assert page.evaluate(shown.format("dark")) == "none" and page.evaluate(shown.format("light")) == "block"


def test_a_reader_without_eyes_or_mouse_finds_everything(visit):
    page = visit()
    scene(page, "left")
    unnamed = page.evaluate("""[...document.querySelectorAll('img, button, select, [role=img], [role=region], section')]
        .filter(each => !(each.alt || each.getAttribute('aria-label') || each.getAttribute('aria-labelledby') || each.textContent.trim()
                          || each.closest('label'))).length""")
    assert unnamed == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"  # first of all past the chapters
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(each => Number(each.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1 and max(np.diff(levels)) <= 1
