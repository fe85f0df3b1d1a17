"""The command line: what it takes and from where, what it prints, and with which code it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import at_home, command, ended, pair_rows, prefers, start, wait_for, write_pairs
from openai_server import Reply, error, serving_in_thread

from llmbar.files import prompts_folder

SECRET = "sk-do-not-tell-anyone-0123456789"


@pytest.fixture
def home(tmp_path, monkeypatch):
    write_pairs(tmp_path / "pairs.jsonl", pair_rows(6))
    return at_home(monkeypatch, tmp_path)


@pytest.fixture
def run(home, capsys):
    """Run `llmbar run` on six pairs, with more options."""
    return lambda *more: command(capsys, "run", "-d", "pairs.jsonl", *more)


def manifest(home):
    (file,) = home.glob("results/*/manifest.json")
    return json.loads(file.read_text())


# -- mistakes ---------------------------------------------------------------------------------------------------------

JUDGED = ("run", "-m", "baseline/first", "-d", "starter")

MISTAKES = [
    (("run",), "--model: nothing was named"),
    (("run", "-m", "baseline/first"), "--dataset: nothing was named"),
    (("run", "-m", "gpt-4o", "-d", "starter"), "no kind of judge is called 'gpt-4o'"),
    (("run", "-m", "opnai/gpt-4o", "-d", "starter"), "did you mean openai"),
    (("run", "-m", "openai", "-d", "starter"), "write openai/<model>"),
    (("run", "-m", "openai/gpt-4o", "-d", "starter"), "OPENAI_API_KEY is not set"),
    (("run", "-m", "openai-api/my-service/m", "-d", "starter"), "MY_SERVICE_BASE_URL"),
    (("run", "-m", "baseline/longest", "-d", "starter"), "did you mean longer?"),
    ((*JUDGED, "-s", "vanila"), "did you mean vanilla?"),
    ((*JUDGED, "-d", "nowhere.jsonl"), "nowhere.jsonl"),
    ((*JUDGED, "-M", "seed"), "-M: 'seed' has no value (write key=value)"),
    ((*JUDGED, "-M", "=3"), "write key=value"),
    ((*JUDGED, "-M", "a=b"), "baseline/first takes no -M a"),
    ((*JUDGED, "--base-url", "http://127.0.0.1:9/v1"), "baseline/first is no endpoint"),
    ((*JUDGED, "-m", "recorded/GPT-4", "-M", "path=."), "takes no -M path"),
    (("run", "-m", "recorded/GPT-4", "-d", "starter", "--base-url", "http://h/v1"), "recorded/GPT-4 is no endpoint"),
    (("run", "-m", "openai/gpt-4o", "-d", "starter", "--base-url", "my server"), "base-url: is not an HTTP address"),
    ((*JUDGED, "--panel", "baseline/second"), "panel: of 1 named, the strategies ask 0"),
    ((*JUDGED, "-T", "hot"), "'--temperature'"),
    ((*JUDGED, "-T", "-1"), "temperature"),
    ((*JUDGED, "--max-tokens", "0"), "max_tokens"),
    ((*JUDGED, "-n", "0"), "'--limit'"),
    ((*JUDGED, "-j", "0"), "'--concurrency'"),
    ((*JUDGED, "--repeats", "0"), "'--repeats'"),
    ((*JUDGED, "--fail-under", "80"), "'--fail-under'"),
    ((*JUDGED, "--timeout", "0"), "'--timeout'"),
    ((*JUDGED, "--concurency", "3"), "--concurency"),
    ((*JUDGED, "-m"), "-m"),
    ((*JUDGED, "-c", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
    (("rnu",), "rnu"),
    (("ls", "judges"), "models"),
    (("show",), "results: holds no run (make one with llmbar run or llmbar demo)"),
    (("show", "nowhere"), "nowhere: is no run (llmbar ls runs lists them)"),
    (("show", "a", "b"), "b"),
    (("rescore", "nowhere"), "is no run"),
    (("leaderboard",), "RUN: a leaderboard needs a run (llmbar ls runs lists them)"),
    (("leaderboard", "nowhere"), "is no run"),
    (("leaderboard", "x", "-f", "docx"), "latex"),
    (("render", "vanila"), "did you mean vanilla?"),
    (("render", "rules", "--pair", "natural-01"), "did you mean natural-0"),
    (("render",), "STRATEGY"),
    (("fetch", "llmbra"), "llmbar"),
    (("reproduce", ".", "-f", "html"), "use text or csv"),
]


@pytest.mark.parametrize(
    ("arguments", "says"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_a_mistake_is_one_line_and_leaves_no_run(home, capsys, arguments, says):
    outcome = command(capsys, *arguments)
    assert outcome.code == 2
    assert says.casefold() in outcome.complaint.casefold()
    assert outcome.out == ""
    assert not list(home.glob("results/*/"))


def test_a_mistake_in_a_strategy_is_named_with_its_line(home, run):
    folder = home / "prompts" / "mine"
    folder.mkdir(parents=True)
    (folder / "strategy.toml").write_text(
        'summary = "x"\n\n[[steps]]\nname = "v"\nper = "order"\nread = { kind = "choice" }\nsmaples = 3\n'
    )
    (folder / "v.jinja").write_text("== user ==\n{{ instruction }}")
    outcome = run("-m", "baseline/first", "-s", "mine")
    assert outcome.code == 2
    assert re.match(r".*strategy\.toml:7: .*smaples: .*did you mean samples", outcome.complaint)


def test_a_mistake_in_the_pairs_is_named_with_its_line(home, capsys):
    write_pairs(home / "bad.jsonl", [*pair_rows(2), pair_rows(1)[0] | {"id": "z", "gold": 3, "instruction": "?"}])
    outcome = command(capsys, "run", "-m", "baseline/first", "-d", "bad.jsonl")
    assert outcome.code == 2
    assert outcome.complaint.startswith("bad.jsonl:3: gold")


def test_what_the_machine_refuses_is_one_line_and_exit_1(home, capsys, run):
    assert run("-m", "baseline/first").code == 0
    (folder,) = home.glob("results/*/")
    (home / "file").write_text("")
    for arguments in (
        ("run", "-m", "baseline/first", "-d", "pairs.jsonl", "--results", "file"),
        ("leaderboard", folder, "-o", "no/such/folder/board.md"),
    ):
        outcome = command(capsys, *arguments)
        assert outcome.code == 1
        assert re.search("file|no/such/folder", outcome.complaint)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(home):
    """As much as a limit on the size of files can tell: the journal of judgments grows beyond it."""
    write_pairs(home / "pairs.jsonl", pair_rows(500))
    judging = [sys.executable, "-W", "error", "-m", "llmbar", "run", "-m", "baseline/first", "-d", "pairs.jsonl", "-q"]
    limited = ["/bin/sh", "-c", 'ulimit -f 250; exec "$@"', "sh", *judging]
    process = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert line.startswith("llmbar: ")
    assert "too large" in line.casefold()
    (journal,) = home.glob("results/*/judgments.jsonl")
    assert 250 * 512 <= journal.stat().st_size <= 250 * 1024
    again = subprocess.run(judging, capture_output=True, text=True, check=True)
    assert "n = 500" in again.stdout


def test_the_command_alone_shows_what_there_is(home, capsys):
    alone, asked = command(capsys), command(capsys, "--help")
    assert (alone.code, alone.out, alone.err) == (0, asked.out, "")
    for name in ("run", "demo", "show", "rescore", "leaderboard", "reproduce", "ls", "render", "validate", "fetch"):
        assert f"\n  {name} " in alone.out
    assert command(capsys, "--version").out.startswith("llmbar ")


def test_help_imports_neither_what_runs_need_nor_what_prints_tables(home):
    light = "import sys; from llmbar.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    for arguments in (["--help"], ["run", "--help"], ["leaderboard", "--help"]):
        process = subprocess.run([sys.executable, "-c", light, *arguments], capture_output=True, text=True, check=True)
        loaded = {name.split(".")[0] for name in process.stderr.split()}
        heavy = {
            "pandas",
            "numpy",
            "aiohttp",
            "jinja2",
            "scipy",
            "sklearn",
            "pyarrow",
            "yaml",
            "genai_prices",
        }
        assert loaded & heavy == set()


def test_a_pair_set_that_cannot_be_read_is_reported_with_the_count(home, capsys):
    outcome = command(capsys, "validate", "nowhere.csv")
    assert outcome.code == 2
    assert outcome.err.startswith("error: nowhere.csv: ")
    assert outcome.out == "0 pairs, 1 error, 0 warnings\n"
    good = command(capsys, "validate", "pairs.jsonl")
    assert (good.code, good.err) == (0, "")
    assert good.out.endswith("6 pairs, 0 errors, 0 warnings\n")


def test_recordings_that_are_not_there_are_exit_5(home, capsys):
    outcome = command(capsys, "reproduce", ".")
    assert outcome.code == 5
    assert "holds no recordings" in outcome.complaint


def test_whoever_stops_listening_is_no_error(home):
    command_line = f"{sys.executable} -W error -m llmbar ls strategies | true"
    process = subprocess.run(["/bin/sh", "-c", command_line], capture_output=True, text=True, check=True)
    assert process.stderr == ""


# -- where options come from ------------------------------------------------------------------------------------------


@pytest.fixture
def estimated(home, capsys):
    """What a dry run of six pairs makes of the options: the estimate, as JSON."""
    return lambda *more: command(capsys, "run", "--dry-run", "--json", *more).json


BASE = ("-m", "baseline/first", "-d", "pairs.jsonl")


@pytest.mark.parametrize(
    ("flag", "variable", "key", "values", "seen"),
    [
        (("-n",), "LLMBAR_LIMIT", "limit", (1, 2, 3), "judgments"),
        (("--repeats",), "LLMBAR_REPEATS", "repeats", (1, 2, 3), "judgments"),
        (("--max-tokens",), "LLMBAR_MAX_TOKENS", "max_tokens", (10, 20, 30), "completion_tokens_at_most"),
        (("--max-tokens",), "LLMBAR_MAX_TOKENS", "max-tokens", (10, 20, 30), "completion_tokens_at_most"),
        (("-s",), "LLMBAR_STRATEGY", "strategy", ("rules", "rules cot", "rules cot vanilla"), "judgments"),
        (
            ("-m",),
            "LLMBAR_MODEL",
            "model",
            ("baseline/first", "baseline/first baseline/longer", "openai/a openai/b openai/c"),
            "judgments",
        ),
    ],
)
def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(  # noqa: PLR0917
    home, estimated, monkeypatch, flag, variable, key, values, seen
):
    def typed(value):
        return [word for each in str(value).split() for word in (*flag, each)]

    base = BASE if key != "model" else BASE[2:]
    of_flag, of_variable, of_file = (estimated(*base, *typed(value))[seen] for value in values)
    assert len({of_flag, of_variable, of_file}) == 3, "the three can be told apart"
    words = str(values[2]).split()
    (home / "run.yaml").write_text(f"{key}: {json.dumps(words) if len(words) > 1 else words[0]}\n")
    assert estimated(*base, "-c", "run.yaml")[seen] == of_file
    monkeypatch.setenv(variable, str(values[1]))
    assert estimated(*base)[seen] == of_variable
    assert estimated(*base, "-c", "run.yaml")[seen] == of_variable
    assert estimated(*base, "-c", "run.yaml", *typed(values[0]))[seen] == of_flag


def test_a_dotenv_file_speaks_for_the_environment_and_what_is_set_already_wins(home, estimated, monkeypatch):
    monkeypatch.setenv("LLMBAR_LIMIT", "x")
    monkeypatch.delenv("LLMBAR_LIMIT")  # so that what is read from the file is taken back after the test
    (home / ".env").write_text("# my settings\nLLMBAR_LIMIT=2\n")
    assert estimated(*BASE)["judgments"] == 2
    monkeypatch.setenv("LLMBAR_LIMIT", "5")
    assert estimated(*BASE)["judgments"] == 5


def test_a_dotenv_file_that_is_no_text_is_one_line(home, capsys):
    (home / ".env").write_bytes(b"A=\xff\n")
    outcome = command(capsys, "ls", "runs")
    assert outcome.code == 2
    assert outcome.complaint.startswith(".env: not UTF-8")


def test_a_file_can_hold_a_whole_run(home, capsys):
    with serving_in_thread(prefers("ALPHA")) as server:
        (home / "run.yaml").write_text(
            f"""# who judges
