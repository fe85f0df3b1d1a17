"""Pair sets: LLMBar's own files, foreign formats, and everything that can be wrong with a file."""

from __future__ import annotations

import csv
import json
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from llmbar.errors import PairError, UsageError
from llmbar.pairs import NAMES, cluster, find_problems, length_confound, load_pairs
from llmbar.pairs.official import SETS

SIZES = {
    "Natural": 100,
    "Neighbor": 134,
    "GPTInst": 92,
    "GPTOut": 47,
    "Manual": 46,
    "Constraint": 89,
    "Negation": 59,
    "Normal": 59,
    "Base_9": 54,
    "Base_10": 54,
    "FairEval": 66,
    "LLMEval^2": 200,
    "MT-Bench": 200,
}
LLMBAR = ["Natural", "Neighbor", "GPTInst", "GPTOut", "Manual"]


def record(number: int = 1, **changes: object) -> dict[str, object]:
    own = {"input": f"Question {number}?", "output_1": f"Good {number}", "output_2": f"Bad answer {number}", "label": 1}
    return {key: value for key, value in {**own, **changes}.items() if value is not ...}


def write(path: Path, records: list) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one) for one in records]
    path.write_text("\n".join(lines) + "\n" if path.suffix == ".jsonl" else "[\n" + ",\n".join(lines) + "\n]\n")
    return path


@pytest.fixture
def dataset(shared: Path) -> Path:
    return shared / "data" / "llmbar" / "Dataset"


@pytest.fixture
def installed(shared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMBAR_DATA", str(shared / "data" / "llmbar"))
    monkeypatch.setenv("LLMBAR_CACHE", str(tmp_path / "cache"))


# --- LLMBar's own layout


@pytest.mark.parametrize("path", SETS)
def test_every_official_file_loads_whole_and_in_order(dataset: Path, path: str):
    raw = json.loads((dataset.parent / path).read_text(encoding="utf-8"))
    pairs = load_pairs(dataset.parent / path)
    name = Path(path).parent.name
    assert len(pairs) == SIZES[name]
    told = [(p.id, p.subset, p.instruction, p.output_1, p.output_2, p.gold) for p in pairs]
    expected = [(r["input"], r["output_1"], r["output_2"], r["label"]) for r in raw]
    assert told == [(f"{name}/{index}", name, *values) for index, values in enumerate(expected)]


@pytest.mark.parametrize("under", ["..", ".", "LLMBar"])
def test_a_folder_in_the_layout_gives_the_five_sets(dataset: Path, under: str):
    pairs = load_pairs(dataset / under)
    assert list(dict.fromkeys(pair.subset for pair in pairs)) == LLMBAR
    assert {pair.dataset for pair in pairs} == {"llmbar"}
    assert {(pair.subset, pair.group) for pair in pairs} == {
        (name, "" if name == "Natural" else "Adversarial") for name in LLMBAR
    }


@pytest.mark.parametrize(
    ("under", "dataset_name", "group", "size"),
    [
        ("LLMBar/Adversarial", "llmbar", "Adversarial", 319),
        ("LLMBar/Adversarial/GPTOut", "llmbar", "Adversarial", 47),
        ("LLMBar/Natural", "llmbar", "", 100),
        ("CaseStudy", "casestudy", "CaseStudy", 315),
        ("Processed/LLMEval^2/dataset.json", "processed", "Processed", 200),
    ],
)
def test_parts_of_the_layout_are_named_alike(dataset: Path, under: str, dataset_name: str, group: str, size: int):
    pairs = load_pairs(dataset / under)
    assert len(pairs) == size
    assert {(pair.dataset, pair.group) for pair in pairs} == {(dataset_name, group)}


def test_the_file_is_named_after_its_folder_even_from_within(dataset: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(dataset / "LLMBar" / "Adversarial" / "Manual")
    assert load_pairs("dataset.json")[0].id == "Manual/0"


def test_folders_of_any_name_are_read_alike(tmp_path: Path):
    write(tmp_path / "mine" / "Easy" / "dataset.json", [record(1)])
    write(tmp_path / "mine" / "Hard" / "Sums" / "dataset.json", [record(2)])
    write(tmp_path / "mine" / "Hard" / "Words" / "dataset.json", [record(3)])
    pairs = load_pairs(tmp_path / "mine")
    assert [(p.dataset, p.group, p.subset) for p in pairs] == [
        ("mine", "", "Easy"),
        ("mine", "Hard", "Sums"),
        ("mine", "Hard", "Words"),
    ]


def test_two_sets_of_one_name_are_refused(tmp_path: Path):
    write(tmp_path / "a" / "Same" / "dataset.json", [record(1)])
    write(tmp_path / "b" / "Same" / "dataset.json", [record(2)])
    with pytest.raises(PairError, match=r"is called Same too \(rename"):
        load_pairs(tmp_path)


def test_a_folder_without_sets_says_so(tmp_path: Path):
    with pytest.raises(PairError, match=r"no dataset\.json"):
        load_pairs(tmp_path)


# --- names


def test_names_cover_every_official_set():
    assert len(NAMES) == len(set(NAMES))
    assert {name.rpartition("/")[2] for name in NAMES} >= {subset.casefold() for subset in SIZES}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("llmbar", 419),
        ("LLMBar/Adversarial", 319),
        ("llmbar/natural", 100),
        ("llmbar/Neighbor", 134),
        ("llmbar/gptinst", 92),
        ("llmbar/GPTOut", 47),
        ("llmbar/manual", 46),
        ("casestudy", 315),
        ("casestudy/negation", 59),
        ("casestudy/base_9", 54),
        ("processed", 466),
        ("processed/fairEval", 66),
        ("processed/llmeval^2", 200),
        ("processed/MT-bench", 200),
    ],
)
def test_names(installed: None, name: str, size: int):
    assert len(load_pairs(name)) == size


