"""Flags that several tools have."""

import sys
from types import ModuleType

import pytest
from absl import flags
from fixtures.tools import loaded_tool

SHARED = {"folder_rate", "damaged", "deinterlace", "pixel_aspect", "shard", "status", "json"}


def test_flags_are_listed_as_those_of_the_tool(monkeypatch):
    name = "tool_compute_flow"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))  # where absl looks for who calls it
    with loaded_tool("compute_flow", "--flow_dir=flow"):
        assert {flag.name for flag in flags.FLAGS.get_key_flags_for_module(name)} > SHARED


@pytest.mark.parametrize("tool", ["evaluate_intervals", "evaluate_persons"])
def test_network_of_any_stream_is_alone(tool):
    with loaded_tool(tool, "--rgb_checkpoint=a") as (module, _):
        assert module._NETWORKS.by_stream() == {"rgb": "a", "flow": None}
    refused = pytest.raises(ValueError, match="--checkpoint cannot be combined with --flow_check")
    with loaded_tool(tool, "--checkpoint=a", "--flow_checkpoint=b") as (module, _), refused:
        module._NETWORKS.by_stream()


def test_record_needs_what_it_records():
    refused = pytest.raises(ValueError, match="--json needs --status")
    with loaded_tool("check_videos", "--data_dir=x", "--json") as (module, _), refused:
        module._JOB.check()
