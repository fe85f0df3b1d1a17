"""Leaderboards: which row stands where, which cell is marked, and what each format says, read back independently."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from llmbar.errors import UsageError
from llmbar.paper import SUBSETS, published, published_summary
from llmbar.tables import FORMATS, Provenance, board, columns, render_board, rich_table
from llmbar.tables.cells import harmless
from llmbar.tables.columns import Column, best
from llmbar.tables.latex import escaped
from llmbar.tables.markdown import inert
from llmbar.tables.plain import guarded

ADVERSARIAL = {"Neighbor", "GPTInst", "GPTOut", "Manual"}

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b||c",
    "`code` *bold* _it_ ~~gone~~ [x](javascript:alert(1))",
    r"50%_of $x^2$ & #1 {a} \input{/etc/passwd} ~\\",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\uff1d1+1",
    "gpt\u202e4-txt.exe\u2066x",
    "\x1b[31mred\x1b[0m \x1b]8;;x\x07link\x1b]8;;\x07 \x9b1m",
    "[red]markup[/red]",
    "two\nlines\u2028three",
    "nul \x00",
    "{{ 7 * 7 }} {% raw %}",
    "https://evil.example/x www.evil.example a@evil.example",
    "中文 ½ κ 🚀",
    "--- ''quotes'' ``more``",
    "",
]
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def cells(judge, strategy, accuracies, **more):
    """The rows of a summary for one judge and strategy; macro rows are means, as LLMBar's."""
    groups = {name: [name] for name in accuracies}
    if len(accuracies) > 1:
        groups |= {"Adversarial": [name for name in accuracies if name in ADVERSARIAL], "Average": list(accuracies)}
    rows = []
    for name, members in groups.items():
        if not members:
            continue
        value = sum(accuracies[member] for member in members) / len(members)
        row = {
            "judge": judge,
            "strategy": strategy,
            "dataset": "set",
            "subset": name,
            "kind": "subset" if name in accuracies else "macro",
            "n": 10 * len(members),
            "accuracy": value,
            "accuracy_low": value - 0.05,
            "accuracy_high": value + 0.05,
            "agreement": 0.9,
            "both_correct": value - 0.1,
            "kappa": 2 * value - 1,
            "ties": 0.0,
            "unreadable": 0.0,
            "failed": 0,
            "conflicts": 2,
            "primacy": 0.5,
            "longer_rate": 0.4,
            "ties_policy": "half",
            "unreadable_policy": "strict",
        }
        rows.append(row | more)
    return rows


def one_subset(values, **more):
    """A board of one subset, from name → accuracy."""
    return board(
        pd.DataFrame([row for name, value in values.items() for row in cells(name, "s", {"A": value}, **more)])
    )


@pytest.fixture
def three():
    """Two judges and a baseline on three subsets."""
    return pd.DataFrame(
        [
            *cells("low", "rules", {"GPTInst": 0.50, "Manual": 0.25, "Natural": 0.75}, agreement=0.80),
            *cells("high", "rules", {"GPTInst": 0.75, "Manual": 0.50, "Natural": 1.00}, agreement=0.85),
            *cells("baseline/longer", "rules", {"GPTInst": 0.0, "Manual": 0.25, "Natural": 1.00}, agreement=1.0),
        ]
    )


# ── the board ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_best_first_with_the_papers_order_of_subsets(three):
    table = board(three)
    assert list(table["judge"]) == ["high", "low", "baseline/longer"]
    assert list(table["rank"]) == [1, 2, 3]
    assert list(table["source"]) == ["run", "run", "baseline"]
    assert [*table.columns[6:13]] == ["Natural", "GPTInst", "Manual", "Adversarial", "Average", "low", "high"]
    first = table.iloc[0]
    assert first["Adversarial"] == pytest.approx((0.75 + 0.5) / 2)
    assert first["Average"] == pytest.approx((0.75 + 0.5 + 1) / 3)
    assert (first["low"], first["high"]) == pytest.approx((0.70, 0.80))
    assert (first["n"], first["conflicts"], first["agreement"]) == (30, 6, 0.85)


