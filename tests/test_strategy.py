"""Strategy folders: how they are found, what they may say, and how a mistake in one is told."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from asking import pair
from strategy_folders import ALONE, PLAIN, SHOWN, folder, strategy

from llmbar.engine import rehearse
from llmbar.errors import StrategyError, UsageError
from llmbar.files import prompts_folder
from llmbar.records import Sampling
from llmbar.strategy import load_strategy, strategy_names

SHIPPED = [
    *("cot", "cot+rules", "metrics", "metrics+reference+rules", "metrics+rules", "rating", "rating+metrics"),
    *("rating+metrics+reference", "rating+reference", "rating+rules", "reference", "reference+rules", "rules"),
    *("rules-1shot", "rules-2shot", "swap+cot+rules", "swap+rules", "swap-averaging", "vanilla"),
]


@pytest.fixture(autouse=True)
def _fresh():
    load_strategy.cache_clear()


def mistake(root, toml, **templates):
    """The error that loading it raises: in strategy.toml, with a line and a remedy."""
    with pytest.raises(StrategyError) as caught:
        strategy(root, toml, **templates)
    error = caught.value
    assert error.file.name == "strategy.toml"
    assert error.remedy
    assert "\n" not in str(error)
    return error


# -- finding them -----------------------------------------------------------------------------------------------------

NAMES = {
    "CoT": ("CoT*", "cot+rules"),
    "Metrics": ("Metrics*", "metrics+rules"),
    "Metrics_Reference": ("Metrics+Reference*", "metrics+reference+rules"),
    "Rating": ("Rating Vanilla*", "rating+rules"),
    "Rating_Metrics": ("Rating Metrics*", "rating+metrics"),
    "Rating_Metrics_Reference": ("Rating Metrics+Reference*", "rating+metrics+reference"),
    "Rating_NoRules": ("Rating Vanilla", "rating"),
    "Rating_Reference": ("Rating Reference*", "rating+reference"),
    "Reference": ("Reference*", "reference+rules"),
    "Swap": ("Swap*", "swap+rules"),
    "Swap_CoT": ("Swap+CoT*", "swap+cot+rules"),
    "Vanilla": ("Vanilla*", "rules"),
    "Vanilla_1shot": ("Vanilla* 1-shot", "rules-1shot"),
    "Vanilla_2shot": ("Vanilla* 2-shot", "rules-2shot"),
    "Vanilla_NoRules": (None, "vanilla"),
}
"""LLMBar's folder of recordings → the name in the paper's table, and ours."""


@pytest.mark.parametrize("recorded", NAMES)
def test_llmbars_own_names_lead_to_ours(recorded):
    printed, ours = NAMES[recorded]
    assert load_strategy(recorded).name == ours
    assert printed is None or load_strategy(printed).name == ours


def test_every_recorded_strategy_has_a_name_here(shared):
    folders = (shared / "data/llmbar/Dataset/LLMBar").glob("**/evaluators/*/*")
    assert {path.name for path in folders if path.is_dir()} <= NAMES.keys()


def test_no_alias_is_used_twice_or_is_a_name():
    aliases = [alias for name in strategy_names() for alias in load_strategy(name).aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(strategy_names())


def test_all_that_ships_is_listed_and_loads():
    folders = sorted(file.parent.name for file in prompts_folder().glob("*/strategy.toml"))
    assert [name for name in folders if name in SHIPPED] == SHIPPED
    assert [load_strategy(name).name for name in strategy_names()] == folders


def test_a_folder_is_found_by_its_path_however_it_is_written(tmp_path, monkeypatch):
    path = folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in (str(path), "mine", "./mine", "mine/", f"{path}/strategy.toml", "../" + tmp_path.name + "/mine"):
        assert load_strategy(name).name == "mine"
    monkeypatch.chdir(path)
    assert load_strategy(".").name == "mine"


def test_own_strategies_lie_in_prompts_and_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "prompts", PLAIN.replace("\n\n", '\naliases = ["My own"]\n\n', 1))
    folder(tmp_path / "prompts", PLAIN, name="rules")
    assert load_strategy("mine").name == load_strategy("My own").name == "mine"
    assert load_strategy("rules").file.summary == "for a test"
    assert load_strategy("Vanilla_NoRules").name == "vanilla"
    assert {*SHIPPED, "mine"} <= set(strategy_names())


def test_a_copy_that_keeps_its_alias_takes_nobodys_place(tmp_path, monkeypatch):
    """Whoever copies a folder to change it copies the aliases, too: they no longer name one strategy."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(prompts_folder() / "rules", tmp_path / "prompts" / "mine")
    with pytest.raises(StrategyError, match=r"several strategies are also called 'Vanilla': mine, rules \("):
        load_strategy("Vanilla")
    assert load_strategy("rules").name == "rules"


