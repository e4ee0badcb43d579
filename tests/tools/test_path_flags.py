"""A pipe in the place of every path of every tool: it is refused in one line, and never opened."""

import contextlib
import errno
import itertools
import json
import os
import shutil
import threading

import keras
import pytest
from absl import flags
from fixtures.tools import FORMER_FLAGS, TOOLS, loaded_tool

from i3d_tf.data.readers import read_dataset
from i3d_tf.evaluation.report import write_report
from i3d_tf.records.make_records import make_records
from i3d_tf.records.record_format import RecordFormat

TIME_LIMIT = 120  # seconds, after which whoever waits for the pipe is let go
NAMES = sorted({path.stem for path in TOOLS.glob("*.py")} - {"__init__", "i3d"})

# Text flags that are not paths, or whose paths are used only after hours, a download, or another
# file.
LATE = {
    ("beam", "records_dir"),
    ("train_stick_actions", "publish"),
    ("score", "exclusions"),
    ("score", "output_dir"),
    ("verify_release", "checkpoint_dir"),
    ("transfer", "checkpoint_dir"),
    ("homework", "checkpoint_dir"),
    ("homework", "network"),
}
OTHERS = {
    "base_url", "boundaries", "channels", "data_service", "dataset", "dispatcher",
    "endpoint", "explain_class", "explain_endpoint", "extra_files", "frame_rate", "head", "host",
    "keras_application",
    "learning_rates", "loss_gain", "model", "name", "networks", "optimizer", "overlaps",
    "prefix", "profile_file", "schedule", "second_dataset", "second_test_split",
    "second_train_split", "shard", "size", "split", "stream", "streams",
    "subset", "suffix", "test_split", "time_weights", "train_split",
}  # fmt: skip
# (tool, the flag with the path, "" for an argument, what else is given). DATA is a dataset, VIDEO a
# video of it, WHEN a table of its actions, BOXES its persons and MAP their actions, NEW a name that
# is free, RECORDS a shard of DATA, RGB and FLOW are folders of small networks, PERSONS and
# FLOW_PERSONS of such on boxes.
RGB, FLOW, NETWORK = ("--rgb_checkpoint=RGB",), ("--flow_checkpoint=FLOW",), ("--checkpoint=RGB",)
TRAIN = ("--dataset=class_folders", "--train_split=train", "--test_split=test", "--data_dir=DATA")
CLASSIFY = ("--features=DATA", "--data_dir=DATA", "--report_dir=NEW")
MAKE_RECORDS = ("--data_dir=DATA", "--split=train", "--output_dir=NEW")
BOXED_RECORDS = ("--data_dir=DATA", "--output_dir=NEW")
TWO_DATASETS = (*TRAIN, "--model=two_stream_2014", "--heads=a,b", "--workdir=NEW")
TIMED = ("--data_dir=DATA", "--intervals=WHEN")
TIMED_TRAIN = ("--task=multilabel", "--workdir=NEW", "--data_dir=DATA")
BOXED_TRAIN = ("--task=persons", "--workdir=NEW", "--data_dir=DATA")
TRUE, MAPPED = ("--data_dir=DATA", "--truth=BOXES"), ("--label_map=MAP", "--output_dir=NEW")
PERSONS = ("--checkpoint=PERSONS",)
TWO_REPORTS = ("REPORT", "REPORT")
ABLATE = (*RGB, "--data_dir=DATA", "--report_dir=NEW")
CASES = [
    ("ablate_time", "data_dir", (*RGB, "--report_dir=NEW")),
    ("ablate_time", "report_dir", (*RGB, "--data_dir=DATA")),
    ("ablate_time", "checkpoint", ("--data_dir=DATA", "--report_dir=NEW")),
    ("ablate_time", "rgb_checkpoint", ("--data_dir=DATA", "--report_dir=NEW")),
    ("ablate_time", "flow_checkpoint", ("--data_dir=DATA", "--report_dir=NEW")),
    ("ablate_time", "joint_checkpoint", ("--data_dir=DATA", "--report_dir=NEW")),
    ("ablate_time", "checkpoint_dir", ("--rgb_checkpoint=none", *ABLATE[1:])),
    ("ablate_time", "annotation", (*ABLATE, "--dataset=csv")),
    ("ablate_time", "quarantine", ABLATE),
    ("ablate_time", "", (*RGB, "--report_dir=NEW")),
    ("check_videos", "data_dir", ()),
    ("check_videos", "annotation", ("--data_dir=DATA", "--dataset=csv")),
    ("check_videos", "classes", ("--data_dir=DATA", "--dataset=class_folders")),
    ("check_videos", "quarantine", ("--data_dir=DATA",)),
    ("check_videos", "list", ("--data_dir=DATA",)),
    ("classify_features", "features", ("--data_dir=DATA", "--report_dir=NEW")),
    ("classify_features", "data_dir", ("--features=DATA", "--report_dir=NEW")),
    ("classify_features", "report_dir", ("--features=DATA", "--data_dir=DATA")),
    ("classify_features", "annotation", (*CLASSIFY, "--dataset=csv")),
    ("classify_features", "classes", CLASSIFY),
    ("classify_features", "quarantine", CLASSIFY),
    ("compare_architectures", "output_dir", ()),
    ("compare_reports", "", ("NEW",)),
    ("compare_reports", "report_dir", ("--fusion=logits", *TWO_REPORTS)),
    ("compute_flow", "flow_dir", ("VIDEO",)),
    ("compute_flow", "data_dir", ("--flow_dir=NEW", "VIDEO")),
    ("compute_flow", "list", ("--flow_dir=NEW",)),
    ("compute_flow", "", ("--flow_dir=NEW",)),
    ("convert", "source", ("--release=rgb_imagenet",)),
    ("convert", "source", ("--release=slim_inception_v1",)),
    ("convert", "source", ("--name=mine",)),
    ("convert", "source", ("--keras_application=MobileNet", "--inflate")),
    ("convert", "output_dir", ("--release=rgb_imagenet", "--download")),
    ("demo", "output_dir", ()),
    ("demo", "checkpoint_dir", ("--release", "VIDEO", "--output_dir=NEW")),
    ("evaluate", "data_dir", (*RGB, "--report_dir=NEW")),
    ("evaluate", "report_dir", (*RGB, "--data_dir=DATA")),
    ("evaluate", "checkpoint", ("--data_dir=DATA", "--report_dir=NEW")),
    ("evaluate", "rgb_checkpoint", ("--data_dir=DATA", "--report_dir=NEW")),
    ("evaluate", "flow_checkpoint", ("--data_dir=DATA", "--report_dir=NEW")),
    ("evaluate", "joint_checkpoint", ("--data_dir=DATA", "--report_dir=NEW")),
    ("evaluate", "checkpoint_dir", ("--rgb_checkpoint=none", "--data_dir=DATA", "--report_dir=N")),
    ("evaluate", "flow_dir", (*FLOW, "--data_dir=DATA", "--report_dir=NEW")),
    ("evaluate", "annotation", (*RGB, "--dataset=csv", "--data_dir=DATA", "--report_dir=NEW")),
    ("evaluate", "quarantine", (*RGB, "--data_dir=DATA", "--report_dir=NEW")),
    ("evaluate", "records", (*RGB, "--report_dir=NEW")),
    ("evaluate", "features", (*NETWORK, "--data_dir=DATA", "--report_dir=NEW")),
    ("evaluate_intervals", "data_dir", (*RGB, "--intervals=WHEN", "--output_dir=NEW")),
    ("evaluate_intervals", "intervals", (*RGB, "--data_dir=DATA", "--output_dir=NEW")),
    ("evaluate_intervals", "output_dir", (*RGB, *TIMED)),
    ("evaluate_intervals", "checkpoint", (*TIMED, "--output_dir=NEW")),
    ("evaluate_intervals", "rgb_checkpoint", (*TIMED, "--output_dir=NEW")),
    ("evaluate_intervals", "flow_checkpoint", (*TIMED, "--output_dir=NEW")),
    ("evaluate_intervals", "checkpoint_dir", (*TIMED, "--rgb_checkpoint=none", "--output_dir=NEW")),
    ("evaluate_intervals", "flow_dir", (*TIMED, *FLOW, "--output_dir=NEW")),
    ("evaluate_intervals", "quarantine", (*TIMED, *RGB, "--output_dir=NEW")),
    ("evaluate_persons", "data_dir", (*PERSONS, "--truth=BOXES", *MAPPED)),
    ("evaluate_persons", "truth", (*PERSONS, "--data_dir=DATA", *MAPPED)),
    ("evaluate_persons", "label_map", (*PERSONS, *TRUE, "--output_dir=NEW")),
    ("evaluate_persons", "output_dir", (*PERSONS, *TRUE, "--label_map=MAP")),
    ("evaluate_persons", "boxes", (*PERSONS, *TRUE, *MAPPED)),
    ("evaluate_persons", "exclusions", (*PERSONS, *TRUE, *MAPPED)),
    ("evaluate_persons", "quarantine", (*PERSONS, *TRUE, *MAPPED)),
    ("evaluate_persons", "flow_dir", ("--flow_checkpoint=FLOW_PERSONS", *TRUE, *MAPPED)),
    ("evaluate_persons", "checkpoint", (*TRUE, *MAPPED)),
    ("evaluate_persons", "rgb_checkpoint", (*TRUE, *MAPPED)),
    ("evaluate_persons", "flow_checkpoint", (*TRUE, *MAPPED)),
    ("evaluate_persons", "checkpoint_dir", ("--rgb_checkpoint=none", *TRUE, *MAPPED)),
    ("export", "checkpoint", ("--output_dir=NEW",)),
    ("export", "flow_checkpoint", (*NETWORK, "--output_dir=NEW")),
    ("export", "checkpoint_dir", ("--checkpoint=none", "--output_dir=NEW")),
    ("export", "output_dir", NETWORK),
    ("extract_features", "rgb_checkpoint", ("--output_dir=NEW", "VIDEO")),
    ("extract_features", "flow_checkpoint", ("--stream=flow", "--output_dir=NEW", "VIDEO")),
    ("extract_features", "checkpoint_dir", ("--rgb_checkpoint=none", "--output_dir=NEW", "VIDEO")),
    ("extract_features", "list", ("--output_dir=NEW",)),
    ("extract_features", "boxes", ("--output_dir=NEW", "VIDEO")),
    ("fvd", "real", (*NETWORK, "--generated=VIDEO")),
    ("fvd", "generated", (*NETWORK, "--real=DATA")),
    ("fvd", "save_statistics", (*NETWORK, "--real=DATA")),
    ("data_dispatcher", "work_dir", ("--port=0",)),
    ("fvd", "checkpoint", ("--real=DATA", "--generated=DATA")),
    ("fvd", "checkpoint_dir", ("--checkpoint=none", "--real=DATA", "--generated=DATA")),
    ("homework", "output_dir", ()),
    ("make_records", "data_dir", ("--output_dir=NEW",)),
    ("make_records", "output_dir", MAKE_RECORDS[:2]),
    ("make_records", "annotation", (*MAKE_RECORDS, "--dataset=csv")),
    ("make_records", "classes", MAKE_RECORDS),
    ("make_records", "quarantine", MAKE_RECORDS),
    ("make_records", "flow_dir", (*MAKE_RECORDS, "--flow_engine=dis")),
    ("make_records", "boxes", (*BOXED_RECORDS, "--label_map=MAP")),
    ("make_records", "label_map", (*BOXED_RECORDS, "--boxes=BOXES")),
    ("make_stick_actions", "data_dir", ()),
    ("map_features", "features", ("--data_dir=DATA", "--report_dir=NEW")),
    ("map_features", "data_dir", ("--features=DATA", "--report_dir=NEW")),
    ("map_features", "report_dir", ("--features=DATA", "--data_dir=DATA")),
    ("map_features", "annotation", (*CLASSIFY, "--dataset=csv")),
    ("map_features", "classes", CLASSIFY),
    ("map_features", "quarantine", CLASSIFY),
    ("predict", "checkpoint", ("VIDEO",)),
    ("predict", "rgb_checkpoint", ("VIDEO",)),
    ("predict", "flow_checkpoint", ("--stream=flow", "VIDEO")),
    ("predict", "joint_checkpoint", ("VIDEO",)),
    ("predict", "list", RGB),
    ("predict", "checkpoint_dir", ("--rgb_checkpoint=none", "VIDEO")),
    ("predict", "saved_model", ("VIDEO",)),
    ("predict", "boxes", (*PERSONS, "VIDEO")),
    ("predict", "output_video", (*RGB, "VIDEO")),
    ("predict", "output_dir", (*RGB, "VIDEO")),
    ("predict", "explain_output", (*RGB, "--explain=smoothgrad", "VIDEO")),
    ("predict", "", RGB),
    ("score", "truth", ("--rule=charades_classify", "--predictions=NEW")),
    ("score", "predictions", ("--rule=thumos14", "--truth=NEW")),
    ("score", "label_map", ("--rule=ava", "--truth=NEW", "--predictions=NEW")),
    ("show_filters", "output_dir", ("stick_actions_rgb",)),
    ("show_filters", "checkpoint_dir", ("--output_dir=NEW", "none")),
    ("show_filters", "", ("--output_dir=NEW",)),
    ("train", "data_dir", ("--workdir=NEW",)),
    ("train", "workdir", TRAIN),
    ("train", "flow_dir", (*TRAIN, "--workdir=NEW", "--stream=flow")),
    ("train", "init", (*TRAIN, "--workdir=NEW", "--transfer=full")),
    ("train", "checkpoint_dir", (*TRAIN, "--workdir=NEW", "--transfer=full", "--init=none")),
    ("train", "annotation", ("--data_dir=DATA", "--workdir=NEW", "--dataset=csv")),
    ("train", "classes", (*TRAIN, "--workdir=NEW")),
    ("train", "quarantine", (*TRAIN, "--workdir=NEW")),
    ("train", "second_data_dir", TWO_DATASETS),
    (
        "train",
        "second_annotation",
        (*TWO_DATASETS, "--second_data_dir=DATA", "--second_dataset=csv"),
    ),
    ("train", "second_quarantine", (*TWO_DATASETS, "--second_data_dir=DATA")),
    (
        *("train", "second_flow_dir"),
        (*TWO_DATASETS, "--second_data_dir=DATA", "--stream=flow", "--flow_engine=dis"),
    ),
    ("train", "intervals", TIMED_TRAIN),
    ("train", "test_intervals", (*TIMED_TRAIN, "--intervals=WHEN")),
    ("train", "boxes", (*BOXED_TRAIN, "--test_boxes=BOXES", "--label_map=MAP")),
    ("train", "test_boxes", (*BOXED_TRAIN, "--boxes=BOXES", "--label_map=MAP")),
    ("train", "label_map", (*BOXED_TRAIN, "--boxes=BOXES", "--test_boxes=BOXES")),
    ("train", "features", (*TRAIN, "--workdir=NEW")),
    ("train", "records", ("--workdir=NEW",)),
    ("train", "test_records", ("--records=RECORDS", "--workdir=NEW")),
    ("tasks", "output_dir", ()),
    ("train_stick_actions", "output_dir", ()),
    ("transfer", "output_dir", ()),
    ("verify_release", "sample_dir", ()),
    ("visualize_units", "checkpoint", ("--output_dir=NEW",)),
    ("visualize_units", "checkpoint_dir", ("--checkpoint=none", "--output_dir=NEW")),
    ("visualize_units", "output_dir", (*NETWORK, "--endpoint=Mixed_5c", "--channels=0")),
    ("web", "checkpoint", ()),
    ("web", "rgb_checkpoint", ()),
    ("web", "flow_checkpoint", ()),
    ("web", "checkpoint_dir", ("--checkpoint=none",)),
]
# Endings by which a path may be told to be of a kind.
ENDINGS = {
    ("fvd", "real"): ("", ".npy", ".npz", ".mp4"),
    ("fvd", "save_statistics"): (".npz",),
    ("predict", "checkpoint"): ("", ".keras"),
    ("predict", "rgb_checkpoint"): ("", ".keras"),
    ("predict", "output_video"): ("", ".mp4"),
    ("train", "init"): (".keras", ".weights.h5"),
    ("compute_flow", ""): (".mp4", ".txt"),
    ("show_filters", ""): (".keras", ".weights.h5"),
    ("convert", "source"): ("", ".h5"),
}
# Those that need a whole I3D, which takes seconds.
I3D = ("--rgb_checkpoint=stick_actions_rgb", "--flow_checkpoint=stick_actions_flow")
SLOW = [
    ("extract_features", "output_dir", (*I3D, "VIDEO")),
    ("extract_features", "flow_dir", (*I3D, "--stream=flow", "--output_dir=NEW", "VIDEO")),
    ("extract_features", "", (*I3D, "--output_dir=NEW")),
    ("predict", "timeline_dir", (*I3D, "--window=16", "VIDEO")),
]
RUNS = [(*case, ending) for case in CASES for ending in ENDINGS.get(case[:2], ("",))]
RUNS += [pytest.param(*case, "", marks=pytest.mark.slow) for case in SLOW]


