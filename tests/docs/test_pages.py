"""The README and docs/*.md: commands that the tools take, programs that compile, links to files."""

import re
from pathlib import Path

import pytest
from absl import flags
from fixtures.pages import commands_of, links_of, programs_of
from fixtures.tools import loaded_tool

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [(page.name, tool, words) for page in PAGES for tool, words in commands_of(page)]


def test_commands_are_found():
    assert ("README.md", "predict", ["--rgb_checkpoint=rgb_scratch", "clip.mp4"]) in COMMANDS
    assert ("README.md", "predict", ["--json", "clips/"]) in COMMANDS
    whole = ["--release=rgb_imagenet", "--source=kinetics-i3d/data/checkpoints/rgb_imagenet"]
    assert ("README.md", "convert", whole) in COMMANDS


@pytest.mark.parametrize("tool", sorted({tool for _, tool, _ in COMMANDS}))
def test_flags_of_the_commands_exist(tool):
    if tool == "beam":
        pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install 'i3d_tf[beam]'")
    for page, name, words in COMMANDS:
        if name == tool:
            try:
                with loaded_tool(tool, *words):
                    pass
            except flags.Error as error:
                pytest.fail(f"{page}: i3d {tool} {' '.join(words)}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_programs_compile(page):
    assert [link for link in links_of(page) if not (page.parent / link).exists()] == []
    for number, program in enumerate(programs_of(page), 1):
        compile(program, f"{page.name}, program {number}", "exec")


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for page in PAGES:
        for target in re.findall(r"(?:`|^    )make ([a-z][a-z-]+)", page.read_text("utf-8"), re.M):
            assert re.search(rf"^{target}:", makefile, re.M), (page.name, target)


def test_index_names_every_page():
    index = ROOT / "docs" / "README.md"
    others = {page.name for page in PAGES[1:]} - {index.name}
    assert set(links_of(index)) == others
