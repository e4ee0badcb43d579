"""Builds the wheel and the source distribution: `python build_distributions.py FOLDER`.

Both are built from a copy of their sources, so that nothing of an earlier build gets into them, and
have fixed dates, owners and modes, so that the same sources always give the same bytes.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# What a source distribution has at its top besides the metadata that setuptools adds.
SOURCES = (
    *("CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md"),
    *("checkpoints", "i3d_tf", "pyproject.toml", "setup.py", "tools"),
)
DATE = 315532800  # 1980-01-01, the first day of zip files


def build_distributions(folder: Path) -> tuple[Path, Path]:
    """Builds both from the source tree; returns the paths of the wheel and of the sdist."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / "tree"
        copy_sources(tree)
        sdist = _build("sdist", tree, folder)
        make_reproducible(sdist)
        return build_wheel(tree, folder), sdist


def copy_sources(tree: Path) -> None:
    """Copies the sources, without caches, into a new folder."""
    tree.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, tree / name)
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def build_wheel(tree: Path, folder: Path) -> Path:
    """Builds the wheel of a source tree; returns its path."""
    return _build("wheel", tree, folder)


def make_reproducible(sdist: Path) -> None:
    """Rewrites a .tar.gz file with sorted names, and fixed dates, owners and modes."""
    rewritten = sdist.with_name(f"{sdist.name}.tmp")
    with (
        tarfile.open(sdist) as old,
        rewritten.open("wb") as output,
        gzip.GzipFile("", "wb", fileobj=output, mtime=DATE) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.mode = DATE, 0o755 if member.isdir() else 0o644
            member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    rewritten.replace(sdist)


def _build(kind, tree, folder):
    """Runs the project's build backend, as installers do."""
    code = f"from setuptools import build_meta as b; print(b.build_{kind}({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(DATE)},
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"The {kind} cannot be built.\n{done.stdout}{done.stderr}")
    return folder / done.stdout.split()[-1]


if __name__ == "__main__":
    for path in build_distributions(Path(sys.argv[1]).resolve()):
        print(f"{path}: {path.stat().st_size:,} bytes")