@pytest.mark.parametrize("under", ["Dataset", "."])
def test_llmbar_data_may_be_the_folder_or_the_one_above(shared: Path, monkeypatch: pytest.MonkeyPatch, under: str):
    monkeypatch.setenv("LLMBAR_DATA", str(shared / "data" / "llmbar" / under))
    assert len(load_pairs("llmbar/manual")) == 46


def test_the_cache_serves_where_llmbar_data_does_not(dataset: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("LLMBAR_DATA", str(tmp_path / "nothing here"))
    monkeypatch.setenv("LLMBAR_CACHE", str(tmp_path))
    with pytest.raises(PairError, match=r"not on this machine \(llmbar fetch llmbar"):
        load_pairs("llmbar")
    folder = tmp_path / "llmbar-900616b" / "Dataset" / "LLMBar" / "Natural"
    folder.mkdir(parents=True)
    shutil.copyfile(dataset / "LLMBar" / "Natural" / "dataset.json", folder / "dataset.json")
    assert len(load_pairs("llmbar/natural")) == 100
    with pytest.raises(PairError, match="Neighbor"):
        load_pairs("llmbar")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"did you mean .*llmbar/natural"):
        load_pairs("llmbar/naturall")
    with pytest.raises(UsageError, match=r"known: casestudy, llmbar, processed, starter, or a path"):
        load_pairs("zzz")


def test_a_missing_file_is_told_as_such(tmp_path: Path):
    with pytest.raises(PairError, match=r"gone\.jsonl: cannot be read: No such file"):
        load_pairs(tmp_path / "gone.jsonl")


def test_subsets_and_limit(installed: None):
    assert {p.subset for p in load_pairs("llmbar", subsets=["natural", "NEIGHBOR"])} == {"Natural", "Neighbor"}
    assert {p.group for p in load_pairs("llmbar", subsets="adversarial")} == {"Adversarial"}
    assert [p.id for p in load_pairs("llmbar", subsets=["Manual"], limit=2)] == ["Manual/0", "Manual/1"]
    assert [p.subset for p in load_pairs("starter/manual", limit=1)] == ["Manual"]
    with pytest.raises(UsageError, match=r"no subset called neighbour \(did you mean Neighbor\?\)"):
        load_pairs("llmbar", subsets=["natural", "neighbour"])
    with pytest.raises(UsageError, match="1 or more"):
        load_pairs("starter", limit=0)


def test_a_limit_leaves_the_rest_unread(tmp_path: Path):
    file = write(tmp_path / "long.jsonl", [record(1), record(2), record(3, label=9)])
    assert len(load_pairs(file, limit=2)) == 2
    with pytest.raises(PairError):
        load_pairs(file)


