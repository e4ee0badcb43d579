import os
import pickle

import numpy as np
import pytest
from fixtures.public_networks import write_caffe2, write_caffe_model, write_haiku, write_state_dict

from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.named_tensors import read_named_tensors

ONE = np.array([[1.5, -2.5]], "f4")


def test_state_dicts_and_blobs_have_the_names_of_their_files(tmp_path):
    file = read_named_tensors(write_state_dict(tmp_path / "a.pth", {"x.weight": ONE}))
    assert (file.form, file.has_checksum) == ("a PyTorch state dict", True)
    np.testing.assert_array_equal(file.tensors["x.weight"].read(), ONE)
    file = read_named_tensors(write_caffe2(tmp_path / "b.pkl", {"x_w": ONE}))
    assert (file.form, file.has_checksum) == ("a pickle of arrays", False)
    np.testing.assert_array_equal(file.tensors["x_w"].read(), ONE)
    assert "cfg" not in file.tensors
    file = read_named_tensors(write_caffe_model(tmp_path / "c", {"x.weight": ONE}))
    assert (file.form, file.has_checksum) == ("a Caffe network", False)
    np.testing.assert_array_equal(file.tensors["x.weight"].read(), ONE)


def test_an_s3d_among_other_towers_is_named_as_if_it_were_alone(tmp_path):
    arrays = {
        "S3D/Conv2d_1a_7x7/~/conv3_d/w": ONE,
        "S3D/Mixed_3b/Branch_0_Conv2d_0a_1x1/__batch_norm/~/mean_ema/average": ONE,
    }
    file = read_named_tensors(write_haiku(tmp_path / "mmv.pkl", arrays))
    assert set(file.tensors) == set(arrays)


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


def test_pickles_that_name_functions_are_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"blobs": {"conv1_w": Evil()}}, 2))
    with pytest.raises(WeightsError, match=r"system, which weights never do. Nothing was run"):
        read_named_tensors(tmp_path / "evil.pkl")
    assert os.listdir() == ["evil.pkl"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: ONE}, "a name is no text"),
        ({"a/b": ONE, "a": {"b": ONE}}, "two arrays have the same name"),
    ],
)
def test_pickles_of_other_things_are_refused(value, message, tmp_path):
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(value, 4))
    with pytest.raises(WeightsError, match=message):
        read_named_tensors(tmp_path / "other.pkl")


def test_files_of_no_form_are_refused(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(WeightsError, match="neither a file of PyTorch or Caffe, nor a pickle"):
        read_named_tensors(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_named_tensors(tmp_path / "none")
