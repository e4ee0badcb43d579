import sys
import warnings
from types import SimpleNamespace

import pytest

from i3d_tf.flow import engines
from i3d_tf.flow.dis_opencv import DISParameters
from i3d_tf.flow.engines import (
    ALGORITHMS,
    ENGINES,
    PRESETS,
    choose_engine,
    engine_parameters,
    load_engine,
)
from i3d_tf.flow.tvl1 import DEFAULT, FAST, TVL1Parameters
from i3d_tf.specs.streams import FLOW_ENGINES


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(engines, "sees_gpu", lambda: False)
    engines.automatic_engine.cache_clear()
    yield
    engines.automatic_engine.cache_clear()


def test_every_engine_has_algorithm_and_presets():
    assert ("auto", *ENGINES) == FLOW_ENGINES
    assert set(ALGORITHMS.values()) == set(PRESETS)
    assert all(set(presets) == {"default", "fast"} for presets in PRESETS.values())


def test_choose_engine_returns_name_itself():
    assert [choose_engine(engine) for engine in ENGINES] == list(ENGINES)


def test_choose_engine_takes_numba_without_gpu(no_gpu):
    assert choose_engine() == "numba"


def test_choose_engine_takes_graph_with_gpu(no_gpu, monkeypatch):
    monkeypatch.setattr(engines, "sees_gpu", lambda: True)
    assert choose_engine() == "graph"


def test_choose_engine_takes_opencv_without_numba_and_warns_once(no_gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "i3d_tf.flow.tvl1_numba", None)  # cannot be imported
    with pytest.warns(UserWarning, match="by OpenCV.* numba cannot be imported .*tvl1_numba"):
        assert choose_engine() == "opencv"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_engine() == "opencv"
    with pytest.raises(ImportError, match="tvl1_numba"):
        load_engine("numba")  # what is asked for by name is not replaced


def test_sees_gpu_asks_imported_tensorflow(monkeypatch):
    for devices in ([], ["GPU:0"]):
        config = SimpleNamespace(list_physical_devices=lambda kind, found=devices: found)
        monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
        assert engines.sees_gpu() is bool(devices)


def test_sees_gpu_does_not_import_tensorflow_without_driver(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "GPU_DEVICES", (str(tmp_path / "nvidia[0-9]*"),))
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    assert engines.sees_gpu() is False
    assert "tensorflow" not in sys.modules


def test_engine_parameters_by_preset_and_value():
    assert engine_parameters("opencv") is DEFAULT
    assert engine_parameters("opencv", "fast") is FAST
    assert engine_parameters("opencv", TVL1Parameters(warps=3)) == TVL1Parameters(warps=3)
    assert engine_parameters("dis") == DISParameters("medium")
    assert engine_parameters("dis", DISParameters("fast")) == DISParameters("fast")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: choose_engine("farneback"),
            r"`engine` must be one of \('auto', 'numba', 'graph', 'opencv', 'dis'\); .*'farneback'",
        ),
        (lambda: choose_engine(None), "`engine` must be one of .* received None"),
        (lambda: load_engine("tvl1"), "`engine` must be one of"),
        (
            lambda: engine_parameters("dis", TVL1Parameters()),
            "`parameters` of engine 'dis' must be DISParameters or one of .* received TVL1Param",
        ),
        (
            lambda: engine_parameters("opencv", DISParameters()),
            "`parameters` of engine 'opencv' must be TVL1Parameters or one of",
        ),
        (
            lambda: engine_parameters("opencv", "faster"),
            r"one of \('default', 'fast'\); received 'faster'",
        ),
    ],
)
def test_wrong_engines_and_parameters_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
