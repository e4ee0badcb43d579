"""Uses an installed package as a user does: `python check_installation.py ENVIRONMENT`.

The package is installed in a virtual environment; here it runs from other folders, where neither
the environment nor the home folder can be written, and where nothing of the source tree is found.
"""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Root may write everywhere, unless it gives these capabilities up.
CAPABILITIES = "-dac_override,-dac_read_search,-fowner"
NETWORKS = ("--rgb_checkpoint=stick_actions_rgb", "--flow_checkpoint=stick_actions_flow")
WHERE = """import sys, i3d_tf
print(i3d_tf.__file__, i3d_tf.__version__, {"keras", "numpy", "tensorflow"} & set(sys.modules))
"""
WRITE = """import pathlib, sys
for folder in sys.argv[1:]:
    try:
        pathlib.Path(folder, "written").touch()
        print(folder)
    except PermissionError:
        pass
"""
LOAD = """import sys, i3d_tf, i3d_tf.system.console as console
console.quiet_tensorflow()
i3d_tf.load("stick_actions_rgb")
names = [getattr(i3d_tf, name) for name in i3d_tf.__all__]
print(*(module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)))
"""


class Installation:
    """An environment with the package, and the folders in which its commands run."""

    def __init__(self, environment: Path, folder: Path):
        self.bin = environment / "bin"
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir()
        self.work.mkdir()
        self.variables = {
            "HOME": str(self.home),
            "I3D_TF_OFFLINE": "1",
            "PATH": f"{self.bin}:/usr/bin:/bin",
        }

    def start(self, *command, cwd=None) -> subprocess.Popen:
        """Starts a command of the environment without the right to write read-only folders."""
        drop = []
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                sys.exit("setpriv (util-linux) is needed when this runs as root.")
            drop = ["setpriv", f"--bounding-set={CAPABILITIES}", f"--inh-caps={CAPABILITIES}"]
        program, *arguments = map(str, command)
        return subprocess.Popen(
            [*drop, self.bin / program, *arguments],
            cwd=cwd or self.work,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command, status=0, cwd=None) -> tuple[str, str]:
        """Runs a command, whose exit status must be `status`; returns its stdout and stderr."""
        start = time.monotonic()
        process = self.start(*command, cwd=cwd)
        out, err = process.communicate(timeout=600)
        line = " ".join(map(str, command)).replace("\n", " ")
        print(f"{time.monotonic() - start:6.2f} s  {line:.80}", flush=True)
        expect(process.returncode == status, f"exit status {process.returncode}\n{out}{err}")
        return out, err


def main(environment: Path) -> None:
    """Runs every check; ends the program at the first one that fails."""
    (site,) = environment.glob("lib/python3*/site-packages")
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation(environment, Path(folder))
        with read_only(environment, installation.home):
            out, _ = installation.run("python", "-c", WRITE, site, site / "i3d_tf", "../home")
            expect(out == "", f"these folders can be written:\n{out}")
            check_package(installation, site)
            check_command(installation)
            check_predictions(installation, site)
            check_stop(installation)
        expect(not any(installation.home.iterdir()), "the home folder was written")
    print("The installed package works.")


def check_package(installation, site):
    """Imports the package from the root folder, quietly and from the environment alone."""
    out, err = installation.run("python", "-c", WHERE, cwd="/")
    file, version, heavy = out.split()
    expect((Path(file), heavy, err) == (site / "i3d_tf/__init__.py", "set()", ""), out + err)
    expect(installation.run("i3d", "--version")[0] == f"i3d_tf {version}\n", "other version")


def check_command(installation):
    """Asks the command for its help, and for a tool that there is not."""
    out, err = installation.run("i3d", "--help", cwd="/")
    expect("\n  predict " in out and err == "", out + err)
    out, _ = installation.run("i3d", "predict", "--help", status=1)  # absl's own status
    expect("\ni3d predict:\n  --" in out, out)
    _, err = installation.run("i3d", "predcit", status=1)
    expect(err == "error: predcit: no such tool. Did you mean predict?\n", err)


def check_predictions(installation, site):
    """Renders clips and classifies some, with the networks that ship."""
    data = installation.work / "clips"
    one_each = ("--train_clips=1", "--test_clips=1")
    installation.run("i3d", "make_stick_actions", f"--data_dir={data}", *one_each)
    clips = sorted(data.rglob("*.mp4"))
    expect(len(clips) == 24, f"{len(clips)} clips")
    out, err = installation.run("i3d", "predict", "--json", NETWORKS[0], data, cwd="/")
    expect(err.count("error") == 0, err)
    records = [json.loads(line) for line in out.splitlines()]
    correct = sum(record["top"][0]["class"] in record["path"] for record in records)
    expect(len(records) == 24 and correct >= 22, f"{correct} of {len(records)} are correct\n{out}")
    out, _ = installation.run("i3d", "predict", "--stream=joint", *NETWORKS, clips[0])
    expect("(joint, 16 frames" in out, out)
    _, err = installation.run("i3d", "predict", clips[0], status=1)
    expect(err.startswith("error: rgb_imagenet: not in ") and err.count("\n") == 1, err)
    out, _ = installation.run("python", "-c", LOAD, cwd="/")
    files = [Path(file) for file in out.split()]
    foreign = [file for file in files if ROOT in file.parents and site not in file.parents]
    expect(site / "i3d_tf/zoo/pretrained.py" in files and not foreign, f"imported: {foreign}")


def check_stop(installation):
    """Stops a job that has worker processes with SIGTERM."""
    data = installation.work / "stopped"
    process = installation.start("i3d", "make_stick_actions", f"--data_dir={data}")
    deadline = time.monotonic() + 120
    while not any(data.rglob("*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    stopped = (128 + signal.SIGTERM, "", "Stopped; what was finished is kept.\n")
    expect((process.returncode, out, err) == stopped, f"{process.returncode}\n{out}{err}")


@contextlib.contextmanager
def read_only(*folders):
    """Takes the right to write away from folders and all folders in them, for a while."""
    modes = {}
    for top in folders:
        for path, _, _ in os.walk(top):
            modes[path] = stat.S_IMODE(os.lstat(path).st_mode)
    try:
        for path, mode in modes.items():
            os.chmod(path, mode & 0o555)
        yield
    finally:
        for path, mode in modes.items():
            os.chmod(path, mode)


def expect(condition, message):
    """Ends the program with a message if a condition is false."""
    if not condition:
        sys.exit(f"The installed package fails: {message}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
