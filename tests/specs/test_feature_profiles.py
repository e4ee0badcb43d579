import dataclasses

import pytest

from i3d_tf.specs.feature_profiles import (
    PROFILES,
    FeatureSettings,
    ProfileUse,
    profile_lines,
    profile_metadata,
    resolve_settings,
)


def test_resolve_settings_without_profile_are_the_defaults_and_what_was_given():
    assert resolve_settings(None, {"stride": None}) == (FeatureSettings(), None)
    settings, use = resolve_settings(None, {"stride": 8, "window": 64})
    assert (settings, use) == (FeatureSettings(window=64, stride=8), None)


def test_resolve_settings_prefers_what_was_given_to_the_profile():
    given = {"stride": 8, "stream": "rgb", "window": 16, "size": None}
    settings, use = resolve_settings("thumos14", given)
    changed = {"stride": 8, "stream": "rgb"}  # the window is that of the profile
    assert settings == dataclasses.replace(PROFILES["thumos14"], **changed)
    assert use == ProfileUse("thumos14", ("stream", "stride"))
    with pytest.raises(ValueError, match=r"`profile` must be one of .*; received 'thumos'"):
        resolve_settings("thumos", {})


def test_profile_lines_are_flags_and_what_overrides_them():
    settings, use = resolve_settings("charades", {"keep_axes": False, "frame_rate": "native"})
    assert profile_lines(settings, use) == [
        "--profile=charades: --frame_rate=24 --size=226+ --flow_rounding=nearest --pool=head "
        "--keep_axes=true",
        "overridden: --frame_rate=native (profile: 24)",
        "overridden: --keep_axes=false (profile: true)",
    ]
    metadata = profile_metadata(settings, use)
    assert (metadata["name"], metadata["overridden"]) == ("charades", ["frame_rate", "keep_axes"])
    assert metadata["flags"]["frame_rate"] == "native"
