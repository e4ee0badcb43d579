"""Damaged records: every file that the tools write or a user lists things in.

A reader refuses a file in one line that names it, or reads it; of a file with a checksum it reads
what was written. What is damaged are bytes, values of JSON, cells of tables, and entries of
archives, with their checksums made right again.
"""

import io
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from hunt.case import WRONG, Case, Kind
from hunt.mutate import NUMBERS, TEXTS, damage, damage_json

FILES = Path(__file__).resolve().parent.parent / "compatibility" / "version_0_1"
BOMB_BYTES = 2**32  # that an entry of an archive unfolds to
KINETICS = "label,youtube_id,time_start,time_end,split,is_cc"


class Records(Kind):
    """Mutated records of every sort."""

    name = "records"
    limit = 60.0

    def prepare(self, folder: Path):
        """Unpacks the files of version 0.1, and writes lists of the datasets."""
        from i3d_tf.data.feature_file import (
            feature_contents,
            read_features,
            write_contents,
            write_features,
        )

        unpack(folder)
        data = folder / "data"
        videos = sorted(data.rglob("*.mp4"))
        rows = [f"{path.relative_to(data)},{path.parent.name},," for path in videos]
        (data / "splits").mkdir()
        (data / "splits/train.csv").write_text("\n".join(["path,label,start,end", *rows]) + "\n")
        (folder / "classes.txt").write_text("left\nright\nup\ndown\n")
        self._kinetics(folder / "kinetics", videos[0])
        self._ucf101(folder / "ucf", videos[0])
        self._hmdb51(folder / "hmdb", videos[0])
        clips = np.arange(2 * 9 * 8 * 8 * 3, dtype=np.uint32).astype(np.uint8)
        np.save(folder / "clips.npy", clips.reshape(2, 9, 8, 8, 3))
        save_npz(folder / "clips.npz", clips=clips.reshape(2, 9, 8, 8, 3))
        floats = clips.reshape(2, 9, 3, 8, 8).astype(np.float32) / np.float32(127.5) - 1
        np.save(folder / "floats.npy", floats)
        self._pictures(folder)
        features = folder / "features/moving.h5"  # version 0.1 had no checksum in it
        write_features(features, read_features(features))
        found = read_features(features)
        crops = replace(found, features=np.stack([found.features] * 2, axis=1))
        write_contents(feature_contents(folder / "features/cmcs.npz", crops, cmcs_name="moving"))
        self._ablation(folder / "ablation")
        (folder / "run/unreadable.json").write_text(json.dumps({"a.mp4": "cut", "b.mp4": "empty"}))

    @staticmethod
    def _ablation(folder):
        from i3d_tf.explain.video_logits import VideoLogits, write_video_logits

        folder.mkdir()
        rows = np.arange(12.0).reshape(4, 3)
        logits = VideoLogits({"rgb": {"original": rows[0], "reversed": rows[1]}}, {"rgb": rows}, 2)
        settings = {"seed": 0, "protocol": {"frames": 16}}
        path = folder / "moving.json"
        write_video_logits(logits, "moving.mp4", str(folder), settings, path, folder)

    @staticmethod
    def _pictures(folder):
        for name in ("frames", "flow_pictures"):
            (folder / name).mkdir()
        for number in range(9):
            picture = np.full((24, 32, 3), 20 * number, np.uint8)
            picture[:8, :8] = 255
            ending = "jpg" if number % 2 else "png"
            cv2.imwrite(str(folder / f"frames/img_{number:05}.{ending}"), picture)
            for axis in "xy":
                path = folder / f"flow_pictures/flow_{axis}_{number:05}.{ending}"
                cv2.imwrite(str(path), picture[..., 0])

    @staticmethod
    def _kinetics(folder, video):
        folder.mkdir()
        rows = [KINETICS]
        for number in range(3):
            name = f"abcdefghij{number}"
            rows.append(f"abseiling,{name},10,20,train,0")
            shutil.copy(video, folder / f"{name}_000010_000020.mp4")
        (folder / "train.csv").write_text("\n".join(rows) + "\n")

    @staticmethod
    def _ucf101(folder, video):
        (folder / "Left").mkdir(parents=True)
        shutil.copy(video, folder / "Left/v_Left_g01_c01.avi")
        (folder / "classInd.txt").write_text("1 Left\n2 Right\n")
        rows = "Left/v_Left_g01_c01.avi 1\nRight/v_Right_g01_c01.avi 2\n"
        (folder / "trainlist01.txt").write_text(rows)

    @staticmethod
    def _hmdb51(folder, video):
        folder.mkdir()
        shutil.copy(video, folder / "one.avi")
        (folder / "left_test_split1.txt").write_text("one.avi 1\ntwo.avi 2\n")
        (folder / "right_test_split1.txt").write_text("three.avi 1\none.avi 0\n")

    def warm_up(self, material: Path):
        """Imports what readers need."""
        import tensorflow  # noqa: F401

        from i3d_tf.zoo import checkpoint  # noqa: F401

    def run(self, case: Case):
        """Damages one record and reads it."""
        names = list(TARGETS)
        name = names[case.number % len(names)]
        make, read = TARGETS[name]
        folder = case.folder / "it"
        path = make(case, folder)
        whole = path.read_bytes()
        content, what, checked = damage_record(case, path.name, whole)
        case.title = f"{name}, {path.name}, {what}"
        path.write_bytes(content)
        before = read_whole(read, case.material, name)
        found, error = case.call(lambda: read(folder), name, None)
        if error is not None:
            self._check_names_file(case, error, folder)
        elif checked and not equal(found, before):
            case.found(WRONG, "other values were read, without a word")
        if (case.folder / "marker").exists():
            case.found(WRONG, "code of the file was run")

    @staticmethod
    def _check_names_file(case, error, folder):
        text = str(error)
        names = [path.name for path in folder.rglob("*")] + [folder.name]
        if not any(name in text for name in names):
            case.found("tracebacks", f"a line without the file's name: {text!r}")


