"""Every binary starts as a command, says what it does, and refuses what it does not know."""

import subprocess

import pytest
from absl import flags
from fixtures.tools import FORMER_FLAGS, TOOLS, loaded_tool

NAMES = sorted({path.stem for path in TOOLS.glob("*.py")} - {"__init__", "i3d"})
TAKE_ARGUMENTS = {
    "ablate_time",
    "beam",
    "compute_flow",
    "extract_features",
    "predict",
    "probe",
    "show_filters",
}


@pytest.fixture(scope="module")
def help_texts(tool_command):
    """Tool -> the lines of its --help, from processes that run at the same time."""
    processes = {name: subprocess.Popen(**tool_command(name, "--help")) for name in NAMES}
    return {name: process.communicate(timeout=300) for name, process in processes.items()}


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_a_command_and_no_former_flag(help_texts, name):
    out, err = help_texts[name]
    assert err == ""
    assert f"python tools/{name}.py" in out
    for flag in FORMER_FLAGS.get(name, ()):
        assert f"--{flag}:" not in out


@pytest.mark.parametrize("name", sorted(set(NAMES) - TAKE_ARGUMENTS))
def test_unexpected_argument_is_one_line(run_tool, name, tmp_path):
    required = {
        "train": ["--data_dir=x", "--workdir=x"],
        "make_stick_actions": ["--data_dir=x"],
        "data_worker": ["--dispatcher=grpc://x:1"],
        "make_records": ["--data_dir=x", "--output_dir=x"],
        "check_videos": ["--data_dir=x"],
        "classify_features": ["--features=x", "--data_dir=x", "--report_dir=x"],
        "map_features": ["--features=x", "--data_dir=x", "--report_dir=x"],
        "convert": ["--release=rgb_imagenet"],
        "visualize_units": ["--checkpoint=x", "--output_dir=x"],
        "score": ["--rule=ava", "--truth=x", "--predictions=x"],
    }
    status, out, err = run_tool(name, *required.get(name, ()), "one", "two", "three")
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith("error: ")
    assert "['one', 'two', 'three']" in err[0]


@pytest.mark.parametrize(
    ("tool", "former", "flag"),
    [
        ("predict", "--rgb_weights=x", "rgb_checkpoint"),
        ("predict", "--engine=dis", "flow_engine"),
        ("extract_features", "--flow_weights=x", "flow_checkpoint"),
        ("compute_flow", "--engine=dis", "flow_engine"),
        ("fvd", "--weights=x", "checkpoint"),
        ("compare_architectures", "--budget=7", "steps"),
    ],
)
def test_former_flags_set_the_new_ones(tool, former, flag):
    required = {"extract_features": ["--output_dir=x"], "compute_flow": ["--flow_dir=x"]}
    with loaded_tool(tool, former, *required.get(tool, ())):
        assert str(flags.FLAGS[flag].value) == former.partition("=")[2]
        assert flags.FLAGS[flag].present
