import subprocess
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


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(engines, "_sees_gpu", lambda: False)
    engines._automatic.cache_clear()
    yield
    engines._automatic.cache_clear()


def test_every_engine_has_an_algorithm_and_its_presets():
    assert set(ALGORITHMS) == set(ENGINES)
    assert set(ALGORITHMS.values()) == set(PRESETS)
    assert all(set(presets) == {"default", "fast"} for presets in PRESETS.values())


def test_a_name_means_itself():
    assert [choose_engine(engine) for engine in ENGINES] == list(ENGINES)


def test_auto_is_numba_without_a_gpu(no_gpu):
    assert choose_engine() == "numba"


def test_auto_is_the_graph_with_a_gpu(no_gpu, monkeypatch):
    monkeypatch.setattr(engines, "_sees_gpu", lambda: True)
    assert choose_engine() == "graph"


def test_auto_is_opencv_with_one_warning_without_numba(no_gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "i3d_tf.flow.tvl1_numba", None)  # cannot be imported
    with pytest.warns(UserWarning, match="by OpenCV.* numba cannot be imported .*tvl1_numba"):
        assert choose_engine() == "opencv"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_engine() == "opencv"
    with pytest.raises(ImportError, match="tvl1_numba"):
        load_engine("numba")  # what is asked for by name is not replaced


def test_tensorflow_is_asked_where_it_is_imported(monkeypatch):
    for devices in ([], ["GPU:0"]):
        config = SimpleNamespace(list_physical_devices=lambda kind, found=devices: found)
        monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
        assert engines._sees_gpu() is bool(devices)


def test_tensorflow_is_not_imported_where_there_is_no_driver(tmp_path):
    code = (
        "import sys\n"
        "from i3d_tf.flow import engines\n"
        f"engines.GPU_DEVICES = ({str(tmp_path / 'nvidia[0-9]*')!r},)\n"
        "assert engines.choose_engine() == 'numba'\n"
        "print('tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_parameters():
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
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