def unpack(folder: Path):
    """Copies the files of version 0.1, and unpacks the archives among them."""
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    for path in folder.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)


def save_npz(path, **arrays):
    """Writes an .npz with the same bytes every time."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), npy(array))


def npy(array):
    """Returns an array in NumPy's format."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=True)
    return file.getvalue()


def damage_record(case, name, content):
    """Returns (bytes, what was done, whether a checksum tells of it)."""
    is_zip = content.startswith(b"PK")
    if name.endswith((".json", ".jsonl", ".journal")) and case.chance(0.75):
        return (*_damage_text(case, name, content.decode()), False)
    if name.endswith((".csv", ".txt")) and case.chance(0.7):
        return (*_damage_table(case, content.decode()), False)
    if is_zip and case.chance(0.6):
        return (*_damage_entry(case, content), False)
    if name.endswith(".npy") and case.chance(0.3):
        return (*_damage_npy(case, content), False)
    content, what, _ = damage(content, case, block=256)
    # A list has no checksum, and neither has a clip array of NumPy.
    is_checked = name.endswith((".npy", ".h5", ".png")) or is_zip
    return content, what, is_checked and name not in ("clips.npy", "floats.npy")


def _damage_text(case, name, text):
    if name.endswith(".json"):
        text, what = damage_json(text, case)
        return text.encode("utf-8", "surrogatepass"), what
    lines = text.splitlines()
    at = int(case.rng.integers(len(lines)))
    lines[at], what = damage_json(lines[at], case)
    end = "\n" if case.chance(0.8) else ""
    return ("\n".join(lines) + end).encode("utf-8", "surrogatepass"), f"line {at}: {what}"


