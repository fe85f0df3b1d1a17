"""The whole way over real HTTP: a server that speaks the OpenAI protocol answers as GPT-4 was recorded.

The server knows which pair, order and step it is asked for from the messages alone.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from openai_server import serving_in_thread

from llmbar.files import prompts_folder
from llmbar.judges import JudgeOptions
from llmbar.runs import arun, plan

SETS = {"Natural": "Natural", **{name: f"Adversarial/{name}" for name in ("Neighbor", "GPTInst", "GPTOut", "Manual")}}
RECORDED = {"rules": "Vanilla", "metrics+reference+rules": "Metrics_Reference", "swap+cot+rules": "Swap_CoT"}
ORDER_KEYS = ("swap = False", "swap = True")


def recorded(shared, strategy):
    """Subset → the records of GPT-4 with one of LLMBar's strategies."""
    root = shared / "data/llmbar/Dataset/LLMBar"
    return {
        subset: json.loads((root / path / "evaluators/GPT-4" / strategy / "result.json").read_text())
        for subset, path in SETS.items()
    }


def shown(record, *, swapped):
    outputs = [record["output_1"], record["output_2"]]
    first, second = outputs[::-1] if swapped else outputs
    return f"# Instruction:\n{record['input']}\n\n# Output (a):\n{first}\n\n# Output (b):\n{second}"


class RecordedGpt4:
    """Answers from the recordings, told apart by what stands in the messages."""

    def __init__(self, shared):
        self.replies, self.texts = {}, {}
        for strategy in RECORDED.values():
            for records in recorded(shared, strategy).values():
                for record in records:
                    self.learn(strategy, record)

    def learn(self, strategy, record):
        *texts, _ = [entry for entry in record["results"] if isinstance(entry, list)] + [None]
        for kind, text in zip(("metrics", "reference"), texts, strict=False):
            self.texts[kind, record["input"]] = text[0]
        stages = [entry for entry in record["results"] if isinstance(entry, dict)]
        for number, stage in enumerate(stages):
            for swapped, key in enumerate(ORDER_KEYS):
                place = strategy, number, shown(record, swapped=bool(swapped))
                self.replies[place] = stage[key]["completion"][0]

    def __call__(self, body):
        system, user = (message["content"] for message in body["messages"])
        if "one a line" in user and "# Output (a)" not in user:
            instruction = user.split("# Instruction:\n", 1)[1].rsplit("\n\n# Questions:\n", 1)[0]
            return self.texts["metrics", instruction]
        if "concisely" in system:
            return self.texts["reference", user]
        pair, after = self.split(user)
        if "# Questions that matter" in after:
            return self.replies["Metrics_Reference", 0, pair]
        if "Therefore," in after:
            return self.replies["Swap_CoT", int("# Two reviews" in after), pair]
        return self.replies["Vanilla", 0, pair]

    def split(self, user):
        """The pair as it was shown, and what stands after it."""
        start = user.index("# Instruction:\n")
        heads = ("\n\n# Questions that matter", "\n\n# Two reviews of", "\n\n# Which is better")
        end = next(at for at in (user.rfind(head) for head in heads) if at > 0)
        return user[start:end], user[end:]


@pytest.fixture(scope="module")
def upstream_swap(tmp_path_factory):
    """Our swap+cot+rules read as upstream does: of several statements the first counts."""
    folder = tmp_path_factory.mktemp("strategies") / "swap-cot-first"
    shutil.copytree(prompts_folder() / "swap+cot+rules", folder)
    toml = folder / "strategy.toml"
    toml.write_text(toml.read_text().replace('kind = "choice"', 'kind = "choice", take = "first"'))
    return folder