@pytest.fixture(scope="module")
def data_dir(write_grey_video, tmp_path_factory):
    """A dataset of two classes with a video in each split."""
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "test"):
        for name in ("one", "two"):
            (folder / split / name).mkdir(parents=True)
            write_grey_video(folder / split / name / "a.mp4", range(0, 200, 5))
    (folder / "when.csv").write_text("id,start,end,class\ntest/one/a,0,1,one\ntest/two/a,0,1,two\n")
    (folder / "boxes.csv").write_text("test/one/a,0.5,0,0,1,1,7,0\n")
    (folder / "map.pbtxt").write_text('item {\n name: "one"\n id: 7\n}\n')
    return folder


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """RGB, FLOW and others to folders as training leaves them, with networks of a layer or two."""
    settings = {"test_frames": 16, "frame_rate": 25, "short_side": 48, "crop_size": 32}
    run = {
        "settings": {**settings, "test_windows": 1, "rgb_step": 1},
        "class_names": ["one", "two"],
    }
    folders = {}
    for name, channels in (("RGB", 3), ("FLOW", 2)):
        folders[name] = tmp_path_factory.mktemp("run")
        (folders[name] / "run.json").write_text(json.dumps(run))
        clips = keras.Input((None, None, None, channels))
        pooled = keras.layers.GlobalAveragePooling3D(name="Mixed_5c")(clips)
        model = keras.Model(clips, keras.layers.Dense(2)(pooled), name=name.lower())
        model.save(folders[name] / "best.keras")
    for name, channels in (("PERSONS", 3), ("FLOW_PERSONS", 2)):
        folders[name] = tmp_path_factory.mktemp("run")
        (folders[name] / "run.json").write_text(json.dumps(run))
        clip = keras.Input((None, None, None, channels), name="clip")
        boxes = keras.Input((None, 4), name="boxes")
        pooled = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling3D()(clip))
        both = keras.layers.Add()([boxes, keras.layers.Reshape((1, 4))(pooled)])
        model = keras.Model({"clip": clip, "boxes": boxes}, keras.layers.Dense(2)(both))
        model.save(folders[name] / "best.keras")
    return folders


