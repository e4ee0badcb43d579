"""`import i3d_tf` is quiet and light; every public name is there."""

import subprocess
import sys

import pytest

import i3d_tf


def test_import_prints_nothing_and_loads_nothing_heavy():
    code = "import sys, i3d_tf; print({'tensorflow', 'keras', 'cv2', 'av'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize("name", i3d_tf.__all__)
def test_public_names_resolve(name):
    assert callable(getattr(i3d_tf, name))
    assert getattr(i3d_tf, name).__doc__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'inceptioni3d'"):
        i3d_tf.inceptioni3d  # noqa: B018