@pytest.mark.parametrize("name", ["ruels", "", "no/such/folder", "a\0b"])
def test_a_name_that_is_none_is_answered_with_a_suggestion(name):
    with pytest.raises(StrategyError, match="no strategy is called") as caught:
        load_strategy(name)
    assert caught.value.remedy.startswith("did you mean rules" if name == "ruels" else ("known: cot", "did you mean"))


def test_a_folder_that_holds_no_strategy_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd" / "strategy.toml").mkdir(parents=True)
    for name in ("empty", "odd"):
        with pytest.raises(StrategyError, match=r"holds no file strategy\.toml"):
            load_strategy(str(tmp_path / name))


# -- what they say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_says_what_it_is_and_whom_it_follows(name):
    file = load_strategy(name).file
    assert file.summary
    assert not file.summary.endswith(".")
    assert file.cite
    assert file.orders == ("free" if name.startswith("rating") else "averaged" if "averag" in name else "separate")
    assert all(step.sampling.temperature == 0 for step in file.steps)


TOKENS = {"metrics": 150, "reference": 384, "verdict": 50, "score": 50, "explain": 300}


@pytest.mark.parametrize("name", SHIPPED)
def test_token_limits_are_those_of_the_paper(name):
    """Reference: 50 for a verdict, 300 where it is explained, 150 for metrics, 384 for a reference."""
    for step in load_strategy(name).steps:
        explained = "cot" in name and step.name in {"verdict", "resolve"}
        wanted = 300 if explained else TOKENS.get(step.name, 50)
        assert step.file.sampling.max_tokens == wanted


def test_a_digest_follows_every_file_that_was_used_and_no_other(tmp_path):
    made = {"verdict": SHOWN + "{% include 'inner.jinja' %}", "inner": "x", "unused": "y"}
    digest = strategy(tmp_path, **made).digest
    assert strategy(tmp_path, **{**made, "unused": "z"}).digest == digest
    changed = {
        digest,
        strategy(tmp_path, **{**made, "inner": "z"}).digest,
        strategy(tmp_path, **{**made, "verdict": made["verdict"] + "!"}).digest,
        strategy(tmp_path, PLAIN.replace("for a", "for another"), **made).digest,
    }
    assert len(changed) == 4
    assert strategy(tmp_path, **made).digest == digest
    assert strategy(tmp_path / "elsewhere", **made).digest == digest


def test_sources_are_all_that_a_strategy_was_made_of():
    sources = load_strategy("metrics+rules").sources
    assert set(sources) == {
        *("strategy.toml", "verdict.jinja"),
        *(f"_shared/{name}.jinja" for name in ("judge", "task", "rules", "rules_1_2", "pair", "metrics")),
        *(f"_shared/{name}.jinja" for name in ("about_metrics", "answer_label")),
    }
    assert sources["_shared/pair.jinja"] == (prompts_folder() / "_shared/pair.jinja").read_text()


def test_sampling_may_be_set_otherwise_in_every_step():
    made = load_strategy("metrics+rules")
    warm = made.sampled({"temperature": 1.0, "max_tokens": None})
    assert [step.file.sampling for step in warm.steps] == [Sampling(temperature=1.0)] * 2
    assert made.sampled({}) is made
    assert warm.digest == made.digest
    for wrong in ({"temperature": -1}, {"tempreature": 1}):
        with pytest.raises(UsageError) as caught:
            made.sampled(wrong)
        assert caught.value.field in wrong


def test_what_decides_is_what_is_declared_else_all_that_can(tmp_path):
    assert [step.name for step in load_strategy("swap+rules").deciding] == ["explain", "resolve"]
    assert [step.name for step in load_strategy("metrics+rules").deciding] == ["verdict"]
    toml = PLAIN + '[[steps]]\nname = "again"\nper = "order"\nread = { kind = "choice" }\n'
    for declared, names in (('"verdict"', ["verdict"]), ('["again", "verdict"]', ["verdict", "again"])):
        declaring = toml.replace("\n\n", f"\ndecided_by = {declared}\n\n", 1)
        assert [step.name for step in strategy(tmp_path, declaring, again=SHOWN).deciding] == names