@pytest.fixture(scope="module")
def judged(shared, upstream_swap, tmp_path_factory):
    """Strategy → (subset, index, order) → verdict, and the requests that the server saw."""
    import asyncio

    results = tmp_path_factory.mktemp("results")
    with serving_in_thread(RecordedGpt4(shared)) as server:
        planned = plan(
            shared / "data/llmbar/Dataset",
            judge="openai-api/local/gpt-4",
            strategies=[*RECORDED, str(upstream_swap)],
            options=JudgeOptions(base_urls=(server.base_url,), concurrency=32),
            results=results,
        )
        run = asyncio.run(arun(planned))
        asked = len(server.asked)
        again = asyncio.run(arun(planned))
        assert len(server.asked) == asked, "a finished run asks nothing"
        assert again.path == run.path
    assert run.complete
    verdicts = {}
    for row in run.judgments().itertuples():
        subset, index = row.pair.split("/")
        places = ((subset, int(index), "original"), row.original), ((subset, int(index), "swapped"), row.swapped)
        verdicts.setdefault(row.strategy, {}).update(dict(places))
    return verdicts, asked, run


def winners(shared, strategy):
    """Every recorded verdict of GPT-4, in the output frame."""
    return {
        (subset, index, order): record["results"][-1][key]["winner"]
        for subset, records in recorded(shared, strategy).items()
        for index, record in enumerate(records)
        for order, key in zip(("original", "swapped"), ORDER_KEYS, strict=True)
    }


@pytest.mark.parametrize("strategy", ["rules", "metrics+reference+rules", "swap-cot-first"])
def test_exactly_the_recorded_verdicts_come_back(judged, shared, strategy):
    wanted = winners(shared, RECORDED.get(strategy, "Swap_CoT"))
    assert len(wanted) == 838
    assert judged[0][strategy] == wanted


def test_reading_the_last_statement_changes_one_verdict_in_which_both_outputs_are_called_better(judged, shared):
    ours, theirs = judged[0]["swap+cot+rules"], winners(shared, "Swap_CoT")
    (place,) = [place for place in theirs if ours[place] != theirs[place]]
    subset, index, _ = place
    text = recorded(shared, "Swap_CoT")[subset][index]["results"][-1]["swap = True"]["completion"][0]
    assert "Output (a) is better because" in text
    assert text.endswith("Therefore, Output (b) is better.")


def test_what_strategies_share_was_asked_once(judged, shared):
    """Verdicts: 3 × 838 and two per conflict; questions and references: once per distinct instruction."""
    _, asked, run = judged
    instructions = {record["input"] for records in recorded(shared, "Vanilla").values() for record in records}
    swaps = [record for records in recorded(shared, "Swap_CoT").values() for record in records]
    conflicts = sum(len(record["results"]) == 2 for record in swaps)
    assert asked == 3 * 838 + 2 * conflicts + 2 * len(instructions)
    assert run.folder.manifest.counts.asked == asked


def test_the_papers_averages_come_out_of_the_run(judged, shared):
    summary = judged[2].summary().set_index(["strategy", "subset"])
    lines = (shared / "oracles" / "paper_table.csv").read_text().splitlines()
    head = lines[0].split(",")
    paper = {tuple(line.split(",")[:2]): dict(zip(head, line.split(","), strict=True)) for line in lines[1:]}
    for ours, theirs in {"rules": "Vanilla", "metrics+reference+rules": "Metrics_Reference"}.items():
        row = paper["GPT-4", theirs]
        assert summary.loc[(ours, "Average"), "accuracy"] * 100 == pytest.approx(float(row["Average_Acc"]), abs=1e-6)
        assert summary.loc[(ours, "Average"), "agreement"] * 100 == pytest.approx(float(row["Average_Agr"]), abs=1e-6)


def test_a_run_says_exactly_what_was_asked(judged):
    run = judged[2]
    manifest = json.loads((run.path / "manifest.json").read_text())
    strategies = {each["name"]: each for each in manifest["asked"]["strategies"]}
    assert strategies["rules"]["sampling"]["verdict"]["temperature"] == 0
    assert "verdict.jinja" in strategies["rules"]["sources"]
    assert [each["pairs"] for each in manifest["asked"]["datasets"]] == [419]
    assert {path.name for path in Path(run.path).iterdir()} == {
        "manifest.json",
        "pairs.jsonl",
        "judgments.jsonl",
        "judgments.parquet",
        "summary.json",
    }