# --- formats


ROWS = [
    {"id": "a", "instruction": "Say “hi”,\nplease", "output_1": "hi", "output_2": "ho\u2028", "gold": 1, "subset": "S"},
    {"id": "b", "instruction": "2+2?", "output_1": "5", "output_2": "4, of course", "gold": 2, "subset": "T"},
]


def as_file(folder: Path, suffix: str, rows: list[dict]) -> Path:
    path = folder / f"mine{suffix}"
    if suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    elif suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


FORMATS = [".json", ".jsonl", ".csv", ".parquet"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_tells_the_same(tmp_path: Path, suffix: str):
    rows = [row | {"group": "G", "why": "because", "model": "m", "rank": 7} for row in ROWS]
    pairs = load_pairs(as_file(tmp_path, suffix, rows))
    assert [pair.model_dump() for pair in pairs] == [
        {**row, "dataset": "mine", "group": "G", "why": "because", "provenance": {"model": "m", "rank": "7"}}
        for row in ROWS
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_field_map_names_foreign_columns(tmp_path: Path, suffix: str):
    rows = [
        {"question": "Q1", "chosen": "x", "other": "y", "better": "A", "output_1": "noise"},
        {"question": "Q2", "chosen": "v", "other": "w", "better": "b", "output_1": "noise"},
    ]
    fields = {"instruction": "question", "output_1": "chosen", "output_2": "other", "gold": "better"}
    pairs = load_pairs(as_file(tmp_path, suffix, rows), fields=fields)
    assert [(p.id, p.subset, p.instruction, p.output_1, p.output_2, p.gold) for p in pairs] == [
        ("mine/0", "mine", "Q1", "x", "y", 1),
        ("mine/1", "mine", "Q2", "v", "w", 2),
    ]
    assert pairs[0].provenance == {"output_1": "noise"}


def test_a_field_map_is_checked(tmp_path: Path):
    file = write(tmp_path / "a.jsonl", [record()])
    with pytest.raises(UsageError, match=r"no field 'instructions' \(did you mean instruction"):
        load_pairs(file, fields={"instructions": "input"})
    with pytest.raises(PairError, match=r"a\.jsonl:1: question: is missing \(columns here: input, output_1"):
        load_pairs(file, fields={"instruction": "question"})
    with pytest.raises(PairError, match="topic: is missing"):
        load_pairs(file, fields={"subset": "topic"})


def test_two_columns_for_one_field_are_never_chosen_between(tmp_path: Path):
    file = write(tmp_path / "alpaca.jsonl", [record(instruction="Translate.")])
    with pytest.raises(PairError, match=r"instruction: stands in instruction and in input \(say which: instruction="):
        load_pairs(file)
    pair = load_pairs(file, fields={"instruction": "input"})[0]
    assert (pair.instruction, pair.provenance) == ("Question 1?", {"instruction": "Translate."})


def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(PairError, match=r"use \.json, \.jsonl, \.csv, \.parquet"):
        load_pairs(tmp_path / "a.txt")


def test_marks_at_the_beginning_and_windows_lines_do_no_harm(tmp_path: Path):
    for suffix in (".json", ".jsonl", ".csv"):
        file = as_file(tmp_path, suffix, [{**ROWS[1]}])
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        assert load_pairs(file)[0].output_2 == "4, of course"


def test_official_files_are_known_with_windows_lines_too(dataset: Path, tmp_path: Path):
    raw = (dataset / "Processed" / "MT-Bench" / "dataset.json").read_bytes()
    file = tmp_path / "MT-Bench" / "dataset.json"
    file.parent.mkdir()
    file.write_bytes(raw.replace(b"\n", b"\r\n"))
    assert len(load_pairs(file)) == 200


# --- what can be wrong


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (record(2, output_1=...), "output_1: is missing"),
        (record(2, label=...), "gold: is missing"),
        (record(2, input=None), "input: is missing"),
        (record(2, label=3), "label: is 3, not 1 or 2"),
        (record(2, label="0"), "label: is '0', not 1 or 2"),
        (record(2, label="A"), "label: is 'A', not 1 or 2"),
        (record(2, label=True), "label: is 'True', not 1 or 2"),
        (record(2, label=[1]), r"label: is \[1\], not 1 or 2"),
        (record(2, output_2=" \n"), "output_2: is empty"),
        (record(2, input=""), "input: is empty"),
        (record(2, output_2=4), "output_2: is a number, not text"),
        (record(2, output_1=["a"]), "output_1: is a list, not text"),
        (record(2, output_1="\ud83d"), "output_1: holds half of a surrogate pair"),
        (record(2, why="\udc00"), "holds half of a surrogate pair beside the texts"),
        (record(2, output_1="Same.", output_2="Same. "), "the outputs are identical"),
        (record(1), "the same pair as on line LINE "),
        (record(1, output_1="Bad answer 1", output_2="Good 1", label=2), "the same pair as on line LINE "),
        (record(1, label=2), "the same pair as on line LINE, with the other output preferred"),
        (record(2, id="one"), "id: 'one' is the id of line LINE too"),
        ("text", "the record is text, not an object"),
    ],
)
def test_a_bad_record_is_named_with_line_and_remedy(tmp_path: Path, suffix: str, bad: object, message: str):
    file = write(tmp_path / f"set{suffix}", [record(1, id="one"), bad, record(3)])
    first = 1 if suffix == ".jsonl" else 2
    expected = message.replace("LINE", str(first))
    with pytest.raises(PairError, match=rf"set{suffix}:{first + 1}: {expected}.*\(.+\)$") as caught:
        load_pairs(file)
    assert "\n" not in str(caught.value)
    findings = find_problems(file)
    assert [str(error) for error in findings.errors] == [str(caught.value)]
    assert {"one", "set/2"} <= {pair.id for pair in findings.pairs}


