"""The commands of docs/features.md are ones that the tool takes."""

import dataclasses
import re
import shlex

import pytest
from absl import flags
from fixtures.tools import loaded_tool

from i3d_tf.features.file_layout import settings_layout
from i3d_tf.features.options import settings_options
from i3d_tf.specs import feature_profiles
from i3d_tf.specs.feature_profiles import PROFILES, FeatureSettings, resolve_settings

SETTINGS = [field.name for field in dataclasses.fields(FeatureSettings)]


@pytest.fixture(scope="module")
def text(repository_root):
    return (repository_root / "docs/features.md").read_text("utf-8")


def test_commands_of_the_page_have_valid_settings(text):
    commands = re.findall(r"i3d extract_features ([^`\n]*)", text)
    named = set()
    for command in commands:
        with loaded_tool("extract_features", *shlex.split(command)) as (_, argv):
            given = {name: flags.FLAGS[name].value for name in SETTINGS}
            profile = flags.FLAGS["profile"].value
        settings, use = resolve_settings(profile, given)
        settings_options(settings, use)
        settings_layout(settings)
        named.add(profile)
        assert argv[1:] == ["videos/"]
    assert named == set(PROFILES)


def test_page_lists_every_flag_and_its_values(text):
    rows = dict(re.findall(r"^\| (`--.*?) \| (.*?) \|", text, re.MULTILINE))
    listed = {name for row in rows for name in re.findall(r"--(\w+)", row)}
    assert listed == set(SETTINGS) - {"endpoint"}
    for name, choices in (
        ("interpolation", feature_profiles.INTERPOLATIONS),
        ("flow_rounding", feature_profiles.FED_FLOW_ROUNDINGS),
        ("tail", feature_profiles.TAILS),
        ("short", feature_profiles.SHORT_VIDEOS),
        ("format", feature_profiles.FORMATS),
        ("crop_layout", feature_profiles.CROP_LAYOUTS),
        ("stream_layout", feature_profiles.STREAM_LAYOUTS),
    ):
        assert set(choices) <= set(re.findall(r"`(\w+)`", rows[f"`--{name}`"])), name