def test_unknown_subsets_stand_behind_the_papers_in_the_summarys_order():
    table = board(pd.DataFrame(cells("j", "s", {"zulu": 1.0, "alpha": 0.0, "Natural": 1.0})))
    assert [*table.columns[6:9]] == ["Natural", "zulu", "alpha"]


def test_one_subset_is_its_own_headline():
    table = one_subset({"a": 0.5, "b": 0.75})
    assert "Average" not in table
    assert list(table["A"]) == [0.75, 0.5]
    assert list(table["low"]) == pytest.approx([0.70, 0.45])


def test_equal_accuracies_share_a_rank_and_the_next_is_skipped():
    table = one_subset({"d": 0.5, "c": 0.9, "b": 0.9 + 1e-12, "a": 0.7})
    assert list(zip(table["rank"], table["judge"], strict=True)) == [(1, "b"), (1, "c"), (3, "a"), (4, "d")]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12))
@settings(deadline=None, max_examples=25)
def test_a_rank_is_one_more_than_the_number_of_better_rows(hits):
    table = one_subset({f"judge {number}": hit / 40 for number, hit in enumerate(hits)})
    for row in table.to_dict("records"):
        assert row["rank"] == 1 + sum(hit / 40 > row["A"] for hit in hits)


def test_a_row_that_lacks_a_subset_has_no_average_and_no_rank(three):
    partial = pd.DataFrame(cells("partial", "rules", {"GPTInst": 1.0, "Manual": 1.0}))
    table = board(pd.concat([three, partial]))
    row = table.iloc[-1]
    assert row["judge"] == "partial"
    assert row[["rank", "Natural", "Average", "low", "agreement"]].isna().all()
    assert row["Adversarial"] == 1.0, "its two adversarial subsets are all that there are"
    assert row["n"] == 20
    text = render_board(table, "md")
    assert "has no average and no rank" in text
    assert "not judged on the same pairs" in text


def test_an_average_over_fewer_adversarial_subsets_is_not_shown(three):
    partial = pd.DataFrame(cells("partial", "rules", {"Natural": 1.0, "Manual": 1.0}))
    assert pd.isna(board(pd.concat([three, partial])).iloc[-1]["Adversarial"])


@pytest.mark.parametrize("name", ["low", "n", "judge", "Average", "source", "rank"])
def test_a_subset_may_be_called_like_a_column(name):
    table = board(pd.DataFrame(cells("j", "s", {name: 0.25}) + cells("k", "s", {name: 0.5})))
    assert list(table[f"{name} (subset)"]) == [0.5, 0.25]
    assert list(table["judge"]) == ["k", "j"]


@pytest.mark.parametrize(
    ("field", "other"), [("dataset", "starter"), ("ties_policy", "drop"), ("unreadable_policy", "half")]
)
def test_what_cannot_be_compared_is_refused_by_name(three, field, other):
    mixed = pd.concat([three, three.assign(**{field: other, "strategy": "cot"})])
    with pytest.raises(UsageError) as caught:
        board(mixed)
    assert caught.value.field == field
    assert other in str(caught.value)
    assert three[field].iloc[0] in str(caught.value)
    with pytest.raises(UsageError):
        board(three, baselines=three.assign(**{field: other, "strategy": "cot"}))


def test_a_statistic_that_the_summary_lacks_has_no_column(three):
    table = board(three.drop(columns=["kappa", "conflicts"]))
    assert "kappa" not in table
    assert "Conflicts" not in render_board(table, "md")
    assert "Primacy" in render_board(table, "md")


def test_a_row_given_twice_and_an_empty_summary_are_refused(three):
    with pytest.raises(UsageError, match="low with rules occurs twice"):
        board(pd.concat([three, three]))
    with pytest.raises(UsageError, match="nothing to rank"):
        board(three.head(0))