def test_everything_wrong_is_told_at_once(tmp_path: Path):
    file = write(
        tmp_path / "set.jsonl",
        [record(1), record(2, label=7, output_1=5), record(1), "x", record(3, output_1=""), record(4, output_2="a\0b")],
    )
    with file.open("ab") as out:
        out.write(b'{"input": "caf\xe9"}\n{"input": broken}\n{"input": "cut o')
    findings = find_problems(file)
    assert [error.line for error in findings.errors] == [2, 2, 3, 4, 5, 7, 8, 9]
    assert [error.line for error in findings.warnings] == [6]
    assert "NUL" in str(findings.warnings[0])
    assert len(findings.pairs) == 4


def test_real_flaws_of_official_files_are_warnings(dataset: Path):
    lines = {name: [w.line for w in find_problems(dataset / name).warnings] for name in ("CaseStudy", "Processed")}
    assert len(lines["CaseStudy"]) == 2
    assert len(lines["Processed"]) == 2 + 5
    assert find_problems(dataset / "Processed").errors == []


def test_the_same_flaws_elsewhere_are_errors(dataset: Path, tmp_path: Path):
    file = tmp_path / "copy.json"
    shutil.copyfile(dataset / "Processed" / "LLMEval^2" / "dataset.json", file)
    text = file.read_text(encoding="utf-8").splitlines()
    errors = find_problems(file).errors
    assert [error.message for error in errors] == ["the outputs are identical, neither is better", "is empty"]
    assert all(text[error.line - 1] == "  {" for error in errors)
    assert "restaurant" in text[errors[0].line]


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv"])
def test_bytes_that_are_not_utf8_are_found(tmp_path: Path, suffix: str):
    file = as_file(tmp_path, suffix, [ROWS[1], ROWS[1] | {"id": "c", "instruction": "caf@"}])
    raw = file.read_bytes()
    file.write_bytes(raw.replace(b"caf@", b"caf\xe9"))
    at = raw.index(b"caf@") + 3
    line = raw.count(b"\n", 0, at) + 1
    with pytest.raises(PairError, match=rf":{line}: byte {at} \(0xe9\) is not UTF-8 \(save"):
        load_pairs(file)


