"""LLMBar's official files: where they lie in its repository, and the SHA-256 of each.

github.com/princeton-nlp/LLMBar (Zeng et al., ICLR 2024, arXiv:2310.07641), MIT licence. The paths stand in the order
of the paper's tables.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from llmbar.errors import PairError
from llmbar.files import cache_folder

REVISION = "900616bff90b6c6c8e1681f7d079250637c55992"
LICENCE = {"LICENSE": "8872dbf8660b00890b5e07ce1ea1f7a44fa7ae4e1857da56caba172b51dab3cb"}
SETS = {
    "Dataset/LLMBar/Natural/dataset.json": "f7127b7aa78104cb8e03a2b1b3ac0077e95b125714dd441a8ee63666145a3375",
    "Dataset/LLMBar/Adversarial/Neighbor/dataset.json": (
        "6712c7eda6342602e0bc7c06c282fa95e2110d4e741a284026a62d937f9780a0"
    ),
    "Dataset/LLMBar/Adversarial/GPTInst/dataset.json": (
        "1002425f73c2cf54b6e6de99bce3f6c60fa2a17d13194772e37d7481c1351d42"
    ),
    "Dataset/LLMBar/Adversarial/GPTOut/dataset.json": (
        "1ff56e520d7607750a9866a3be0f5b850392ca4477a1f69d80f32bd3e310f561"
    ),
    "Dataset/LLMBar/Adversarial/Manual/dataset.json": (
        "0d9598769a39cdbbd265778c37e49939d41d5f76dcfb17bd75dcfa07516d3837"
    ),
    "Dataset/CaseStudy/Constraint/dataset.json": "8b702c755bdba59f63cf61e8643a5718799df8ed8f3b93b27dbf1db0e8c3c009",
    "Dataset/CaseStudy/Negation/dataset.json": "c4ce566f652606d25445efedcb01d2a359c5ce03c6457e3c518a129dbd608c4e",
    "Dataset/CaseStudy/Normal/dataset.json": "f6f2c4833d57ab8aaa8aa51bf521296b6f2e26323aad5c08da5331924af450ba",
    "Dataset/CaseStudy/Base_9/dataset.json": "b3989dcdaddb277207ab86631db2185edd15802e27b947a5dacb663895fddd69",
    "Dataset/CaseStudy/Base_10/dataset.json": "e36ae2461fd633c51afdbe19d9f62bc77089c7efc8a58e03fc273518a78ab1b0",
    "Dataset/Processed/FairEval/dataset.json": "5b4a129258c1efa273a1b10fec399f5462b458facf900e8e1948f4acb1b37dd6",
    "Dataset/Processed/LLMEval^2/dataset.json": "deffdaeccda39c0fb9337c7e20925ec2b973bfd456832c2f1ba0e9ca4cf107de",
    "Dataset/Processed/MT-Bench/dataset.json": "c152249bc095d152485954bd2abd9ea79528ee5e4c045bfe9ef78755b03c20d8",
}


def official_folder() -> Path:
    """Where `fetch` puts the official files, in upstream's layout."""
    return cache_folder() / f"llmbar-{REVISION[:7]}"


def find_official(path: str) -> Path:
    """One of `SETS` on this machine: under LLMBAR_DATA, else where `fetch` puts it.

    Raises:
        PairError: it lies in neither.
    """
    folders = [official_folder()]
    if own := os.environ.get("LLMBAR_DATA"):
        folder = Path(own).expanduser()
        folders.insert(0, folder.parent if folder.name == "Dataset" else folder)
    for folder in folders:
        if (folder / path).is_file():
            return folder / path
    raise PairError(
        f"{path} of LLMBar is not on this machine",
        remedy="llmbar fetch llmbar, or set LLMBAR_DATA to the folder that holds Dataset",
    )


def is_official(path: Path) -> bool:
    """Whether a file is one of `SETS`, whatever its line endings became."""
    if path.name != "dataset.json":
        return False
    try:
        text = path.read_bytes().replace(b"\r\n", b"\n")
    except OSError:
        return False  # the reader of the file will say why
    return sha256(text).hexdigest() in SETS.values()