def test_baselines_are_added_unless_they_are_there(three):
    half = {"GPTInst": 0.5, "Manual": 0.5, "Natural": 0.5}
    more = [*cells("baseline/x", "rules", half), *cells("baseline/y", "rules", half)]
    extra = pd.DataFrame([*more, *cells("baseline/longer", "rules", {"GPTInst": 1.0})])
    table = board(three, baselines=extra).set_index("judge")
    assert set(table.index[table["source"] == "baseline"]) == {"baseline/longer", "baseline/x", "baseline/y"}
    assert table.loc["baseline/longer", "GPTInst"] == 0.0


# ── published rows ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_published_averages_are_the_papers_own():
    rows = published()
    table = published_summary(rows).set_index(["judge", "strategy", "subset"])
    assert len(rows) == 65
    for row in rows.to_dict("records"):
        for name in (*SUBSETS, "Adversarial", "Average"):
            cell = table.loc[(row["judge"], row["paper_name"], name)]
            assert cell["accuracy"] == pytest.approx(row[f"{name}_Acc"] / 100, abs=1e-8)
            assert cell["agreement"] == pytest.approx(row[f"{name}_Agr"] / 100, abs=1e-8)
    assert set(table.xs("Average", level="subset")["n"]) == {419}


def test_published_stand_beside_ones_own():
    own = cells("mine", "rules", dict.fromkeys(SUBSETS, 0.99), dataset="llmbar")
    table = board(pd.DataFrame(own), published=published())
    assert table["source"].value_counts().to_dict() == {"published": 65, "run": 1}
    assert table.iloc[0]["judge"] == "mine"
    best_of_paper = table.iloc[1]
    assert (best_of_paper["judge"], best_of_paper["strategy"]) == ("GPT-4", "Metrics+Reference*")
    assert best_of_paper["Average"] == pytest.approx(0.8543, abs=1e-4)
    assert pd.isna(best_of_paper["low"])
    text = render_board(table, "md")
    assert "GPT-4 †" in text
    assert "Zeng et al." in text
    assert "no fair comparison" not in text


def test_published_rows_of_other_pairs_have_no_rank():
    own = cells("mine", "rules", dict.fromkeys(SUBSETS, 0.01), dataset="starter")
    table = board(pd.DataFrame(own), published=published())
    assert table.iloc[0]["rank"] == 1
    assert table.loc[table["source"] == "published", "rank"].isna().all()
    assert "no fair comparison" in render_board(table, "md")


def test_published_averages_cover_the_boards_subsets_only():
    own = cells("mine", "rules", {"GPTOut": 0.5, "Manual": 0.5}, dataset="llmbar")
    table = board(pd.DataFrame(own), published=published()).set_index(["judge", "strategy"])
    source = published().set_index(["judge", "paper_name"]).loc[("GPT-4", "Vanilla*")]
    assert table.loc[("GPT-4", "Vanilla*"), "Average"] == pytest.approx((source.GPTOut_Acc + source.Manual_Acc) / 200)
    assert table.loc[("GPT-4", "Vanilla*"), "agreement"] == pytest.approx((source.GPTOut_Agr + source.Manual_Agr) / 200)


def test_published_beside_another_pair_set_or_policy_are_said_to_be_so(three):
    table = board(three.assign(ties_policy="drop"), published=published())
    text = render_board(table, "md")
    assert "Published rows are of llmbar, not of set" in text
    assert "Published rows follow LLMBar's policy" in text
    assert "ties are left out" in text


def test_published_without_a_common_subset_are_left_out():
    assert set(board(pd.DataFrame(cells("j", "s", {"own": 0.5})), published=published())["source"]) == {"run"}


