import io
import zipfile

import pytest

from i3d_tf.system.expansion import (
    ALWAYS_ALLOWED,
    MAX_EXPANSION,
    check_archive,
    check_expansion,
)


def test_check_expansion_allows_much_only_of_large_files():
    check_expansion(ALWAYS_ALLOWED, 1)
    check_expansion(2**40, 2**40 // MAX_EXPANSION + 1)
    with pytest.raises(ValueError, match=r"its 1,000 bytes unpack to 268,435,457, which is not"):
        check_expansion(ALWAYS_ALLOWED + 1, 1000)


def test_check_archive_counts_all_members(monkeypatch):
    monkeypatch.setattr("i3d_tf.system.expansion.ALWAYS_ALLOWED", 2**17)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(2**16))
        archive.writestr("b", bytes(2**16))
        check_archive(archive)
        archive.writestr("c", bytes(1))
    with (
        zipfile.ZipFile(file) as archive,
        pytest.raises(ValueError, match="unpack to 131,073"),
    ):
        check_archive(archive)


def test_check_archive_refuses_members_outside_of_the_file():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"content")
    for offset in (-1, 2**20):
        with zipfile.ZipFile(file) as archive:
            archive.infolist()[0].header_offset = offset
            with pytest.raises(zipfile.BadZipFile, match="said to be outside of it"):
                check_archive(archive)
