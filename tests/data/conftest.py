"""Folders of empty files: for readers, which open no video, existence is all that matters."""

import pytest


@pytest.fixture
def make_tree(tmp_path):
    """Function: (names, texts by name) -> tmp_path, now with these files, empty but for texts."""

    def make(names=(), texts=None):
        for name, text in {**dict.fromkeys(names, ""), **(texts or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return make


@pytest.fixture
def found_in():
    """Function: (dataset, folder) -> [(path below the folder, class name), ...] of its examples."""

    def found(dataset, folder):
        return [
            (example.path.removeprefix(f"{folder}/"), example.class_name)
            for example in dataset.examples
        ]

    return found


@pytest.fixture(autouse=True)
def adds_up(monkeypatch):
    """Every report made in these tests accounts for every row exactly once."""
    from i3d_tf.data import listing

    class CheckedReport(listing.DataReport):
        def __post_init__(self):
            parts = len(self.missing) + len(self.quarantined) + len(self.skipped) + self.left_out
            assert self.rows == self.found + parts

    monkeypatch.setattr(listing, "DataReport", CheckedReport)
