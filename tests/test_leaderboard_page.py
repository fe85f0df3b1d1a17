"""The leaderboard page, read with an HTML parser that knows nothing of how it was made."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pandas as pd
import pytest
from test_tables import CONTROL, HOSTILE, cells

from llmbar.paper import SUBSETS, published
from llmbar.site.leaderboard import Axis
from llmbar.tables import Provenance, board, columns, render_board
from llmbar.tables.cells import harmless

VOID = {"meta", "link", "input", "wbr", "br"}


class Node:
    def __init__(self, tag, attrs, parent=None):
        self.tag, self.attrs, self.parent, self.children = tag, dict(attrs), parent, []

    def all(self, tag):
        return [*(self,) * (self.tag == tag), *(hit for child in self.nodes for hit in child.all(tag))]

    @property
    def nodes(self):
        return [child for child in self.children if isinstance(child, Node)]

    @property
    def text(self):
        pieces = [child if isinstance(child, str) else child.text for child in self.children]
        return "".join(pieces)


class Tree(HTMLParser):
    """A tree that refuses tags which do not match."""

    def __init__(self, text):
        super().__init__()
        self.top = self.at = Node("", {})
        self.feed(text)
        self.close()
        assert self.at is self.top, f"<{self.at.tag}> is never closed"

    def handle_starttag(self, tag, attrs):
        node = Node(tag, attrs, self.at)
        self.at.children.append(node)
        self.at = self.at if tag in VOID else node

    def handle_startendtag(self, tag, attrs):
        self.at.children.append(Node(tag, attrs, self.at))

    def handle_endtag(self, tag):
        assert tag == self.at.tag
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.children.append(data)


def table_of(page):
    """The heads, and each row as head → (text, data-value, classes)."""
    heads = [th.all("button")[0].text for th in page.all("thead")[0].all("th")]
    lines = []
    for row in page.all("tbody")[0].all("tr"):
        found = [(node.text.strip(), node.attrs["data-value"], node.attrs["class"].split()) for node in row.nodes]
        lines.append((row.attrs["data-source"], dict(zip(heads, found, strict=True))))
    return heads, lines


@pytest.fixture(scope="module")
def summary():
    return pd.DataFrame(
        [
            *cells("mine", "rules", dict.fromkeys(SUBSETS, 0.9), dataset="llmbar"),
            *cells("other", "cot+rules", dict.fromkeys(SUBSETS, 0.45), dataset="llmbar", primacy=float("nan")),
            *cells("baseline/longer", "rules", dict.fromkeys(SUBSETS, 0.3), dataset="llmbar"),
        ]
    )


@pytest.fixture(scope="module")
def text(summary):
    return render_board(board(summary, published=published()), "html", title="My <board>")


@pytest.fixture(scope="module")
def page(text):
    return Tree(text).top


def test_the_page_holds_every_number_of_the_board(summary, page):
    table = board(summary, published=published())
    heads, lines = table_of(page)
    assert heads[:5] == ["Rank", "Judge", "Strategy", "Average", "95 % interval"]
    assert set(heads) == {column.head for column in columns(table)}
    assert len(lines) == len(table) == 68
    by_head = {column.head: column for column in columns(table)}
    for (source, line), row in zip(lines, table.to_dict("records"), strict=True):
        assert source == row["source"]
        for head, (shown, value, _) in line.items():
            expected = row[by_head[head].key]
            if pd.isna(expected):
                assert (shown, value) == ("–", "")
            elif isinstance(expected, str):
                assert value == expected
                assert shown == (f"{expected} †" if head == "Judge" and source == "published" else expected)
            else:
                assert float(value) == expected
                assert shown == by_head[head].text(row)


def test_the_best_cells_are_marked_and_no_baseline_is(page):
    _, lines = table_of(page)
    marked = {head: [line["Judge"][0] for _, line in lines if "best" in line[head][2]] for head in lines[0][1]}
    assert "mine" in marked["Average"]
    assert marked["Average"] == ["mine"]
    assert marked["Primacy"] == []
    assert not any(
        "best" in classes for source, line in lines if source == "baseline" for _, _, classes in line.values()
    )


def test_every_head_sorts_and_explains_itself(page):
    ids = {node.attrs["id"]: node.text for node in page.all("dd")}
    for head in page.all("thead")[0].all("th"):
        (button,) = head.all("button")
        assert button.attrs["type"] == "button"
        assert button.attrs["title"] == ids[button.attrs["aria-describedby"]]
        assert len(button.attrs["title"]) > 15
        assert head.attrs["scope"] == "col"
    sorted_by = [head for head in page.all("th") if "aria-sort" in head.attrs]
    assert [head.all("button")[0].text for head in sorted_by] == ["Rank"]


def test_there_is_a_toggle_for_each_kind_of_row_that_is_there(summary, page):
    boxes = {node.attrs["data-source"] for node in page.all("input") if node.attrs["type"] == "checkbox"}
    assert boxes == {"baseline", "published"}
    alone = Tree(render_board(board(summary), "html")).top
    assert {n.attrs.get("data-source") for n in alone.all("input")} - {None} == {"baseline"}


def test_nothing_is_loaded_from_anywhere(text, page):
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text, re.IGNORECASE)
    loads = {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}
    nodes = [node for tag in ("script", "link", "img", "a", "use", "image", "iframe") for node in page.all(tag)]
    assert {node.attrs[name] for node in nodes for name in loads & set(node.attrs)} == {"data:,"}


def test_the_policy_allows_exactly_the_pages_own_style_and_script(page):
    (policy,) = (m.attrs["content"] for m in page.all("meta") if m.attrs.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (node,) = page.all(tag)
        assert rules[rule] == f"'sha256-{b64encode(sha256(node.text.encode()).digest()).decode()}'"
    assert not [
        node for node in everything(page) if any(name.startswith("on") or name == "style" for name in node.attrs)
    ]


def everything(node):
    yield from (hit for child in node.nodes for hit in (child, *everything(child)))


def test_intervals_are_drawn_to_one_scale(summary):
    table = board(summary)
    page = Tree(render_board(table, "html")).top
    rows = page.all("tbody")[0].all("tr")
    drawn = []
    for row in rows:
        (band,) = (node for node in row.all("rect") if node.attrs.get("class") == "band")
        drawn.append((float(band.attrs["x"]), float(band.attrs["x"]) + float(band.attrs["width"])))
    (x1, _), (x2, _) = drawn[0], drawn[1]
    scale = (x1 - x2) / (table["low"][0] - table["low"][1])
    for (left, right), row in zip(drawn, table.to_dict("records"), strict=True):
        assert right - left == pytest.approx((row["high"] - row["low"]) * scale, abs=0.25)
        assert left == pytest.approx(x1 + (row["low"] - table["low"][0]) * scale, abs=0.25)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_the_scale_holds_everything_and_chance(value):
    frame = pd.DataFrame({"low": [value], "high": [value], "A": [value]})
    axis = Axis.of(frame)
    assert axis.low <= min(value, 0.5) <= max(value, 0.5) <= axis.high
    assert 0 <= axis.at(value) <= axis.width
    assert len({label for _, label in axis.ticks}) == len(axis.ticks) >= 1


def test_the_footer_says_where_the_numbers_come_from(summary):
    made = Provenance(version="9.9", date="1 May 2030", data="sha256 0f3a", seed=5, resamples=2000)
    (footer,) = Tree(render_board(board(summary), "html", provenance=made)).top.all("footer")
    for words in ("llmbar 9.9", "1 May 2030", "sha256 0f3a", "seed 5", "2,000 resamples"):
        assert words in footer.text
    assert not re.search(r"\b20\d\d\b", Tree(render_board(board(summary), "html")).top.all("footer")[0].text)


def test_hostile_names_are_inert_text():
    accuracies = {name: number / 40 for number, name in enumerate(HOSTILE)}
    pieces = [row for judge in HOSTILE for row in cells(judge, judge, accuracies, dataset=HOSTILE[0])]
    table = board(pd.DataFrame(pieces))
    text = render_board(table, "html", title=HOSTILE[0], notes=HOSTILE, provenance=Provenance(data=HOSTILE[1]))
    page = Tree(text).top
    assert not CONTROL.search(text)
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert page.all("img") == page.all("a") == []
    assert page.all("title")[0].text == page.all("h1")[0].text == HOSTILE[0]
    assert not [node for node in everything(page) if any(name.startswith("on") for name in node.attrs)]
    _, lines = table_of(page)
    assert [line["Judge"][0] for _, line in lines] == [harmless(judge) for judge in table["judge"]]
    assert "{{ 7 * 7 }} {% raw %}" in text
