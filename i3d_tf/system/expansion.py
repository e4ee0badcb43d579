"""A limit on files that unpack to far more than they take, as those do that are made to harm."""

import os
import zipfile

MAX_EXPANSION = 100  # bytes unpacked for each byte of a file; numbers rarely give more than 10
ALWAYS_ALLOWED = 2**28  # bytes that even the smallest file may unpack to


def check_expansion(unpacked: int, packed: int) -> None:
    """Checks the bytes that a file unpacks to before it is unpacked.

    Args:
        unpacked: Bytes that the file says it unpacks to.
        packed: Its own bytes.

    Raises:
        ValueError: They are more than ALWAYS_ALLOWED and than MAX_EXPANSION times its own.
    """
    if unpacked > max(ALWAYS_ALLOWED, MAX_EXPANSION * packed):
        raise ValueError(f"its {packed:,} bytes unpack to {unpacked:,}, which is not plausible")


def check_archive(archive: zipfile.ZipFile) -> None:
    """Checks all members of a ZIP archive with `check_expansion`; they may overlap in the file.

    Raises:
        ValueError: They unpack to too much.
        BadZipFile: A member is outside of the file, which reading it would not say.
    """
    packed = 0 if archive.fp is None else archive.fp.seek(0, os.SEEK_END)
    members = archive.infolist()
    if not all(0 <= member.header_offset < packed for member in members):
        raise zipfile.BadZipFile("a part of it is said to be outside of it")
    check_expansion(sum(member.file_size for member in members), packed)