# -- mistakes: keys and values ----------------------------------------------------------------------------------------

HEAD = 'summary = "for a test"\n'
STEP = '\n[[steps]]\nname = "verdict"\nper = "order"\nread = { kind = "choice" }\n'
EARLIER = (
    '\n[[steps]]\nname = "notes"\nper = "pair"\nread = { kind = "text" }\nsampling = { max_tokens = 5, top_p = 1 }\n'
)


@pytest.mark.parametrize(
    ("toml", "line", "field", "told"),
    [
        (HEAD + "sumary = 1\n" + STEP, 2, "sumary", "unknown key (did you mean summary?)"),
        (HEAD + EARLIER + STEP + "sample = 3\n", 13, "verdict.sample", "unknown key (did you mean samples"),
        (
            HEAD + EARLIER + STEP.replace('"choice" ', '"choice", patern = "x" '),
            12,
            "verdict.read.patern",
            "unknown key (did you mean pattern?)",
        ),
        (
            HEAD + EARLIER + STEP + "sampling = { max_tokens = 5, topp = 1 }\n",
            13,
            "verdict.sampling.topp",
            "unknown key (did you mean top_p",
        ),
        (HEAD + STEP + EARLIER.replace("top_p", "topp"), 12, "notes.sampling.topp", "unknown key"),
        (HEAD + STEP + "[steps.sampling]\nmax_tokens = 5\nseeed = 1\n", 9, "verdict.sampling.seeed", "mean seed?"),
        (HEAD + EARLIER + STEP + "sampling.topp = 1\n", 13, "verdict.sampling.topp", "mean top_p"),
        (STEP, 1, "summary", "is missing (add summary = …)"),
        (HEAD, 1, "steps", "is missing"),
        (HEAD + "steps = []\n", 2, "steps", "at least 1 item"),
        (HEAD + "steps = 3\n", 2, "steps", "valid tuple"),
        (HEAD + "steps = [3]\n", 2, "steps.0", "valid dictionary"),
        (
            HEAD + EARLIER + '\n[[steps]]\nname = "verdict"\nread = { kind = "choice" }\n',
            9,
            "verdict.per",
            "is missing",
        ),
        (HEAD + EARLIER + '\n[[steps]]\nper = "order"\n', 9, "steps.1.name", "is missing"),
        (HEAD + EARLIER + '\n[[steps]]\nname = "verdict"\nper = "order"\n', 9, "verdict.read", "is missing"),
        (HEAD + EARLIER + STEP.replace('"order"', '"orders"'), 11, "verdict.per", "'pair', 'output' or 'order'"),
        (HEAD + EARLIER + STEP + "samples = 0\n", 13, "verdict.samples", "greater than or equal to 1 (not 0)"),
        (HEAD + EARLIER + STEP + 'samples = "many"\n', 13, "verdict.samples", "valid integer"),
        (HEAD + STEP + "over = 3\n", 7, "verdict.over", "valid string (not 3)"),
        (HEAD + STEP + "by = -1\n", 7, "verdict.by", "greater than or equal to 0"),
        (HEAD + STEP + "sampling = { temperature = -1 }\n", 7, "verdict.sampling.temperature", "equal to 0 (not -1)"),
        (HEAD + EARLIER + STEP.replace("choice", "choise"), 12, "verdict.read.kind", "'choise' (did you mean choice?)"),
        (HEAD + EARLIER + STEP.replace('kind = "choice" ', ""), 12, "verdict.read", "names no kind (known: choice"),
        (HEAD + EARLIER + STEP.replace('{ kind = "choice" }', '"choice"'), 12, "verdict.read", ""),
        (
            HEAD + EARLIER + STEP.replace('"choice" ', '"choice", pattern = "({label}" '),
            12,
            "verdict.read.pattern",
            "not a regular expression: missing ), unterminated subpattern",
        ),
        (
            HEAD + EARLIER + STEP.replace('"choice" ', '"choice", pattern = "x" '),
            12,
            "verdict.read.pattern",
            "must hold {label}",
        ),
        (HEAD + EARLIER + STEP.replace('"choice"', '"score", min = 3, max = 2'), 12, "verdict.read", "below max"),
        (HEAD + 'labels = ["A"]\n' + STEP, 2, "labels.1", "is missing"),
        (HEAD + 'labels = ["A", "A"]\n' + STEP, 2, "labels", "two labels cannot be the same"),
        (HEAD + 'labels = ["A", ""]\n' + STEP, 2, "labels", "a label cannot be empty"),
        (HEAD + 'orders = "both"\n' + STEP, 2, "orders", "'separate', 'averaged' or 'free'"),
        (HEAD + "aliases = [3]\n" + STEP, 2, "aliases.0", "valid string (not 3)"),
        (HEAD + "decided_by = 3\n" + STEP, 2, "decided_by", "valid string (not 3)"),
        (HEAD + EARLIER + STEP.replace('"verdict"', '"Verdict"'), 10, "Verdict.name", "should match pattern"),
        (
            HEAD + 'steps = [\n  { name = "verdict", per = "order", read = { kind = "choice" }, sample = 3 }\n]\n',
            3,
            "verdict.sample",
            "unknown key",
        ),
    ],
)
def test_a_wrong_key_or_value_is_told_with_its_line(tmp_path, toml, line, field, told):
    error = mistake(tmp_path, toml, notes=SHOWN)
    assert (error.line, error.field) == (line, field)
    assert told in f"{error.message} ({error.remedy})"