# ── cells ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("column", "row", "text"),
    [
        (Column("a", "", "", "percent"), {"a": 0.81249}, "81.2"),
        (Column("a", "", "", "percent"), {"a": float("nan")}, "–"),
        (Column("a", "", "", "count"), {"a": 20000}, "20,000"),
        (Column("a", "", "", "count"), {"a": pd.NA}, "–"),
        (Column("a", "", "", "decimal"), {"a": -0.125}, "−0.12"),
        (Column("a", "", "", "interval", upto="b"), {"a": 0.8123, "b": 0.8689}, "[81.2, 86.9]"),
        (Column("a", "", "", "interval", upto="b"), {"a": 0.8123, "b": float("nan")}, "–"),
    ],
)
def test_a_cell_reads(column, row, text):
    assert column.text(row) == text


def rows(*values, source="run"):
    return [{"x": value, "source": source} for value in values]


def test_the_best_is_marked_by_what_is_to_be_wished_for():
    high, low, neither = (Column("x", "", "", "percent", better) for better in ("high", "low", None))
    assert best(rows(0.1, 0.9, 0.5), high) == "90.0"
    assert best(rows(0.1, 0.9, 0.5), low) == "10.0"
    assert best(rows(0.1, 0.9, 0.5), neither) is None
    assert best(rows(0.1, float("nan")), high) is None, "a single number is best of nothing"
    assert best([*rows(0.1, 0.2), *rows(0.9, source="baseline")], high) == "20.0"
    assert best(rows(0.0, 0.0, 0.0, 0.1), low) is None, "most are best"
    assert best([], high) is None


def test_numbers_that_read_alike_are_marked_alike():
    table = one_subset({"a": 0.90001, "b": 0.90004, "c": 0.2, "d": 0.1})
    lines = [line for line in render_board(table, "md").splitlines() if line.startswith("|")][2:]
    assert [line.split(" | ")[4] for line in lines] == ["**90.0**", "**90.0**", "20.0", "10.0"]


@pytest.mark.parametrize("code", ["\x1b[31m", "\x9b1;4m", "\x1b]8;;x\x07", "\x1b]0;t\x1b\\", "\x1bc", "\u202e", "\x00"])
def test_control_sequences_vanish_whole(code):
    assert harmless(f"a{code}b") == "ab"


@given(st.text())
def test_harmless_text_is_one_line_without_control_characters(text):
    shown = harmless(text)
    assert not CONTROL.search(shown)
    assert harmless(shown) == shown
    assert shown == shown.strip()


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays_as_it_is_but_for_its_spaces(text):
    assert harmless(text) == " ".join(text.split())


# ── every format, read back ────────────────────────────────────────────────────────────────────────────────────────


