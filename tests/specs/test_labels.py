"""Label sets, whose order is that of the logits."""

import hashlib

import pytest

from i3d_tf.specs.labels import label_set_of, read_labels

SHA256 = {
    "kinetics400": "a8dafb93a1204d4ecfa904f943ce5ee0c62ddeeb1df71aa1f96983fca17d777e",
    "kinetics600": "5d9a560f98fcfed08f6129dd498f97e043edf729efb3c02dd96b482d2970f9c0",
    "kinetics700": "a34c9fed41f5f9ed56d95b7d0f60ce3af073064691da8dc75dcda06f394af1c9",
}


@pytest.mark.parametrize(("name", "sha256"), SHA256.items())
def test_labels_are_as_they_were_published(name, sha256):
    labels = read_labels(name)
    assert len(set(labels)) == len(labels) == int(name.removeprefix("kinetics"))
    assert list(labels) == sorted(labels)
    assert hashlib.sha256("\n".join(labels).encode()).hexdigest() == sha256
    assert label_set_of(len(labels)) == name


def test_editions_share_as_many_classes_as_published():
    first, second, third = (set(read_labels(f"kinetics{size}")) for size in (400, 600, 700))
    assert (len(first - second), len(first - third)) == (32, 22)
    renamed = "passing american football (not in game)"
    gone = {"bull fighting", "chopping vegetables", "picking fruit"}
    assert second - third == {*gone, renamed}
