"""Setting up: the lock covers what pyproject.toml asks for, the Makefile what the texts name, the wheel what runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")

CORE = PYPROJECT["project"]["dependencies"]
DEV = PYPROJECT["project"]["optional-dependencies"]["dev"]
BUILD = PYPROJECT["build-system"]["requires"]

TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


# -- the lock ---------------------------------------------------------------------------------------------------------


def pins() -> dict[str, list[str]]:
    """Package → its pinned versions, several where platforms or Pythons differ."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCK, re.MULTILINE):
        found.setdefault(name, []).append(version)
    return found


@pytest.mark.parametrize("wanted", [*CORE, *DEV, *BUILD])
def test_the_lock_pins_what_is_asked_for(wanted):
    requirement = Requirement(wanted)
    versions = pins().get(canonicalize_name(requirement.name), [])
    assert versions
    assert all(requirement.specifier.contains(version) for version in versions)


def test_every_pin_has_hashes_and_nothing_is_left_unpinned():
    blocks = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n?", "", LOCK).strip())
    assert len(blocks) > len(CORE)
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+==\S+.*\\\n", block), block
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block


@pytest.mark.parametrize("address", ["://", "index-url", "find-links", "trusted-host", " @ "])
def test_the_lock_names_no_address(address):
    assert address not in LOCK


# -- what the texts say -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_make_has_every_target_that_is_named(text):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ *)make ([a-z]+)", text.read_text("utf-8"), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_link_within_the_repository_leads_somewhere(text):
    links = re.findall(r"\]\((?!\w+:|#)([^)#]+)", text.read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("wanted", [*CORE, *DEV])
def test_contributing_says_why_each_dependency_is_there(wanted):
    assert f"`{Requirement(wanted).name}" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_contributing_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`((?:llmbar|tests|docs|prompts|data)/[\w/.+-]*)`", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


# -- the wheel --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (archive,) = folder.glob("*.whl")
    with ZipFile(archive) as packed:
        packed.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_carries_the_strategies_the_starter_pairs_and_the_published_numbers(wheel):
    listing = "from llmbar import files as f; print(f.prompts_folder(), f.data_folder(), f.published_file(), sep='\\n')"
    environment = os.environ | {"PYTHONPATH": str(wheel)}
    told = subprocess.run(
        [sys.executable, "-c", listing], cwd=wheel, env=environment, check=True, capture_output=True, text=True
    )
    prompts, data, published = map(Path, told.stdout.splitlines())
    assert all(path.is_relative_to(wheel) for path in (prompts, data, published))
    assert files_of(prompts) == files_of(ROOT / "prompts")
    assert files_of(data) == files_of(ROOT / "data")
    assert published.read_bytes() == (ROOT / "results" / "published.csv").read_bytes()


def files_of(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_the_wheel_carries_the_licence_and_the_command(wheel):
    (metadata,) = wheel.glob("*.dist-info")
    assert (metadata / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert "llmbar = llmbar.cli:main" in (metadata / "entry_points.txt").read_text("utf-8")