def split_row(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_reads_back(three):
    text = render_board(board(three), "md", title="T")
    lines = [split_row(line) for line in text.splitlines() if line.startswith("|")]
    head, rule, *body = lines
    assert {len(line) for line in lines} == {len(head)}
    assert head[:6] == ["Rank", "Judge", "Strategy", "n", "Natural", "GPTInst"]
    assert [mark for mark, name in zip(rule, head, strict=True) if name in ("Judge", "Strategy")] == [":---", ":---"]
    assert set(rule) == {":---", "---:"}
    table = [dict(zip(head, line, strict=True)) for line in body]
    assert [row["Judge"] for row in table] == ["high", "low", "*baseline/longer*"]
    assert [row["Natural"] for row in table] == ["**100.0**", "75.0", "100.0"], "a baseline is never marked"
    assert [row["Average"] for row in table] == ["**75.0**", "50.0", "41.7"]
    assert [row["95 % interval"] for row in table] == ["[70.0, 80.0]", "[45.0, 55.0]", "[36.7, 46.7]"]
    assert [row["Agr"] for row in table] == ["**85.0**", "80.0", "100.0"]


def test_csv_reads_back_in_full_precision(three):
    table = board(three)
    back = list(csv.DictReader(io.StringIO(render_board(table, "csv"))))
    assert list(back[0]) == list(table.columns)
    for row, expected in zip(back, table.to_dict("records"), strict=True):
        assert {float(row[name]) == expected[name] for name in ("Natural", "Average", "low", "kappa")} == {True}
        assert row["judge"] == expected["judge"]
        assert row["rank"] == str(expected["rank"])
    partial = pd.concat([three, pd.DataFrame(cells("p", "s", {"Manual": -0.0}))])
    assert list(csv.DictReader(io.StringIO(render_board(board(partial), "csv"))))[-1]["Average"] == ""


def test_json_reads_back_in_full_precision(three):
    partial = pd.concat([three, pd.DataFrame(cells("p", "s", {"Manual": 0.5}))])
    table = board(partial)
    back = json.loads(render_board(table, "json", title="T", notes=["mine"], provenance=Provenance(seed=7)))
    meta = back["meta"]
    assert (meta["title"], meta["dataset"], meta["headline"]) == ("T", "set", "Average")
    assert (meta["ties_policy"], meta["unreadable_policy"]) == ("half", "strict")
    assert meta["interval"] == {"level": 0.95, "method": "BCa cluster bootstrap", "seed": 7, "resamples": 10_000}
    assert meta["notes"][-1] == "mine"
    assert {key for column in meta["columns"] for key in column["keys"]} <= set(back["rows"][0])
    for row, expected in zip(back["rows"], table.to_dict("records"), strict=True):
        assert row == {key: None if pd.isna(value) else value for key, value in expected.items()}


def test_latex_has_booktabs_and_as_many_cells_in_each_row(three):
    text = render_board(board(three), "latex", title="50 % & more")
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    spec = re.search(r"\\begin\{tabular\}\{@\{\}([rl]+)@\{\}\}", text)[1]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {len(re.split(r"(?<!\\)&", line)) for line in lines} == {len(spec)}
    assert len(lines) == 1 + len(three["judge"].unique())
    assert body.count(r"\midrule") == 1
    assert r"\caption{50 \% \& more}" in text
    assert r"\textbf{75.0}" in lines[1]
    assert r"\textbf" not in lines[3]
    assert r"\textit{baseline/longer}" in lines[3]
    for name in ("table*", "tabular", "minipage"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1


def seen(table, width=100):
    console = Console(width=300, file=io.StringIO(), force_terminal=False)
    console.print(rich_table(table, width=width))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [70, 100, 140, 250])
def test_the_terminals_table_fits_and_says_what_it_left_out(three, width):
    text = seen(board(three), width)
    body = text[: text.index("Pair set")]
    assert max(len(line.rstrip()) for line in body.splitlines()) <= width
    left_out = re.search(r"Not shown for want of room: (.*)\.$", " ".join(text.split()))
    gone = left_out[1].split(", ") if left_out else []
    head = body.splitlines()[1]
    for column in columns(board(three)):
        assert (re.search(rf"(^|\s){re.escape(column.head)}(\s|$)", head) is None) == (column.head in gone), column
    assert "Average" in head
    assert "[70.0, 80.0]" in body
    assert bool(gone) == (width < 250)


def test_long_names_are_folded_not_cut():
    name = "openai-api/some-service/a-very-long-model-name-instruct-2024-08-06"
    body = seen(one_subset({name: 0.5}))
    assert all(piece in body for piece in (name[:28], name[28:56], name[56:]))


@pytest.mark.parametrize("form", ["md", "latex", "json", "html"])
def test_every_table_says_what_its_numbers_mean(three, form):
    text = render_board(board(three), form, notes=["A note of mine."], provenance=Provenance(seed=3, resamples=1234))
    for words in (
        "n = 30 judgments in each row",
        "cluster bootstrap over instructions",
        "(seed 3, 1,234 resamples)",
        "Acc is the share of verdicts",
        "Agr is the share of pairs",
        "an unreadable reply is wrong",
        "A note of mine.",
    ):
        assert words in text


def test_without_resamples_no_interval_is_claimed(three):
    text = render_board(board(three.assign(accuracy_low=float("nan"), accuracy_high=float("nan"))), "md")
    assert "No intervals were computed." in text
    assert "bootstrap" not in text


def test_failed_calls_are_told(three):
    assert "Incomplete: 6 calls failed" in render_board(board(three.assign(failed=[1, 1, 0, 1, 1] * 3)), "md")


@pytest.mark.parametrize("form", list(FORMATS))
def test_equal_arguments_give_equal_text(three, form):
    shuffled = three.sample(frac=1, random_state=1)
    assert render_board(board(three), form) == render_board(board(shuffled), form)


def test_an_unknown_format_is_refused_with_a_suggestion(three):
    with pytest.raises(UsageError, match="no format is called 'latx'") as caught:
        render_board(board(three), "latx")
    assert "latex" in caught.value.remedy


# ── hostile names ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def hostile():
    """Every hostile text as judge, strategy and subset."""
    accuracies = {name: number / 40 for number, name in enumerate(HOSTILE)}
    pieces = [row for judge in HOSTILE for row in cells(judge, judge, accuracies, dataset=HOSTILE[0])]
    return board(pd.DataFrame(pieces))


@pytest.mark.parametrize("form", list(FORMATS))
def test_no_format_lets_a_control_character_through(hostile, form):
    text = render_board(
        hostile, form, title="lone \ud800 surrogate", notes=HOSTILE, provenance=Provenance(data="\x1b[1m\u202e")
    )
    assert not CONTROL.search(text)


def test_hostile_names_in_csv(hostile):
    back = list(csv.reader(io.StringIO(render_board(hostile, "csv"))))
    assert {len(row) for row in back} == {len(back[0])}
    assert len(back) == 1 + len(HOSTILE)
    for row in back:
        for text in row:
            assert not text.startswith(("=", "+", "@", "\t", "\r", "\uff1d"))
            assert not text.startswith("-") or float(text) <= 0
    assert "'=cmd|' /C calc'!A0" in [row[1] for row in back]
    assert guarded("-2+3") == "'-2+3"
    assert guarded("\t=1+1") == "'=1+1"
    assert guarded(-0.25) == -0.25


class Inline(HTMLParser):
    """What GitHub would take for HTML."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)


def test_hostile_names_in_markdown(hostile):
    text = render_board(hostile, "md", notes=HOSTILE)
    lines = [split_row(line) for line in text.splitlines() if line.startswith("|")]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines) == 2 + len(HOSTILE)
    parser = Inline()
    parser.feed(text)
    assert parser.tags == []
    assert not re.search(r"(?<!\\)`", text)
    assert not re.search(r"(?<!\\)\]\(", text)
    assert not re.search(r"https?://|www\.|\w@\w", text)


def unescaped(text):
    r"""What a Markdown renderer makes of `inert` text: entities and backslash escapes resolved."""
    return html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text))


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_markdown_shows_what_was_written(text):
    assert unescaped(inert(text)) == text


def test_hostile_names_in_latex(hostile):
    text = render_board(hostile, "latex", notes=HOSTILE)
    assert r"\input{" not in text
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert {len(re.split(r"(?<!\\)&", line)) for line in body.splitlines() if line.endswith(r"\\")} == {
        len(re.search(r"@\{\}([rl]+)@\{\}", text)[1])
    }


ALLOWED = re.compile(
    r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textquotedbl|textasciigrave"
    r"|textquotesingle|textendash|textdagger|textonehalf)\{\}|\\texttt\{U\+[0-9A-F]{4,6}\}|\$-\$|\$\\kappa\$"
    r"|\{[-\[\]]\}|\\[&%$#_{}]|[^\\&%$#_{}~^<>|\"`'\[\]-]"
)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_escaped_latex_holds_nothing_but_text_and_known_commands(text):
    result = escaped(text)
    assert ALLOWED.sub("", result) == ""
    assert all(letter <= "ÿ" for letter in result)


def test_hostile_names_in_the_terminal(hostile):
    text = seen(hostile)
    assert "[red]markup[/red]" in text
    assert not CONTROL.search(text)


def test_hostile_names_in_json(hostile):
    back = json.loads(render_board(hostile, "json"))
    assert [row["judge"] for row in back["rows"]] == [harmless(judge) for judge in hostile["judge"]]