@pytest.fixture(scope="module")
def shard(data_dir, tmp_path_factory):
    """Records of the dataset's training videos."""
    folder = tmp_path_factory.mktemp("records")
    form = RecordFormat("png", short_side=32)
    make_records(read_dataset("class_folders", data_dir, "train"), folder, "a", 1, form)
    return folder / "a-00000-of-00001"


@pytest.fixture
def report_dir(six_clips, tmp_path):
    """A report of six clips."""
    write_report(six_clips(), tmp_path / "report")
    return tmp_path / "report"


@contextlib.contextmanager
def watch(pipe):
    """Gives a list that is filled if the pipe is opened for reading; whoever did is let go."""
    done, readers = threading.Event(), []

    def look():
        waited = 0.0
        while not done.wait(0.1):
            waited += 0.1
            try:
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                readers.append(pipe)
            except OSError as error:
                if error.errno != errno.ENXIO:  # as it is without a reader
                    return
            if waited > TIME_LIMIT:
                os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield readers
    finally:
        done.set()
        watcher.join()


def test_watch_notices_a_reader(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with watch(pipe) as readers:
        assert pipe.read_bytes() == b""
    assert readers


@pytest.mark.parametrize("name", NAMES)
def test_every_text_flag_is_a_case_or_no_path(name):
    paths = {flag for tool, flag, _ in (*CASES, *SLOW) if tool == name and flag}
    before = set(flags.FLAGS)
    given = [f"--{flag}=x" for flag in paths] + ["--release=rgb_imagenet"] * (name == "convert")
    given += ["--rule=ava"] * (name == "score") + ["--dispatcher=x"] * (name == "data_worker")
    with loaded_tool(name, *given):
        added = [flags.FLAGS[flag] for flag in set(flags.FLAGS) - before]
        found = {flag.name for flag in added if isinstance(flag.value, str | list)}
        found |= {flag.name for flag in added if flag.flag_type() == "string"}
        found -= {flag.name for flag in added if flag.flag_type().endswith("enum")}
    former = {*itertools.chain(*FORMER_FLAGS.values())}
    late = {flag for tool, flag in LATE if tool == name}
    assert found - OTHERS - former - late == paths


@pytest.mark.parametrize(("tool", "flag", "others", "ending"), RUNS)
def test_pipe_in_the_place_of_a_path(
    run_tool,
    data_dir,
    shard,
    networks,
    report_dir,
    tmp_path,
    monkeypatch,
    tool,
    flag,
    others,
    ending,
):
    monkeypatch.chdir(tmp_path)
    pipe = tmp_path / f"pipe{ending}"
    os.mkfifo(pipe)
    places = {
        "DATA": data_dir,
        "VIDEO": data_dir / "test/one/a.mp4",
        "WHEN": data_dir / "when.csv",
        "BOXES": data_dir / "boxes.csv",
        "MAP": data_dir / "map.pbtxt",
        "NEW": tmp_path / "new",
        "RECORDS": shard,
        "REPORT": report_dir,
        **networks,
    }
    given = []
    for other in others:
        name, equals, value = other.rpartition("=")
        given.append(f"{name}{equals}{places.get(value, value)}")
    with watch(pipe) as readers:
        status, _, err = run_tool(tool, f"--{flag}={pipe}" if flag else pipe, *given)
    assert not readers
    assert status == 1
    assert str(pipe) in "\n".join(err)
    assert not any(line.startswith("Traceback") for line in err)
    assert pipe.is_fifo()


EXPORT = ("export", ("--checkpoint=FOLDER", "--output_dir=NEW"))
NAMED = ("export", ("--checkpoint=x", "--checkpoint_dir=FOLDER", "--output_dir=NEW"))
SAVED_MODEL = ("predict", ("--saved_model=FOLDER", "VIDEO"))
RELEASE = ("convert", ("--release=rgb_imagenet", "--source=FOLDER"))
PORT = ("convert", ("--name=mine", "--source=FOLDER"))
METADATA = {"format": "saved_model", "stream": "rgb", "class_names": [], "protocol": {}}
INDEX, DATA = "model.ckpt.index", "model.ckpt.data-00000-of-00001"
# (tool, arguments, texts of the other files in FOLDER, the pipe among them)
PARTS = [
    (*EXPORT, {"best.keras": ""}, "run.json"),
    (*EXPORT, {"run.json": "{}"}, "best.keras"),
    (*EXPORT, "RGB", "history.jsonl"),
    (*NAMED, {}, "manifest.json"),
    (*NAMED, {"manifest.json": '{"weights": {"x": {}}}'}, "x.weights.h5"),
    (*SAVED_MODEL, {}, "export.json"),
    (*SAVED_MODEL, {"export.json": json.dumps(METADATA)}, "saved_model.pb"),
    (
        *SAVED_MODEL,
        {"export.json": json.dumps(METADATA), "saved_model.pb": ""},
        "variables/variables.index",
    ),
    (*RELEASE, {DATA: "data"}, INDEX),
    (*RELEASE, {INDEX: "index"}, DATA),
    (*PORT, {DATA: "data"}, INDEX),
    (*PORT, {INDEX: "index"}, DATA),
    (*PORT, {INDEX: "index", DATA: "data"}, "model.ckpt.data-00001-of-00002"),
    ("train", (*TRAIN, "--workdir=FOLDER"), {}, "run.json"),
]


@pytest.mark.parametrize(("tool", "arguments", "texts", "name"), PARTS)
def test_pipe_in_the_place_of_a_file_in_a_folder(
    run_tool, data_dir, networks, tmp_path, monkeypatch, tool, arguments, texts, name
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    if texts == "RGB":
        shutil.copytree(networks["RGB"], folder)
    else:
        (folder / name).parent.mkdir(parents=True)
        for other, text in texts.items():
            (folder / other).write_text(text)
    os.mkfifo(folder / name)
    places = {"FOLDER": folder, "DATA": data_dir, "VIDEO": data_dir / "test/one/a.mp4"}
    given = []
    for argument in arguments:
        flag, equals, value = argument.rpartition("=")
        given.append(f"{flag}{equals}{places.get(value, value)}")
    with watch(folder / name) as readers:
        status, _, err = run_tool(tool, *given)
    assert not readers
    assert (status, err) == (1, [f"error: {folder / name}: it is not a regular file."])
