"""Checks the wheel and the source distribution in a folder: `python check_distributions.py FOLDER`.

They have exactly the files they should have, with the bytes of the source tree, and no path of this
machine; they are the same when built again; and the source distribution builds the same wheel.
"""

import hashlib
import json
import os
import sys
import tarfile
import tempfile
import time
import zipfile
from email.parser import BytesParser
from pathlib import Path

from build_distributions import DATE, ROOT, SOURCES, build_distributions, build_wheel

NAME = "i3d_tf"
SHIPPED = ("stick_actions_flow", "stick_actions_rgb")
DIST_INFO = {
    *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt"),
}
EGG_INFO = {
    *("PKG-INFO", "SOURCES.txt", "dependency_links.txt", "entry_points.txt", "requires.txt"),
    "top_level.txt",
}
SUFFIXES = {".css", ".h5", ".json", ".py", ".txt"}
ENTRY_POINTS = "[console_scripts]\ni3d = i3d_tf.tools.i3d:main\n"


def main(folder: Path) -> None:
    """Checks both distributions; ends the program with every fault if there are any."""
    version = {}
    exec((ROOT / NAME / "specs/version.py").read_text("utf-8"), version)
    stem = f"{NAME}-{version['__version__']}"
    wheel, sdist = folder / f"{stem}-py3-none-any.whl", folder / f"{stem}.tar.gz"
    if {path.name for path in folder.iterdir()} != {wheel.name, sdist.name}:
        sys.exit(f"{folder}: it must have {wheel.name} and {sdist.name} alone.")
    faults = [
        *wheel_faults(wheel, stem),
        *sdist_faults(sdist, stem),
        *manifest_faults(),
        *rebuild_faults(wheel, sdist, stem),
    ]
    if faults:
        sys.exit("\n".join(faults))
    print(f"{wheel.name} and {sdist.name} have what they should have, and can be built again.")


def wheel_faults(wheel: Path, stem: str) -> list[str]:
    """Returns the faults of the wheel's files and metadata."""
    with zipfile.ZipFile(wheel) as archive:
        infos = archive.infolist()
        found = {info.filename: archive.read(info) for info in infos}
    expected = {name: path.read_bytes() for name, path in installed_files().items()}
    generated = {f"{stem}.dist-info/{name}" for name in DIST_INFO}
    faults = compare(wheel.name, found, expected, generated)
    for info in infos:
        mode = 0o664 if info.filename.endswith(".dist-info/RECORD") else 0o644
        if (info.external_attr >> 16 & 0o777, info.date_time) != (mode, time.gmtime(DATE)[:6]):
            faults.append(f"{wheel.name}: {info.filename} has another mode or date.")
    if faults:
        return faults
    if found[f"{stem}.dist-info/entry_points.txt"].decode() != ENTRY_POINTS:
        faults.append(f"{wheel.name}: entry_points.txt must be {ENTRY_POINTS!r}.")
    metadata = BytesParser().parsebytes(found[f"{stem}.dist-info/METADATA"])
    for field, value in {
        "Name": NAME,
        "Requires-Python": ">=3.10",
        "License-File": "LICENSE",
    }.items():
        if metadata[field] != value:
            faults.append(f"{wheel.name}: {field} must be {value}; received {metadata[field]}.")
    return faults


def sdist_faults(sdist: Path, stem: str) -> list[str]:
    """Returns the faults of the source distribution's files."""
    found = {}
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            if member.isfile():
                found[member.name] = archive.extractfile(member).read()
            elif not member.isdir():
                return [f"{sdist.name}: {member.name} is neither a file nor a folder."]
    expected = {f"{stem}/{name}": path.read_bytes() for name, path in source_files().items()}
    generated = {f"{stem}/{name}" for name in ("PKG-INFO", "setup.cfg")}
    generated |= {f"{stem}/{NAME}.egg-info/{name}" for name in EGG_INFO}
    return compare(sdist.name, found, expected, generated)


def manifest_faults() -> list[str]:
    """Returns the faults of the manifest of the networks that ship."""
    folder = ROOT / "checkpoints"
    rows = json.loads((folder / "manifest.json").read_text("utf-8"))["weights"]
    if set(rows) != set(SHIPPED):
        return [f"checkpoints/manifest.json: it must list {SHIPPED}; it lists {tuple(rows)}."]
    return [
        f"checkpoints/{row['file']}: its SHA-256 is not that of the manifest."
        for row in rows.values()
        if hashlib.sha256((folder / row["file"]).read_bytes()).hexdigest() != row["sha256"]
    ]


def rebuild_faults(wheel: Path, sdist: Path, stem: str) -> list[str]:
    """Builds both again elsewhere, and the wheel from the source distribution alone."""
    faults = []
    with tempfile.TemporaryDirectory() as temporary:
        for path in build_distributions(Path(temporary) / "again"):
            if path.read_bytes() != (wheel.parent / path.name).read_bytes():
                faults.append(f"{path.name}: a second build has other bytes.")
        with tarfile.open(sdist) as archive:
            archive.extractall(temporary, filter="data")
        (Path(temporary) / "from_sdist").mkdir()
        rebuilt = build_wheel(Path(temporary) / stem, Path(temporary) / "from_sdist")
        if rebuilt.read_bytes() != wheel.read_bytes():
            faults.append(f"{sdist.name}: the wheel built from it is not {wheel.name}.")
    return faults


def compare(archive, found, expected, generated):
    """Yields the differences between an archive's files and the expected ones.

    Args:
        archive: Name of the archive, for messages.
        found: Bytes of its files, by name.
        expected: Bytes of the files that come from the source tree, by name.
        generated: Names of the files that the build adds.
    """
    faults = [f"{archive}: {name} is missing." for name in {*expected, *generated} - set(found)]
    faults += [
        f"{archive}: {name} must not be in it." for name in set(found) - {*expected, *generated}
    ]
    faults += [
        f"{archive}: {name} has other bytes than the source tree."
        for name in set(found) & set(expected)
        if found[name] != expected[name]
    ]
    machine = {str(ROOT), str(Path.home()), sys.prefix, tempfile.gettempdir()} - {"/", os.sep}
    faults += [
        f"{archive}: {name} has the path {path} of this machine."
        for name, data in found.items()
        for path in machine
        if f"{path}/".encode() in data
    ]
    return sorted(faults)


def installed_files() -> dict[str, Path]:
    """Returns the files that an installed package has: name in the wheel -> source."""
    shipped = ("manifest.json", *(f"{name}.weights.h5" for name in SHIPPED))
    return {
        **{f"{NAME}/{name}": path for name, path in package_files(ROOT / NAME)},
        **{f"{NAME}/tools/{name}": path for name, path in package_files(ROOT / "tools")},
        **{f"{NAME}/checkpoints/{name}": ROOT / "checkpoints" / name for name in shipped},
    }


def source_files() -> dict[str, Path]:
    """Returns the files of the source distribution: name below its top -> source."""
    top = {name: ROOT / name for name in SOURCES if (ROOT / name).is_file()}
    inner = installed_files().values()
    return top | {path.relative_to(ROOT).as_posix(): path for path in inner}


def package_files(folder):
    """Yields (name below the folder, path) of its files, without caches."""
    for path in folder.rglob("*"):
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts:
            yield path.relative_to(folder).as_posix(), path


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
