from pathlib import Path

import pytest

from i3d_tf.system import cache
from i3d_tf.system.cache import cache_dir, is_offline


def test_cache_dir_is_the_variable_if_set(monkeypatch):
    monkeypatch.setenv("I3D_TF_HOME", "/some/place")
    assert cache_dir() == Path("/some/place")
    monkeypatch.setenv("I3D_TF_HOME", "~/place")
    assert cache_dir() == Path.home() / "place"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/i3d_tf"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/i3d_tf"),
        ("linux", {"I3D_TF_HOME": "", "XDG_CACHE_HOME": ""}, "home/.cache/i3d_tf"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "home/Library/Caches/i3d_tf"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/i3d_tf"),
        ("win32", {}, "home/AppData/Local/i3d_tf"),
    ],
)
def test_cache_dir_is_that_of_the_platform(monkeypatch, platform, variables, expected):
    for name in ("I3D_TF_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cache.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    assert cache_dir() == Path(expected)


@pytest.mark.parametrize(
    ("value", "expected"), [("", False), ("0", False), ("1", True), ("x", True)]
)
def test_is_offline_reads_the_variable(monkeypatch, value, expected):
    monkeypatch.setenv("I3D_TF_OFFLINE", value)
    assert is_offline() is expected


def test_is_offline_without_the_variable(monkeypatch):
    monkeypatch.delenv("I3D_TF_OFFLINE", raising=False)
    assert not is_offline()
