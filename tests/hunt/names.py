"""Odd names and odd things in the place of files.

A sound video is answered whatever its name; what is no video costs itself at most; a path that is
a pipe, a device or a folder is refused in one line, and never waited for.
"""

import os
import shutil
import socket
import unicodedata
from pathlib import Path

from hunt.case import LEFTOVER, WRONG, Case, Kind, hidden_below
from hunt.records import unpack

GOOD = "zz good.mp4"
STEMS = {
    "space": " a  b ",
    "NFC": "\u00fcber \u00e9",
    "NFD": unicodedata.normalize("NFD", "\u00fcber \u00e9"),
    "dash": "-i",
    "flag": "--help",
    "newline": "a\nb",
    "escape": "a\x1b[31mb\x07",
    "return": "a\rb",
    "tab": "a\tb",
    "delete": "a\x7fb\x9b",
    "emoji": "\U0001f3ac\U0001f469\u200d\U0001f3a4",
    "right to left": "a\u202egpj",
    "bytes": "a\udcff\udcfeb",  # no UTF-8
    "240": "n" * 236,
    "251": "n" * 251,
    "240 bytes of two": "\u00fc" * 118,
    "254 bytes of four": "\U0001f3ac" * 62,
    "percent": "a%s%d{0}{x}",
    "quotes": "a'b\"c`d$(touch x)",
    "stars": "a*b?[c]",
    "hidden": ".hidden",
    "dots": "...a..b",
    "colon": "http:",
    "equals": "a=b,c;d|e&f",
    "backslash": "a\\b\\n",
    "comma": "1,2,3",
    "html": "<img src=x onerror=alert(1)>",
    "semicolon": "con",
    "list": "a.txt",
    "npy": "a.npy",
    "part": "a.01234567.part",
}
THINGS = (
    *("dangling link", "link to itself", "link to a folder", "link to a video", "pipe", "socket"),
    *("device", "folder", "empty file", "text", "closed file", "closed folder", "link upwards"),
)
EMPTY_FOLDERS = {"folder", "closed folder", "link to a folder", "link upwards"}
TOOLS = ("compute_flow", "compute_flow", "check_videos", "predict", "extract_features")
FVD = (
    *("--checkpoint=tiny_rgb", "--checkpoint_dir=checkpoints"),
    *("--protocol=version_0_1", "--frames=9", "--size=32"),
)
TRAINING = (
    *("--data_dir=data", "--steps=1", "--batch_size=2", "--train_frames=9", "--test_frames=9"),
    *("--short_side=40", "--crop_size=32", "--width_multiplier=0.0625"),
)
# Flags that take a path: tool, the flag, and what else the tool needs.
FLAGS = (
    ("fvd", "--real", (*FVD, "--save_statistics=new.npz")),
    ("fvd", "--generated", (*FVD, "--real=fvd_train.npz")),
    ("fvd", "--save_statistics", (*FVD, "--real=data/train")),
    ("predict", "--saved_model", ("videos/moving.mp4",)),
    ("predict", "--rgb_checkpoint", ("videos/moving.mp4",)),
    ("predict", "--checkpoint_dir", ("--rgb_checkpoint=tiny_rgb", "videos/moving.mp4")),
    ("predict", "--output_video", ("--rgb_checkpoint=tiny_rgb", "videos/moving.mp4")),
    ("predict", "", ()),
    ("compute_flow", "--flow_dir", ("videos/moving.mp4",)),
    ("compute_flow", "--data_dir", ("--flow_dir=out",)),
    ("compute_flow", "", ("--flow_dir=out",)),
    ("check_videos", "--data_dir", ()),
    ("check_videos", "--quarantine", ("--data_dir=videos",)),
    ("check_videos", "--classes", ("--data_dir=data", "--dataset=class_folders", "--split=train")),
    ("check_videos", "--annotation", ("--data_dir=data", "--dataset=csv", "--split=train")),
    ("train", "--classes", (*TRAINING, "--dataset=class_folders", "--workdir=out")),
    ("train", "--annotation", (*TRAINING, "--dataset=csv", "--workdir=out")),
    ("train", "--quarantine", (*TRAINING, "--dataset=class_folders", "--workdir=out")),
    ("train", "--workdir", (*TRAINING, "--dataset=class_folders", "--init=none")),
    (
        "train",
        "--init",
        (*TRAINING, "--dataset=class_folders", "--workdir=out", "--transfer=full"),
    ),
    ("evaluate", "--report_dir", ("--data_dir=data", "--rgb_checkpoint=run")),
    ("evaluate", "--quarantine", ("--data_dir=data", "--rgb_checkpoint=run", "--report_dir=out")),
    ("evaluate", "--rgb_checkpoint", ("--data_dir=data", "--report_dir=out")),
    ("compare_reports", "", ("report",)),
    ("convert", "--source", ("--name=mine", "--output_dir=out")),
    ("convert", "--source", ("--release=rgb_imagenet", "--output_dir=out")),
    ("convert", "--source", ("--release=slim_inception_v1", "--output_dir=out")),
    ("export", "--checkpoint", ("--output_dir=out",)),
    ("show_filters", "", ("--output_dir=out",)),
    ("show_filters", "--output_dir", ("tiny_rgb", "--checkpoint_dir=checkpoints")),
    (
        "extract_features",
        "--output_dir",
        ("--rgb_checkpoint=tiny_rgb", "videos/moving.mp4", "--checkpoint_dir=checkpoints"),
    ),
    (
        "make_stick_actions",
        "--data_dir",
        ("--train_clips=1", "--test_clips=1", "--size=64", "--processes=1"),
    ),
)
FLAG_THINGS = (
    "pipe",
    "socket",
    "device",
    "zeros",
    "link to itself",
    "dangling link",
    "text",
    "empty file",
    "deep path",
    "long name",
    "zero byte",
    "manifest pipe",
    "run pipe",
)