def test_an_array_cut_off_anywhere_says_where_it_ends(tmp_path: Path):
    whole = write(tmp_path / "whole.json", [record(1, output_1='quote " and ] bracket'), record(2)]).read_bytes()
    file = tmp_path / "cut.json"
    for size in range(1, len(whole.rstrip())):
        file.write_bytes(whole[:size])
        with pytest.raises(PairError, match=r"cut off|is not JSON"):
            load_pairs(file)
    file.write_bytes(whole[: whole.index(b"Question 2")])
    with pytest.raises(PairError, match=r"cut\.json:3: the file is cut off: it ends on line 3 \(get the whole file"):
        load_pairs(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ('{"input": "x"}', "is no list of pairs"),
        ("[]", "holds no pairs"),
        ("[{}] more", r"goes on behind"),
        ("[{},]", r"is not JSON"),
        ('[{"input": nope}]', r":1: is not JSON: Expecting value, column 12"),
        ("[" * 100_000 + "]" * 100_000, "is not JSON"),
    ],
)
def test_what_is_no_list_of_pairs(tmp_path: Path, text: str, message: str):
    file = tmp_path / "set.json"
    file.write_text(text)
    assert message in " ".join(map(str, find_problems(file).errors))
    with pytest.raises(PairError):
        load_pairs(file)


def test_csv_lines_are_those_where_records_begin(tmp_path: Path):
    file = tmp_path / "set.csv"
    head = "instruction,output_1,output_2,gold\n"
    file.write_text(f'{head}"two\nlines",a,b,1\nshort,a\n\nlong,a,b,1,extra\n"x\ny",a,b,3\n"open,a,b,1\n')
    errors = find_problems(file).errors
    assert [(error.line, error.field) for error in errors] == [
        (4, "output_2"),
        (4, "gold"),
        (6, None),
        (7, "gold"),
        (9, None),
    ]
    assert "cut off" in str(errors[-1])


def test_a_column_that_a_table_lacks_is_told_once(tmp_path: Path):
    rows = [{"instruction": f"q{n}", "output_1": "a", "output_2": "b"} for n in range(50)]
    for suffix in (".csv", ".parquet"):
        assert len(find_problems(as_file(tmp_path, suffix, rows)).errors) == 1


def test_a_broken_parquet_file_is_one_line(tmp_path: Path):
    file = as_file(tmp_path, ".parquet", ROWS)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(PairError, match="is not a whole Parquet file") as caught:
        load_pairs(file)
    assert "\n" not in str(caught.value)


# --- clusters and lengths


def test_clusters_are_as_many_as_the_methods_say(dataset: Path):
    assert len({cluster(pair.instruction) for pair in load_pairs(dataset)}) == 418
    assert len({cluster(pair.instruction) for pair in load_pairs(dataset / "Processed" / "MT-Bench")}) == 75


def test_a_cluster_ignores_case_spacing_and_form_but_nothing_else():
    assert cluster(" Ａ  CAFE\u0301\n") == cluster("a café")
    assert cluster("Add 1 and 2") != cluster("Add 1 and 3")
    assert cluster("a-b") != cluster("ab")


def test_length_confound_is_that_of_the_methods(dataset: Path):
    rows = {row.subset: row for row in length_confound(load_pairs(dataset))}
    assert list(rows) == [*LLMBAR, "Adversarial", "Average"]
    longer = {"Natural": (56, 1), "Neighbor": (16, 0), "GPTInst": (12, 0), "GPTOut": (21, 0), "Manual": (8, 1)}
    for name, (golds, equal) in longer.items():
        assert rows[name].n == SIZES[name]
        assert rows[name].longer == pytest.approx((golds + equal / 2) / SIZES[name])
    assert round(100 * rows["Adversarial"].shorter, 1) == 78.0
    assert round(100 * rows["Average"].shorter, 1) == 71.1
    assert (rows["Average"].estimator, rows["Average"].n) == ("macro", 419)


def test_length_confound_of_one_subset_is_one_row(tmp_path: Path):
    file = write(
        tmp_path / "one.jsonl", [record(1), record(2, label=2), record(3, label=2), record(4, output_2="Good x")]
    )
    (row,) = length_confound(load_pairs(file))
    assert (row.subset, row.n, row.longer, row.shorter) == ("one", 4, 0.625, 0.375)


# --- size


def test_loading_is_linear(tmp_path: Path):
    def seconds(count: int) -> float:
        file = write(tmp_path / f"{count}.jsonl", [record(number) for number in range(count)])
        start = time.process_time()
        assert len(load_pairs(file)) == count
        return time.process_time() - start

    seconds(1_000)
    assert seconds(40_000) < 8 * 5 * max(seconds(5_000), 0.02)  # quadratic would be 64 times as long