@pytest.mark.parametrize(
    ("toml", "line"),
    [("summary = ", 1), ('summary = "x"\n\n[[steps]\n', 3), ('summary = "x"\nsummary = "y"\n', 2), ('x = """', 1)],
)
def test_what_is_not_toml_is_told_with_its_line(tmp_path, toml, line):
    with pytest.raises(StrategyError, match="not TOML") as caught:
        strategy(tmp_path, toml)
    assert caught.value.line == line


def test_what_is_not_utf_8_is_told(tmp_path):
    (folder(tmp_path) / "strategy.toml").write_bytes('summary = "Über"'.encode("latin-1"))
    with pytest.raises(StrategyError, match=r"strategy\.toml: not UTF-8 at byte 11"):
        load_strategy(str(tmp_path / "mine"))


# -- mistakes: steps that do not fit ----------------------------------------------------------------------------------

ITEMS = '\n[[steps]]\nname = "list"\nper = "pair"\nread = { kind = "items" }\n'
SCORE = '\n[[steps]]\nname = "score"\nper = "output"\nread = { kind = "score" }\n'
FREE = HEAD + 'orders = "free"\n'


@pytest.mark.parametrize(
    ("toml", "line", "field", "told"),
    [
        (HEAD + STEP + STEP, 9, "verdict.name", "two steps are called 'verdict'"),
        (HEAD + EARLIER.replace("notes", "first") + STEP, 4, "first.name", "means something else"),
        (HEAD + STEP + 'over = "list"\n', 7, "verdict.over", "no earlier step 'list' lists items"),
        (HEAD + STEP + 'over = "list"\n' + ITEMS, 7, "verdict.over", "no earlier step 'list'"),
        (HEAD + STEP + 'over = "verdict"\n', 7, "verdict.over", "no earlier step 'verdict'"),
        (HEAD + EARLIER + STEP + 'over = "notes"\n', 13, "verdict.over", "no earlier step 'notes'"),
        (HEAD + ITEMS.replace("pair", "output") + STEP + 'over = "list"\n', 12, "verdict.over", "no earlier step"),
        (HEAD + ITEMS + "samples = 2\n" + STEP + 'over = "list"\n', 13, "verdict.over", "no earlier step"),
        (HEAD + STEP + "in_turn = true\n", 7, "verdict.in_turn", "nobody to take turns"),
        (
            HEAD + EARLIER + STEP + 'if_orders_disagree_on = "notes"\n',
            13,
            "verdict.if_orders_disagree_on",
            "no earlier step 'notes' has a verdict per order",
        ),
        (HEAD + STEP + 'if_orders_disagree_on = "verdct"\n', 7, "verdict.if_orders_disagree_on", "'verdct'"),
        (HEAD + SCORE + STEP + 'if_orders_disagree_on = "score"\n', 12, "verdict.if_orders_disagree_on", "'score'"),
        (HEAD + EARLIER, 3, "notes", "no step states a preference"),
        (HEAD + 'decided_by = "notes"\n' + EARLIER + STEP, 2, "decided_by", "'notes' is no step with a preference"),
        (HEAD + 'decided_by = ["verdict", "x"]\n' + STEP, 2, "decided_by", "'x' is no step with a preference"),
        (HEAD + STEP.replace("order", "pair"), 5, "verdict.per", "cannot be asked per pair"),
        (FREE + STEP, 2, "orders", "cannot be decided per order"),
        (HEAD + SCORE, 1, "orders", 'write orders = "free"'),
        (HEAD + 'orders = "averaged"\n' + SCORE, 2, "orders", "the order plays no part"),
        (HEAD + STEP.replace("choice", "score"), 6, "verdict.read", "put {label} into the pattern"),
        (
            FREE + SCORE.replace('"score" }', '"score", pattern = "{label}: (\\\\d+)" }'),
            7,
            "score.read",
            "take {label} out of the pattern",
        ),
        (HEAD + STEP.replace("choice", "reward"), 6, "verdict.read", "a reward is of one output"),
        (FREE + SCORE.replace('"score" }', '"choice" }'), 7, "score.read", "add labels such as"),
        (FREE + SCORE.replace('"score" }', '"logprob" }'), 7, "score.read", "add labels such as"),
    ],
)
def test_steps_that_do_not_fit_are_told_with_their_line(tmp_path, toml, line, field, told):
    error = mistake(tmp_path, toml, notes=SHOWN, list=SHOWN, score=ALONE)
    assert (error.line, error.field) == (line, field)
    assert told in f"{error.message} ({error.remedy})"