def _damage_table(case, text):
    lines = text.splitlines()
    at = int(case.rng.integers(len(lines)))
    cells = lines[at].replace(" ", ",").split(",")
    column = int(case.rng.integers(len(cells)))
    value = case.pick([*TEXTS, *map(str, NUMBERS), '"', "\n", "\r", "\ufeff", "🎬", "/etc/passwd"])
    method = case.pick(["cell", "cell", "cell", "row", "drop", "columns", "many"])
    if method == "cell":
        separator = "," if "," in lines[at] else " "
        cells[column] = value
        lines[at] = separator.join(cells)
    elif method == "row":
        lines.insert(at, value)
    elif method == "drop":
        del lines[at]
    elif method == "columns":
        lines[at] += "," * int(case.rng.integers(1, 2000))
    else:
        lines[at:at] = [lines[at]] * 3000
    what = f"{method} at line {at}, {value[:20]!r}"
    return "\n".join(lines).encode("utf-8", "surrogatepass"), what


def _damage_entry(case, content):
    """Damages an entry of an archive, whose checksum is then right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    name = case.pick(entries)
    method = case.pick(["bytes", "bytes", "inside", "inside", "drop", "rename", "bomb", "compress"])
    what = f"{method} of {name}"
    compression = zipfile.ZIP_STORED
    if method == "drop":
        del entries[name]
    elif method == "rename":
        entries[case.pick(["../../out.npy", "/tmp/out.npy", "x.npy", ""])] = entries.pop(name)
    elif method == "compress":
        compression = zipfile.ZIP_DEFLATED
    elif method == "bomb":
        compression = zipfile.ZIP_DEFLATED
        header = entries[name][:128] if name.endswith(".npy") else b""
        entries[name] = header + bytes(2**26)
    elif method == "inside" and name.endswith(".npy"):
        entries[name], more = _damage_npy(case, entries[name])
        what += f", {more}"
    elif method == "inside" and name.endswith(".json"):
        text, more = damage_json(entries[name].decode(), case)
        entries[name] = text.encode("utf-8", "surrogatepass")
        what += f", {more}"
    else:
        entries[name], more, _ = damage(entries[name], case, block=64)
        what += f", {more}"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for entry, data in entries.items():
            archive.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), data, compression)
    return file.getvalue(), what


def _damage_npy(case, content):
    """Writes another header, another type, other values or an object into an .npy."""
    array = np.load(io.BytesIO(content), allow_pickle=False)
    method = case.pick(["shape", "shape", "dtype", "values", "object", "text", "order"])
    if method == "shape":
        shape = case.pick([(2**40,), (2**62, 4), (-1,), (0,), (), (10**9, 10**9), (1,) * 40])
        header = content[:128].replace(str(array.shape).encode(), str(shape).encode())
        length = int.from_bytes(content[8:10], "little")
        header = header[:10] + header[10:].strip().ljust(length - 1)[: length - 1] + b"\n"
        return header + content[10 + length :], f"shape {shape}"
    if method == "text" and array.dtype.kind == "U":
        text, what = damage_json(str(array), case)
        text = text.encode("utf-8", "replace").decode()
        return npy(np.array(text)), what
    if method == "object":
        return npy(np.array([Marker(str(case.folder / "marker"))], object)), "an object"
    return _damage_values(case, array, method)


def _damage_values(case, array, method):
    if method == "dtype" and array.dtype.kind in "fiub":
        dtype = case.pick(["<f2", "<f4", ">f8", "<c16", "<i8", "|b1", "<U3", "<f8"])
        return npy(array.astype(dtype)), f"type {dtype}"
    if method == "order" and array.ndim > 1:
        return npy(np.asfortranarray(array)), "by columns"
    if array.dtype.kind in "fi" and array.size:
        array = array.copy()
        value = case.pick([np.nan, np.inf, -np.inf, -1, 0, 1e300, 2.7])
        if array.dtype.kind == "i":
            value = case.pick([0, -1, 1, 2**62])
        with np.errstate(all="ignore"):
            array.reshape(-1)[int(case.rng.integers(array.size))] = value
        return npy(array), f"a value {value}"
    return npy(array), "nothing"


class Marker:
    """An object that writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


# ---- what is made, and how it is read


def _copy(*names, file):
    def make(case, folder):
        folder.mkdir()
        for name in names:
            source = case.material / name
            if source.is_dir():
                shutil.copytree(source, folder / name, copy_function=_link)
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                _link(source, folder / name)
        path = folder / (file if isinstance(file, str) else case.pick(file))
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        return path

    return make