class Names(Kind):
    """Odd names and things, given to the tools."""

    name = "names"
    limit = 90.0

    def prepare(self, folder: Path):
        """Unpacks files of every sort; one good video is what most cases need."""
        unpack(folder)

    def warm_up(self, material: Path):
        """Imports what the tools need."""
        import tensorflow  # noqa: F401

        from i3d_tf.features import extract_features  # noqa: F401
        from i3d_tf.inference import predictor  # noqa: F401

    def run(self, case: Case):
        """Runs a tool on odd inputs."""
        if case.number % 3 == 2:
            self._flag(case)
        else:
            self._videos(case)

    # ---- videos in a folder, or named

    def _videos(self, case):
        folder = case.folder / "videos"
        folder.mkdir()
        video = case.material / "videos/moving.mp4"
        shutil.copy(video, folder / GOOD)
        sound, odd = [GOOD], []
        for _ in range(int(case.rng.integers(1, 4))):
            if case.chance(0.6):
                stem = case.pick(STEMS)
                name = f"{STEMS[stem]}.mp4"
                place = folder
                if case.chance(0.2) and stem not in ("hidden", "list"):
                    place = folder / STEMS[stem]
                    if len(os.fsencode(place.name)) < 256:
                        place.mkdir(exist_ok=True)
                    name = "inside.mp4"
                if len(os.fsencode(name)) < 256:
                    shutil.copy(video, place / name)
                    (odd if stem == "hidden" else sound).append(stem)
            else:
                thing = case.pick(THINGS)
                if thing in odd:
                    continue
                make_thing(case, folder / f"{thing}.mp4", thing, video)
                odd.append(thing)
        tool = case.pick(TOOLS)
        by_folder = case.chance(0.6)
        case.title = f"{tool} of {sound[1:]} and {odd}, {'folder' if by_folder else 'names'}"
        self._answer(case, tool, folder, by_folder, odd, sound)

    def _answer(self, case, tool, folder, by_folder, odd, sound):
        names = sorted(os.listdir(folder), key=os.fsencode)
        named = [folder] if by_folder else ["--", *(folder / name for name in names)]
        if not by_folder and case.chance(0.5):
            os.chdir(folder)
            named = ["--", *names]
        output = case.folder / "out"
        network = ("--rgb_checkpoint=tiny_rgb", f"--checkpoint_dir={case.material}/checkpoints")
        if tool == "compute_flow":
            arguments = ("--flow_engine=dis", "--processes=1", "--short_side=24")
            run = case.run_tool(tool, f"--flow_dir={output}", *arguments, *named)
            made = find_outputs(output, ".flow.zip")
        elif tool == "extract_features":
            run = case.run_tool(tool, f"--output_dir={output}", *network, "--window=9", *named)
            made = find_outputs(output, ".npy")
        elif tool == "check_videos":
            run = case.run_tool(tool, f"--data_dir={folder}", "--processes=1")
            made = None
        else:
            window = ("--window=9", f"--timeline_dir={output}") if case.chance(0.3) else ()
            run = case.run_tool(tool, *network, "--top=1", *window, *named)
            made = None
        if run.status is None or "would both become" in str(run.err[-1:]):  # of two folders
            return
        if not odd and run.status != 0 and not has_long_name(folder):
            case.found(WRONG, f"{tool}: status {run.status} for sound videos: {run.err[-3:]}")
        shown = "\n".join([*run.out, *run.err])
        stopped = [line for line in run.err if line.startswith("error: ")]
        if not by_folder and EMPTY_FOLDERS & set(odd):  # named, and without a video: all is refused
            return
        if made is not None and not any(name.startswith("zz good") for name in made):
            case.found(WRONG, f"{tool}: the good video was not done: {run.err[-2:]}")
        if tool == "predict" and f"{GOOD}  (" not in shown:
            case.found(WRONG, f"{tool}: the good video was not answered: {run.err[-2:]}")
        if run.status == 1 and not stopped and tool != "check_videos":
            case.found(WRONG, f"{tool}: status 1 without a line that says why: {run.err[-3:]}")
        if output.exists() and (
            hidden := [
                path for path in hidden_below(output) if not path.startswith((".hidden", "..."))
            ]
        ):
            case.found(LEFTOVER, f"{tool}: {hidden[:3]}")

    # ---- things in the place of a file that a flag names

    def _flag(self, case):
        tool, flag, others = FLAGS[(case.number // 3) % len(FLAGS)]
        thing = case.pick(FLAG_THINGS)
        for name in os.listdir(case.material):
            if not name.endswith(".zip"):
                source = case.material / name
                if source.is_dir():
                    shutil.copytree(source, case.folder / name, copy_function=os.link)
                else:
                    os.link(source, case.folder / name)
        os.chdir(case.folder)
        suffix = case.pick(
            ["", "", ".mp4", ".npz", ".npy", ".json", ".csv", ".txt", ".keras", ".weights.h5"]
        )
        path = make_thing(case, case.folder / f"it{suffix}", thing, "videos/moving.mp4")
        argument = f"{flag}={path}" if flag else path
        case.title = f"{tool} {flag} {thing}{suffix}"
        before = set(hidden_below(case.folder))
        run = case.run_tool(tool, *others, argument)
        harmless = ("text", "empty file", "dangling link", "manifest pipe", "run pipe", "deep path")
        if run.status == 0 and thing not in harmless and flag != "--checkpoint_dir":
            case.found(WRONG, f"{tool}: it was accepted: {run.out[-1:]}")
        if hidden := sorted(set(hidden_below(case.folder)) - before):
            case.found(LEFTOVER, f"{tool}: {hidden[:3]}")


def make_thing(case, path: Path, thing: str, video):
    """Makes an odd thing at a path; returns the path to name, which is another for some."""
    if thing in NOWHERE:
        return NOWHERE[thing](path.parent)
    if thing in LINKS:
        path.symlink_to(LINKS[thing](path, video))
    elif thing in ("pipe", "socket", "folder", "empty file", "text"):
        MADE[thing](path)
    elif thing == "closed file":
        shutil.copy(video, path)
        path.chmod(0)
    else:
        path.mkdir()
        if thing == "closed folder":
            path.chmod(0)
        elif thing == "manifest pipe":
            os.mkfifo(path / "manifest.json")
        else:
            os.mkfifo(path / "run.json")
            shutil.copy(case.material / "run/best.keras", path)
    return path


def _make_socket(path):
    before = os.getcwd()
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(path.parent)  # the names of sockets are short
        made.bind(path.name)
    os.chdir(before)


def _linked_folder(path):
    (path.parent / "linked folder").mkdir(exist_ok=True)
    return "linked folder"


MADE = {
    "pipe": os.mkfifo,
    "socket": _make_socket,
    "folder": os.mkdir,
    "empty file": Path.touch,
    "text": lambda path: path.write_text("not what it should be\n" * 50),
}
LINKS = {  # to what
    "device": lambda path, video: "/dev/full",
    "zeros": lambda path, video: "/dev/zero",
    "link to itself": lambda path, video: path.name,
    "dangling link": lambda path, video: "nowhere.mp4",
    "link to a folder": lambda path, video: _linked_folder(path),
    "link upwards": lambda path, video: "..",
    "link to a video": lambda path, video: video,
}
NOWHERE = {
    "deep path": lambda folder: folder.joinpath(*["d" * 200] * 30),
    "long name": lambda folder: folder / ("n" * 300),
    "zero byte": lambda folder: f"{folder}/a\0b",
}


def has_long_name(folder):
    """Returns whether a name is so long that what is made of it may not fit."""
    return any(len(os.fsencode(name)) > 200 for _, _, names in os.walk(folder) for name in names)


def find_outputs(folder, suffix):
    """Returns the names of the files below a folder that end so."""
    return [name for _, _, names in os.walk(folder) for name in names if name.endswith(suffix)]