model: openai-api/local/j
base_url: {server.base_url}
dataset: [pairs.jsonl]
strategy:
  - rules
  - vanilla
model-arg: {{top_k: 5, deep: true, word: high}}
temperature: 0.5
max_tokens:
quiet: yes
json: true
"""
        )
        outcome = command(capsys, "run", "-c", "run.yaml")
        assert outcome.json["state"] == "complete"
        assert outcome.err == ""
        assert len(server.asked) == 24
        assert {(a.body["top_k"], a.body["deep"], a.body["word"]) for a in server.asked} == {(5, True, "high")}
        assert {(a.body["temperature"], a.body["max_tokens"]) for a in server.asked} == {(0.5, 50)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("limit: 3\n# modle\nmodle: x\n", "run.yaml:3: no option is called 'modle' (did you mean model?)"),
        ("max_token: 3", "run.yaml:1: no option is called 'max_token' (did you mean max_tokens"),
        ("config: other.yaml", "run.yaml:1: no option is called 'config'"),
        ("3: x", "run.yaml:1: no option is called 3"),
        ("limit: [1, 2]", "run.yaml:1: limit: takes one value"),
        ("\nlimit: {a: 1}", "run.yaml:2: limit: takes one value"),
        ("limit: three", "'--limit'"),
        ("limit: 2.5", "'--limit'"),
        ("dry_run: perhaps", "'--dry-run'"),
        ("fail_under: 90", "'--fail-under'"),
        ("- model", "run.yaml: holds no mapping"),
        ("", "run.yaml: holds no mapping"),
        ("model: [", "run.yaml: not YAML"),
        ("model: !!python/object:os.system {}", "run.yaml: not YAML"),
        ("a: b: c", "run.yaml: not YAML"),
        ("model: \udcff", "run.yaml: not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(home, run, text, says):
    (home / "run.yaml").write_text(text, "utf-8", errors="surrogateescape")
    outcome = run("-m", "baseline/first", "-c", "run.yaml")
    assert outcome.code == 2
    assert says in outcome.complaint


# -- what is sent -----------------------------------------------------------------------------------------------------


def test_sampling_goes_over_the_wire_and_into_the_manifest(home, run):
    with serving_in_thread(prefers("ALPHA")) as server:
        of_judge = ("-m", "openai-api/local/j", "--base-url", server.base_url, "-s", "metrics+rules")
        assert run(*of_judge, "-T", "0.7", "--max-tokens", "33", "--reasoning-effort", "low", "-M", "top_k=4").code == 0
        sent = {
            (a.body["temperature"], a.body["max_tokens"], a.body["reasoning_effort"], a.body["top_k"])
            for a in server.asked
        }
        assert sent == {(0.7, 33, "low", 4)}
        (strategy,) = manifest(home)["asked"]["strategies"]
        assert {step["max_tokens"] for step in strategy["sampling"].values()} == {33}


def test_without_overrides_each_step_is_sampled_as_its_strategy_says(home, run):
    with serving_in_thread(prefers("ALPHA")) as server:
        assert run("-m", "openai-api/local/j", "--base-url", server.base_url, "-s", "metrics+rules").code == 0
        assert {(asked.body["temperature"], asked.body["max_tokens"]) for asked in server.asked} == {(0, 150), (0, 50)}
        assert not any("reasoning_effort" in asked.body for asked in server.asked)


def test_several_judges_strategies_and_pair_sets(home, capsys):
    write_pairs(home / "more.jsonl", pair_rows(3, subset="more"))
    judges = ("-m", "baseline/longer", "-m", "simulated/hasty")
    outcome = command(capsys, "run", *judges, "-s", "rules", "-s", "cot", "-d", "pairs.jsonl", "-d", "more.jsonl")
    assert outcome.code == 0
    assert [each["pairs"] for each in manifest(home)["asked"]["datasets"]] == [6, 3]
    assert outcome.out.count("Pair set pairs, n = 6") == 1
    assert outcome.out.count("Pair set more, n = 3") == 1
    (folder,) = home.glob("results/*/")
    assert len((folder / "judgments.jsonl").read_text().splitlines()) == 2 * 2 * 9
    refused = command(capsys, "leaderboard", folder)
    assert refused.code == 2
    assert "name pairs or more" in refused.complaint
    assert command(capsys, "leaderboard", folder, "-d", "more", "-f", "json").json["meta"]["dataset"] == "more"


def test_a_limit_is_one_per_subset(home, capsys):
    write_pairs(home / "two.jsonl", [*pair_rows(5, subset="x"), *pair_rows(4, subset="y")])
    assert command(capsys, "run", "-m", "baseline/first", "-d", "two.jsonl", "-n", "2").code == 0
    (file,) = home.glob("results/*/pairs.jsonl")
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == ["x-0", "x-1", "y-0", "y-1"]


# -- dry runs ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_asks_nothing_and_makes_nothing(home, run):
    with serving_in_thread(prefers("ALPHA")) as server:
        outcome = run("-m", "openai-api/local/j", "--base-url", server.base_url, "-s", "swap+rules", "--dry-run")
        assert server.asked == []
    assert outcome.code == 0
    assert outcome.err == ""
    assert "6 judgments: 12 to 24 requests" in outcome.out
    assert "no price is known" in outcome.out
    assert sorted(file.name for file in home.iterdir()) == ["pairs.jsonl"]


def test_a_dry_run_needs_no_key_and_tells_what_it_would_cost(run):
    """gpt-4o: 2.50 dollars per million prompt tokens, 10 per million completion tokens."""
    told = run("-m", "openai/gpt-4o", "--dry-run", "--json").json
    assert told["judgments"] == 6
    assert told["requests"] == [12, 12]
    assert told["completion_tokens_at_most"] == 12 * 50
    dollars = told["prompt_tokens"][1] * 2.5e-6 + 600 * 10e-6
    assert told["dollars_at_most"] == pytest.approx(dollars, abs=1e-4)
    twice = run("-m", "openai/gpt-4o", "-m", "openai/gpt-4o-mini", "--dry-run", "--json").json
    mini = told["prompt_tokens"][1] * 0.15e-6 + 600 * 0.6e-6
    assert twice["dollars_at_most"] == pytest.approx(dollars + mini, abs=2e-4)
    assert run("-m", "openai/gpt-4o", "-m", "vllm/m", "--dry-run", "--json").json["dollars_at_most"] is None
    assert re.search(r"at most about \$0\.\d\d", run("-m", "openai/gpt-4o", "--dry-run").out)


# -- results ----------------------------------------------------------------------------------------------------------


def test_a_run_prints_its_numbers_and_show_prints_them_again(home, capsys, run):
    outcome = run("-m", "simulated/hasty", "-s", "rules", "-s", "rating")
    assert outcome.code == 0
    for part in (
        "simulated/hasty",
        "baseline/longer",
        "95 % interval",
        "What the judge reacts to",
        "n = 6",
        "files: results/",
    ):
        assert part in outcome.out
    (folder,) = home.glob("results/*/")
    for named in ((), (folder.name,), (f"results/{folder.name}",)):
        assert command(capsys, "show", *named) == type(outcome)(0, outcome.out, "")
    assert command(capsys, "show", folder).out.splitlines()[:-1] == outcome.out.splitlines()[:-1]


def test_show_without_a_name_takes_the_newest(home, capsys, run):
    for judge, created in (("baseline/first", "2026-02-01"), ("baseline/second", "2026-01-01")):
        assert run("-m", judge).code == 0
        (file,) = home.glob(f"results/*{judge.replace('/', '-')}*/manifest.json")
        told = json.loads(file.read_text())
        file.write_text(json.dumps(told | {"created": created}))
    assert "baseline-first" in command(capsys, "show", "--json").json["run"]
    listed = command(capsys, "ls", "runs", "--json").json
    assert [row["judges"] for row in listed] == ["baseline/second", "baseline/first"]


def test_a_damaged_run_is_listed_as_one_and_hides_no_other(home, capsys, run):
    assert run("-m", "baseline/first").code == 0
    (home / "results" / "broken").mkdir()
    (home / "results" / "broken" / "manifest.json").write_text("{")
    listed = command(capsys, "ls", "runs", "--json").json
    assert [(row["run"].startswith("results/pairs"), row["state"]) for row in listed] == [
        (True, "complete"),
        (False, "damaged"),
    ]


@pytest.mark.parametrize(
    "judge",
    ["baseline/first", "simulated/hasty", "simulated/unreadable=1", "simulated/failed=1", "simulated/failed=0.5"],
)
@pytest.mark.parametrize("strategy", ["rules", "rating", "swap-averaging"])
def test_everything_that_is_printed_as_json_is_json(home, capsys, run, judge, strategy):
    """Whatever is undefined, such as the accuracy of a judge that never answers, is null."""
    made = run("-m", judge, "-s", strategy, "--json", "-q")
    assert made.code == (3 if "failed" in judge else 0)
    assert made.json["statistics"][0]["judge"] == judge
    shown = command(capsys, "show", "--json")
    assert shown.json == made.json
    assert command(capsys, "leaderboard", made.json["run"], "-f", "json").json["rows"]
    assert command(capsys, "show").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls", "models"),
        ("ls", "strategies"),
        ("ls", "datasets"),
        ("ls", "runs"),
        ("render", "swap+cot+rules"),
        ("render", "rating"),
    ],
)
def test_lists_and_messages_as_json_and_as_text(home, capsys, arguments):
    told = command(capsys, *arguments, "--json").json
    assert isinstance(told, list)
    text = command(capsys, *arguments)
    assert (text.code, text.err) == (0, "")
    assert text.out.strip()


def test_render_shows_the_very_messages_that_are_sent(home, capsys, run):
    with serving_in_thread(prefers("ALPHA")) as server:
        assert run("-m", "openai-api/local/j", "--base-url", server.base_url, "-n", "1").code == 0
        sent = [asked.body["messages"] for asked in server.asked]
    shown = command(capsys, "render", "rules", "-d", "pairs.jsonl", "--pair", "plain-0", "--json").json
    assert sorted(json.dumps(each["messages"]) for each in shown) == sorted(map(json.dumps, sent))


def test_an_accuracy_below_the_gate_is_exit_4(home, capsys):
    arguments = ("run", "-m", "baseline/longer", "-m", "baseline/first", "-d", "pairs.jsonl", "--fail-under")
    assert command(capsys, *arguments, "0.5").code == 0
    low = command(capsys, *arguments, "0.51", "-q")
    assert low.code == 4
    assert low.complaint == "below the gate of 0.51: baseline/first with rules on pairs: 0.5000"
    assert "baseline/longer" in low.out, "the numbers are printed all the same"


def test_an_incomplete_run_is_exit_3_whatever_the_gate(home, run):
    outcome = run("-m", "simulated/failed=0.5", "--fail-under", "1", "-q")
    assert outcome.code == 3
    assert outcome.complaint.startswith("incomplete: ")


def test_a_leaderboard_in_every_format(home, capsys, run):
    assert run("-m", "simulated/hasty").code == 0
    (folder,) = home.glob("results/*/")
    for form, part in (
        ("md", "| "),
        ("latex", r"\toprule"),
        ("csv", "rank,judge"),
        ("json", '"rows"'),
        ("html", "<table"),
        ("text", "Rank"),
    ):
        printed = command(capsys, "leaderboard", folder, "-f", form)
        assert (printed.code, printed.err) == (0, "")
        assert part in printed.out
        assert "baseline/longer" in printed.out.replace(r"\allowbreak{}", "") or form == "latex"
        assert command(capsys, "leaderboard", folder, "-f", form, "-o", f"board.{form}").out == ""
        assert (home / f"board.{form}").read_text("utf-8") == printed.out
    for ending, form in (("tex", "latex"), ("md", "md"), ("html", "html")):
        assert command(capsys, "leaderboard", folder, "-o", f"again.{ending}").out == ""
        assert (home / f"again.{ending}").read_text("utf-8") == (home / f"board.{form}").read_text("utf-8")
    refused = command(capsys, "leaderboard", folder, "-o", "board")
    assert refused.code == 2
    assert "format" in refused.complaint


def test_a_leaderboard_of_several_runs_beside_the_paper(home, capsys):
    for judge in ("simulated/hasty", "simulated/wordy"):
        assert command(capsys, "run", "-m", judge, "-d", "starter", "-n", "2", "-q").code == 0
    folders = sorted(home.glob("results/*/"))
    rows = command(capsys, "leaderboard", *folders, "--published", "--no-baselines", "-f", "json").json["rows"]
    assert sum(row["source"] == "published" for row in rows) == 65
    assert {row["judge"] for row in rows if row["source"] == "run"} == {"simulated/hasty", "simulated/wordy"}
    twice = command(capsys, "leaderboard", folders[0], folders[0])
    assert twice.code == 2
    assert "simulated/hasty with rules" in twice.complaint


def test_rescore_says_how_many_verdicts_changed(home, capsys, run):
    mine = home / "prompts" / "mine"
    mine.mkdir(parents=True)
    for file in (prompts_folder() / "rules").iterdir():
        (mine / file.name).write_text(file.read_text())
    assert run("-m", "simulated/hasty", "-s", "mine").code == 0
    (old,) = home.glob("results/*/")
    outcome = command(capsys, "rescore", old.name)
    assert outcome.code == 0
    changed, path = outcome.out.splitlines()
    assert changed == "mine: 0 final verdicts changed"
    assert (home / path / "manifest.json").is_file()
    assert home / path != old
    toml = (mine / "strategy.toml").read_text()
    (mine / "strategy.toml").write_text(
        toml.replace('kind = "choice"', 'kind = "choice", pattern = "^{label}!$", reply = "{label}!"')
    )
    assert command(capsys, "rescore", old).out.startswith("mine: 6 final verdicts changed\n")


def test_the_demonstration_needs_nothing(home, capsys):
    outcome = command(capsys, "demo", "-q")
    assert (outcome.code, outcome.err) == (0, "")
    (folder,) = home.glob("results/*/")
    assert (folder / "leaderboard.html").read_text("utf-8").startswith("<!")
    assert "simulated/careful" in (folder / "leaderboard.md").read_text("utf-8")
    assert command(capsys, "demo", "-q").out == outcome.out


# -- secrets ----------------------------------------------------------------------------------------------------------


def told_anywhere(home, *words):
    """Which of the words stand in any file below `home`."""
    files = [file for file in home.rglob("*") if file.is_file()]
    return {word for word in words for file in files if word.encode() in file.read_bytes()}


def test_a_key_is_in_no_file_no_output_and_no_list_of_processes(home):
    """Not even where the server quotes it back, in an error that is kept or in one that stops the run."""

    def quoting(body):
        if "ALPHA 1" in body["messages"][-1]["content"]:
            return error(400, f"bad request with key {SECRET}")
        return Reply(prefers("ALPHA")(body), delay=0.05)

    with serving_in_thread(quoting) as server:
        arguments = ("run", "-m", "openai/gpt-4o", "--base-url", server.base_url, "-d", "pairs.jsonl", "-j", "2")
        process = start(*arguments, folder=home, OPENAI_API_KEY=SECRET)
        wait_for(lambda: server.asked)
        if Path("/proc").is_dir():
            seen = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            assert b"openai/gpt-4o" in seen
            assert SECRET.encode() not in seen
        outcome = ended(process)
        assert server.asked[0].headers["Authorization"] == f"Bearer {SECRET}", "the key was really used"
    assert outcome.code == 3
    assert SECRET not in outcome.out + outcome.err
    assert b"[redacted]" in next(home.glob("results/*/judgments.jsonl")).read_bytes()
    assert told_anywhere(home, SECRET) == set()
    with serving_in_thread(lambda _: error(403, f"{SECRET} may not")) as server:
        arguments = ("run", "-m", "openai/gpt-4o", "--base-url", server.base_url, "-d", "pairs.jsonl")
        outcome = ended(start(*arguments, folder=home, OPENAI_API_KEY=SECRET))
    assert outcome.code == 2
    assert SECRET not in outcome.out + outcome.err
    assert told_anywhere(home, SECRET) == set()


@pytest.mark.parametrize("by_variable", [False, True])
def test_an_address_with_credentials_is_kept_without_them(home, by_variable):
    with serving_in_thread(prefers("ALPHA")) as server:
        address = server.base_url.replace("://", "://somebody:hunter2@") + "?token=hush"
        given = () if by_variable else ("--base-url", address)
        variables = {"LOCAL_BASE_URL": address} if by_variable else {}
        arguments = ("run", "-m", "openai-api/local/j", *given, "-d", "pairs.jsonl")
        outcome = ended(start(*arguments, folder=home, **variables))
        assert outcome.code == 0, outcome.err
        assert server.asked[0].headers["Authorization"].startswith("Basic "), "the credentials were really used"
        (judge,) = manifest(home)["asked"]["judges"]
        assert judge["addresses"] == [server.base_url]
    words = ("hunter2", "somebody", "hush")
    assert not [word for word in words if word in outcome.out + outcome.err]
    assert told_anywhere(home, *words) == set()


def test_the_same_judge_at_another_address_is_another_run(home, capsys):
    arguments = ("run", "-m", "openai-api/local/j", "-d", "pairs.jsonl", "-q")
    with serving_in_thread(prefers("ALPHA")) as one, serving_in_thread(prefers("BETA")) as other:
        for server in (one, other):
            os.environ["LOCAL_BASE_URL"] = server.base_url
            try:
                assert command(capsys, *arguments).code == 0
            finally:
                del os.environ["LOCAL_BASE_URL"]
        assert len(one.asked) == len(other.asked) == 12
    assert len(list(home.glob("results/*/"))) == 2