def _link(source, target):
    os.link(source, target)


def _read_run(folder):
    from i3d_tf.training.workdir import Workdir
    from i3d_tf.zoo.checkpoint import open_checkpoint
    from i3d_tf.zoo.run_record import read_run

    read_run(folder / "run/run.json")
    opened = open_checkpoint(folder / "run")
    workdir = Workdir(folder / "run")
    with zipfile.ZipFile(FILES / "run.zip") as archive:
        settings = json.loads(archive.read("run/run.json"))["settings"]
    start = workdir.start(settings, {})
    return opened.class_names, opened.history, workdir.unreadable(), start.step


def _read_export(folder):
    from i3d_tf.export.metadata import read_saved_model_metadata

    return read_saved_model_metadata(folder / "export")


def _read_manifest(folder):
    from i3d_tf.zoo.checkpoint import open_checkpoint

    return open_checkpoint("tiny_rgb", folder / "checkpoints").class_names


def _read_classes(folder):
    from i3d_tf.data.class_names import read_class_names

    return read_class_names(folder / "classes.txt")


def _read_dataset(dataset, name, split):
    def read(folder):
        from i3d_tf.data.readers import read_dataset

        found = read_dataset(dataset, folder / name, split)
        found.report.lines()
        json.dumps(found.report.as_json())
        return len(found.examples)

    return read


def _read_quarantine(folder):
    from i3d_tf.data.quarantine import Quarantine, read_checks

    for name in ("quarantine.jsonl", "quarantine.jsonl.journal"):
        read_checks(folder / "videos" / name, torn_end=True)
    found = Quarantine(folder / "videos/quarantine.jsonl")
    return found.reason(str(folder / "videos/broken.mp4")), found.outdated


def _read_ablation(folder):
    from i3d_tf.explain.video_logits import read_video_logits

    logits, _ = read_video_logits(folder / "ablation/moving.json")
    assert {name: rows.shape for name, rows in logits.frozen.items()}
    return True


def _read_features(name):
    def read(folder):
        from i3d_tf.data.feature_file import is_feature_file, read_features

        is_feature_file(folder / name)
        found = read_features(folder / name)
        return found.features, found.times, json.dumps(found.metadata)

    return read


def _read_flow(folder):
    from i3d_tf.flow.flow_file import is_flow_file, open_flow_file

    is_flow_file(folder / "flow/moving.flow.zip")
    found = open_flow_file(folder / "flow/moving.flow.zip")
    return found.read(), json.dumps(found.metadata)


def _read_statistics(folder):
    from i3d_tf.metrics.frechet import FeatureStatistics, frechet_distance, is_statistics_file

    is_statistics_file(folder / "fvd_train.npz")
    found = FeatureStatistics.load(folder / "fvd_train.npz")
    distance = frechet_distance(found, FeatureStatistics.load(FILES / "fvd_train.npz"))
    values = np.linalg.eigvalsh(found.covariance)
    if values[0] < -1e-6 * max(1e-300, np.abs(values).max()):
        raise AssertionError(f"a covariance with a variance of {values[0]}")
    if not np.isfinite(distance):
        raise AssertionError(f"a distance of {distance}")
    return found.mean, found.covariance, found.count


def _read_frames(folder):
    from i3d_tf.video.decode import count_frames, read_clip
    from i3d_tf.video.probe import probe

    probe(folder / "frames")
    found = read_clip(folder / "frames", 50.0)
    if count_frames(folder / "frames", 50.0) != len(found):
        raise AssertionError(f"{len(found)} frames were read, and others counted")
    return found


def _read_flow_pictures(folder):
    from i3d_tf.flow.flow_folder import is_flow_folder, open_flow

    is_flow_folder(folder / "flow_pictures")
    return open_flow(folder / "flow_pictures").read()


