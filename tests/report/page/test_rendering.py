"""The page is one HTML text that is well formed and needs no network."""

import html.parser
import json
import re

import pytest

from tests.report import surfaces
from tfpg.report.page import grounds, rendering
from tfpg.report.page.contents import (
    Cell,
    ClaimCard,
    Grounds,
    Judged,
    Line,
    Link,
    Page,
    Picture,
    Ruling,
    Section,
    Table,
)

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Outline(html.parser.HTMLParser):
    """Checks that elements are closed in order; keeps names, places and links."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.hrefs, self.alts, self.scripts, self.sources = [], [], [], [], 0, []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.hrefs += [attrs["href"]] if "href" in attrs and tag == "a" else []
        self.alts += [attrs.get("alt")] if tag == "img" else []
        self.sources += [attrs[name] for name in ("src", "href") if name in attrs and tag != "a"]
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(*, parts=(), missing=(), title="Study <one>"):
    ruling = Ruling("PPO: log ratio", "0.3", "[0.1, 0.5]", "3 agents", "below 0", "does not hold", "fails", "a note")
    card = ClaimCard("C7", "no algorithm keeps the ratio", "SEED", (
        Judged("Hopper-v5", "PPO", "does not hold", "fails", (ruling,), (Link("figure", "#one"),)),), "")
    picture = Picture("one", "A title", 'what it shows & "says"', ("34 episodes a point",), ("few episodes",), "data:,light", "data:,dark",
                      (Link("PNG", "figures/one.png"),), (640, 480))
    table = Table("t", "A table", ("a", "b"), (("x", Cell("1", "number")),), folded=True)
    return Page(title, "about", (("agents", "9"),), (
        Section("verdicts", "Verdicts", ("words",), (card,)), Section("curves", "Curves", (), (picture, table, *parts))), missing)


def test_every_element_is_closed_and_every_place_is_there_once():
    outline = Outline(rendering.html(page(parts=(Grounds("viewer", grounds.viewer([{"return": surfaces.returns()}])),), missing=("a run",))))
    assert len(set(outline.ids)) == len(outline.ids)
    places = [href[1:] for href in outline.hrefs if href.startswith("#")]
    assert places and set(places) <= set(outline.ids)


def test_nothing_is_fetched():
    outline = Outline(rendering.html(page()))
    assert all(source.startswith("data:") for source in outline.sources)


def test_a_linked_picture_is_shown_once_with_its_words_as_text():
    text = rendering.html(page(parts=(Picture("two", "Another", "shown", ("n = 3",), (), "figures/two.png", "", (Link("PNG", "figures/two.png"),),
                                              (640, 480)),)))
    outline = Outline(text)
    assert outline.alts.count("shown") == 1 and outline.sources.count("figures/two.png") == 1
    assert "n = 3" in text[text.index("<summary>its words as text"):]


def test_a_cell_of_several_lines_has_each_in_its_kind():
    table = Table("t", "A table", ("claim", "task"), (("C1", Cell("", lines=(Line("PPO: holds", "holds"), Line("TRPO: undecided", "undecided")))),))
    text = rendering.html(page(parts=(table,)))
    Outline(text)
    assert '<span class="line holds">PPO: holds</span><span class="line undecided">TRPO: undecided</span>' in text


def test_pictures_have_alternative_texts_and_words_are_escaped():
    text = rendering.html(page())
    assert Outline(text).alts == ['what it shows & "says"'] * 2
    assert "Study &lt;one&gt;" in text and "<one>" not in text


def test_the_library_of_surfaces_is_there_only_where_there_are_some():
    without = rendering.html(page())
    with_some = rendering.html(page(parts=(Grounds("viewer", grounds.viewer([{"return": surfaces.returns()}])),)))
    assert len(without) < 100_000
    assert len(with_some) > 3_000_000


@pytest.mark.parametrize("hostile", ["</script><b>", "<!--<script>x"])
def test_a_text_cannot_end_a_script_or_begin_a_comment_in_it(hostile):
    text = rendering.html(page(parts=(Grounds("viewer", {"policies": [{"name": hostile, "steps": []}]}),)))
    written = text[text.index('class="surfaces">') + len('class="surfaces">'):]
    written = written[:written.index("</script>")]
    assert "<" not in written and json.loads(written)["policies"][0]["name"] == hostile
    Outline(text)


@pytest.mark.parametrize(("missing", "said"), [((), None), (("one run",), "1 thing is missing"), (("a", "b"), "2 things are missing")])
def test_a_partial_page_says_so_first(missing, said):
    text = rendering.html(page(missing=missing))
    assert ("Partial." in text) == (said is not None)
    if said:
        assert said in re.sub(r"\s+", " ", text)
        assert text.index("Partial.") < text.index("Verdicts</h2>")