@pytest.mark.parametrize(
    "read",
    [
        '{ kind = "choice", pattern = "{label} wins" }',
        '{ kind = "choice", pattern = "{label}$", reply = "{label}." }',
        '{ kind = "choice", tie = "Output (a)" }',
        '{ kind = "scale", levels = { good = 2, fine = 1 } }',
        '{ kind = "scale", levels = { "A>B" = 1, "B>A" = -1 }, reply = "{level}" }',
        '{ kind = "score", pattern = "{label}: (\\\\d+)" }',
    ],
)
def test_a_reader_that_does_not_read_its_own_example_is_told(tmp_path, read):
    toml = HEAD + EARLIER + STEP.replace('{ kind = "choice" }', read)
    error = mistake(tmp_path, toml, notes=SHOWN)
    assert (error.line, error.field) == (12, "verdict.read")
    assert "does not read the example reply" in error.message


def test_a_list_that_does_not_read_its_own_example_is_told(tmp_path):
    error = mistake(tmp_path, HEAD + ITEMS.replace('"items" }', '"items", pattern = "<(.*)>" }') + STEP, list=SHOWN)
    assert (error.line, error.field) == (6, "list.read")


@pytest.mark.parametrize(
    "read",
    [
        '{ kind = "choice", labels = ["yes", "no"] }',
        '{ kind = "logprob", labels = ["yes", "no"] }',
        '{ kind = "scale", levels = { good = 2, fair = 1, poor = 0 }, pattern = "{level}", reply = "{level}" }',
        '{ kind = "score", pattern = "Score: (.*)", reply = "Score: {score}" }',
        '{ kind = "reward" }',
    ],
)
def test_what_fits_one_output_loads(tmp_path, read):
    toml = FREE + SCORE.replace('{ kind = "score" }', read)
    assert strategy(tmp_path, toml, score=ALONE).deciding[0].name == "score"


# -- what ships, as it is sent ----------------------------------------------------------------------------------------

PAIRS = [pair("Name a colour.", "Red.", "It is a fine day."), pair("Say nothing.", "…", "Nothing!", id="p1")]
COMPARISONS = [name for name in SHIPPED if not name.startswith("rating")]
RATINGS = [name for name in SHIPPED if name.startswith("rating")]
RULES = ("1. What counts first", "2. An output that contains more", "3. Stay objective")


def requests(name, of=PAIRS[0]):
    """(step, order or output) → messages, with every step asked."""
    return {
        (request.about.step, request.about.order or request.about.output): request.messages
        for request in asyncio.run(rehearse(of, load_strategy(name)))
    }


def text(messages):
    return "\n".join(f"[{turn.role}]\n{turn.content}" for turn in messages)


def deciding(name, of=PAIRS[0]):
    names = {step.name for step in load_strategy(name).deciding}
    return {place: text(messages) for place, messages in requests(name, of).items() if place[0] in names}


@pytest.mark.parametrize("name", SHIPPED)
def test_what_never_changes_stands_first(name):
    """So that a server's prefix cache serves it: prompts for two pairs are the same up to the instruction."""
    ours, theirs = deciding(name, PAIRS[0]), deciding(name, PAIRS[1])
    for place, mine in ours.items():
        before, _, after = mine.rpartition("# Instruction:\n")
        assert theirs[place].startswith(before + "# Instruction:\n")
        assert after.startswith("Name a colour.\n")
        assert before.startswith("[system]\nYou are an impartial judge")