def _read_clips(name, *layout):
    def read(folder):
        from i3d_tf.features.npy_clips import ArrayLayout, count_clips, iter_array_clips

        arguments = folder / name, 9, ArrayLayout(*layout)
        count = count_clips(*arguments)
        found = [list(clip.frames) for clip in iter_array_clips(*arguments)]
        if count != len(found):
            raise AssertionError(f"{count} clips were counted and {len(found)} read")
        return np.array(found)

    return read


def _read_reports(folder):
    from i3d_tf.evaluation.compare_reports import compare_reports

    return compare_reports(folder / "report_before", folder / "report_after").lines()[2:]


TARGETS = {
    "run": (
        _copy(
            "run", file=["run/run.json", "run/run.json", "run/history.jsonl", "run/unreadable.json"]
        ),
        _read_run,
    ),
    "export": (_copy("export", file="export/export.json"), _read_export),
    "manifest": (_copy("checkpoints", file="checkpoints/manifest.json"), _read_manifest),
    "classes": (_copy("classes.txt", file="classes.txt"), _read_classes),
    "csv": (_copy("data", file="data/splits/train.csv"), _read_dataset("csv", "data", "train")),
    "kinetics": (
        _copy("kinetics", file="kinetics/train.csv"),
        _read_dataset("kinetics400", "kinetics", "train"),
    ),
    "ucf101": (
        _copy("ucf", file=["ucf/classInd.txt", "ucf/trainlist01.txt"]),
        _read_dataset("ucf101", "ucf", "train1"),
    ),
    "hmdb51": (
        _copy("hmdb", file="hmdb/left_test_split1.txt"),
        _read_dataset("hmdb51", "hmdb", "train1"),
    ),
    "quarantine": (
        _copy("videos", file=["videos/quarantine.jsonl", "videos/quarantine.jsonl.journal"]),
        _read_quarantine,
    ),
    "ablation": (_copy("ablation", file="ablation/moving.json"), _read_ablation),
    "npy features": (
        _copy("features", file=["features/moving.npy", "features/moving.npy.json"]),
        _read_features("features/moving.npy"),
    ),
    "cmcs features": (
        _copy("features", file="features/cmcs.npz"),
        _read_features("features/cmcs.npz"),
    ),
    "npz features": (
        _copy("features", file="features/moving.npz"),
        _read_features("features/moving.npz"),
    ),
    "h5 features": (
        _copy("features", file="features/moving.h5"),
        _read_features("features/moving.h5"),
    ),
    "flow": (_copy("flow", file="flow/moving.flow.zip"), _read_flow),
    "statistics": (_copy("fvd_train.npz", file="fvd_train.npz"), _read_statistics),
    "npy clips": (_copy("clips.npy", file="clips.npy"), _read_clips("clips.npy")),
    "npz clips": (_copy("clips.npz", file="clips.npz"), _read_clips("clips.npz")),
    "float clips": (
        _copy("floats.npy", file="floats.npy"),
        _read_clips("floats.npy", "NTCHW", "-1..1"),
    ),
    "frames": (
        _copy("frames", file=[f"frames/img_{n:05}.{e}" for n, e in ((0, "png"), (3, "jpg"))]),
        _read_frames,
    ),
    "flow pictures": (
        _copy(
            "flow_pictures",
            file=["flow_pictures/flow_x_00002.png", "flow_pictures/flow_y_00003.jpg"],
        ),
        _read_flow_pictures,
    ),
    "report": (
        _copy("report_before", "report_after", file="report_after/report.json"),
        _read_reports,
    ),
}
_WHOLE: dict = {}


def read_whole(read, material, name):
    """Returns what a reader gives for the undamaged record, which is read once."""
    if name not in _WHOLE:
        _WHOLE[name] = read(material)
    return _WHOLE[name]


def equal(found, expected):
    """Returns whether two results of a reader are the same, NaN included."""
    if isinstance(found, tuple):
        return len(found) == len(expected) and all(map(equal, found, expected))
    if isinstance(found, np.ndarray):
        return found.dtype == expected.dtype and np.array_equal(found, expected, equal_nan=True)
    return found == expected
