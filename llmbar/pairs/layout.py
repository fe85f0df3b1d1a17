"""LLMBar's folder layout: a set is a folder that holds `dataset.json`, and its subset is called as the folder is.

    Dataset/LLMBar/Natural/dataset.json                 dataset llmbar, subset Natural
    Dataset/LLMBar/Adversarial/GPTInst/dataset.json     dataset llmbar, group Adversarial, subset GPTInst
    Dataset/CaseStudy/Negation/dataset.json             dataset casestudy, group CaseStudy, subset Negation

Folders of any other name are read alike: a folder between the given one and the set's own is the set's group.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmbar.errors import PairError
from llmbar.pairs.official import SETS

_DATASETS = {"LLMBar": "llmbar", "CaseStudy": "casestudy", "Processed": "processed"}
_GROUPS = {"Adversarial", "CaseStudy", "Processed"}
_ORDER = {Path(path).parent.name: place for place, path in enumerate(SETS)}


@dataclass(frozen=True, slots=True)
class PairFile:
    """A file of pairs, and what those are called that do not say it themselves."""

    path: Path
    dataset: str
    subset: str
    group: str = ""


def pair_files(folder: Path) -> list[PairFile]:
    """The sets in a folder: LLMBar's five where it holds them (CaseStudy and Processed are asked for by themselves).

    Raises:
        PairError: no set at all, or two of one name.
    """
    root = folder
    for step in ("Dataset", "LLMBar"):
        root = root / step if (root / step).is_dir() else root
    files = [pair_file(path, root) for path in root.rglob("dataset.json")]
    if not files:
        raise PairError("no dataset.json in this folder", file=folder, remedy="name a folder in LLMBar's layout")
    known: dict[str, Path] = {}
    for file in files:
        if (other := known.setdefault(file.subset, file.path)) != file.path:
            raise PairError(f"{other} is called {file.subset} too", file=file.path, remedy="rename one of the folders")
    return sorted(files, key=lambda file: (_ORDER.get(file.subset, len(_ORDER)), file.path))


def pair_file(path: Path, root: Path | None = None) -> PairFile:
    """One `dataset.json`, named after the folders above it, up to `root` (by default its own folder)."""
    own = path.absolute().parent
    root = (root or own).absolute()
    parent = own.parent
    top = parent.parent if parent.name == "Adversarial" else parent
    group = parent.name if parent.name in _GROUPS or root in parent.parents else ""
    return PairFile(path, _DATASETS.get(top.name, root.name), own.name, group)