@pytest.mark.parametrize("name", COMPARISONS)
def test_swapping_exchanges_exactly_the_outputs(name):
    prompts, shown = deciding(name), {"Red.": "It is a fine day.", "It is a fine day.": "Red."}
    pair_as_shown = "Name a colour.\n\n# Output (a):\nRed.\n\n# Output (b):\nIt is a fine day.\n\n"
    for step in {step for step, _ in prompts}:
        original = prompts[step, "original"]
        assert original.rpartition("# Instruction:\n")[2].startswith(pair_as_shown)
        assert "\n".join(shown.get(line, line) for line in original.split("\n")) == prompts[step, "swapped"]


@pytest.mark.parametrize("name", RATINGS)
def test_a_rating_never_sees_the_other_output_or_a_label(name):
    for (_, output), prompt in deciding(name).items():
        own, other = ("Red.", "It is a fine day.")[:: 1 if output == 1 else -1]
        assert prompt.count(own) == 1
        assert other not in prompt
        assert "Output (" not in prompt
        assert "whole number from 0 (worst) to 9 (best)" in prompt
    one, two = (deciding(name)["score", output] for output in (1, 2))
    assert one.replace("Red.", "It is a fine day.") == two


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_written_once_per_pair_never_sees_the_outputs(name):
    for (step, place), messages in requests(name).items():
        if place is None:
            assert step in {"metrics", "reference"}
            assert "Name a colour." in text(messages)
            assert not any(output in text(messages) for output in ("Red.", "It is a fine day.", "Output ("))


@pytest.mark.parametrize("name", SHIPPED)
def test_rules_stand_where_the_name_says_so(name):
    ruled = "rules" in name or "averag" in name or name.startswith("rating+")
    for prompt in deciding(name).values():
        assert [rule in prompt for rule in RULES] == [ruled] * 3


@pytest.mark.parametrize("name", [name for name in SHIPPED if "metrics" in name])
def test_metrics_know_the_first_two_rules_but_not_the_third(name):
    prompt = text(requests(name)["metrics", None])
    assert [rule in prompt for rule in RULES] == ([False] * 3 if name == "metrics" else [True, True, False])
    assert "at most three" in prompt
    assert "most important first" in prompt


@pytest.mark.parametrize("name", SHIPPED)
def test_what_was_written_before_is_shown_where_the_name_says_so(name):
    for prompt in deciding(name).values():
        for step in ("metrics", "reference"):
            assert (f"[what {step} said]" in prompt) == (step in name)


def test_a_reference_is_asked_for_as_any_user_would():
    system, user = requests("reference+rules")["reference", None]
    assert "concise" in system.content
    assert (user.role, user.content) == ("user", "Name a colour.")


@pytest.mark.parametrize(("name", "answers"), [("rules-1shot", "b"), ("rules-2shot", "ba")])
def test_solved_examples_come_before_the_pair(name, answers):
    for order in ("original", "swapped"):
        messages = requests(name)["verdict", order]
        assert [turn.role for turn in messages] == ["system", *["user", "assistant"] * len(answers), "user"]
        assert [turn.content for turn in messages if turn.role == "assistant"] == [f"Output ({it})" for it in answers]
        users = [turn.content for turn in messages if turn.role == "user"]
        assert ["Red." in user for user in users] == [False] * len(answers) + [True]
        assert all(user.count("# Output (a):\n") == user.count("# Which is better") == 1 for user in users)


@pytest.mark.parametrize("name", ["swap+rules", "swap+cot+rules"])
def test_the_advocate_of_the_first_shown_output_speaks_first(name):
    """The understudy prefers what is shown first: here the own review does, and the other order's, with its labels
    exchanged, prefers the second.
    """
    for order in ("original", "swapped"):
        prompt = text(requests(name)["resolve", order])
        first = prompt.index("The first reviewer prefers Output (a):\nTherefore, Output (a) is better.")
        assert first < prompt.index("The second reviewer prefers Output (b):\nTherefore, Output (b) is better.")
        assert prompt.endswith("No other word." if name == "swap+rules" else 'Therefore, Output (b) is better."')


@pytest.mark.parametrize("name", ["cot", "cot+rules", "swap+rules", "swap+cot+rules"])
def test_an_explanation_is_demanded_before_the_verdict(name):
    step = "explain" if name.startswith("swap") else "verdict"
    prompt = text(requests(name)[step, "original"])
    assert prompt.index("First explain") < prompt.index('"Therefore, Output (a) is better."')
    assert "Reply with the label alone" not in prompt
