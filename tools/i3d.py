"""The command `i3d`, which has every tool as a subcommand.

i3d predict clip.mp4
i3d predict --help

Installing the package installs the command; `python tools/i3d.py` is the same in a source tree.
"""

import ast
import difflib
import importlib.util
import re
import sys
from pathlib import Path

from i3d_tf.specs.version import __version__
from i3d_tf.system.console import check_file_names, one_line_errors

FOLDER = Path(__file__).parent
NOT_A_TOOL = {"__init__", Path(__file__).stem}
HELP = ("--help", "-h", "help")


def main() -> None:
    """Runs the tool that the first argument names, as `python tools/NAME.py` does."""
    with one_line_errors():
        if len(sys.argv) == 1:
            print(help_text(), file=sys.stderr)
            sys.exit(1)
        name, *arguments = sys.argv[1:]
        if name in HELP:
            print(help_text())
            sys.exit(0)
        if name == "--version":
            print(f"i3d_tf {__version__}")
            sys.exit(0)
        tool = name.replace("-", "_")
        if tool not in tool_names():
            raise ValueError(_unknown(name))
    _run(tool, arguments)


def tool_names() -> list[str]:
    """Returns the names of the tools, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_A_TOOL)


def help_text() -> str:
    """Returns the text of `i3d --help`; it imports no tool."""
    width = max(map(len, tool_names()))
    lines = ["Inflated 3D ConvNets (I3D) for TensorFlow and Keras.", ""]
    lines += ["i3d TOOL [FLAGS] [ARGUMENTS]", "i3d TOOL --help", "i3d --version", "", "Tools:"]
    for name in tool_names():
        source = (FOLDER / f"{name}.py").read_text("utf-8")
        description = ast.get_docstring(ast.parse(source)).splitlines()[0]
        lines.append(f"  {name:{width}}  {as_command(description)}")
    return "\n".join(lines)


def as_command(text: str) -> str:
    """Returns text that names tools by their subcommand, not by their file."""
    return re.sub(r"(?:python )?\btools/(\w+)\.py\b", r"i3d \1", text)


def _unknown(name):
    """Returns the message about a subcommand that there is not."""
    word = name.replace("-", "_")
    near = [tool for tool in tool_names() if word and word in tool]
    near = near or difflib.get_close_matches(word, tool_names(), cutoff=0.6)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`i3d --help` lists the tools."
    return f"{name}: no such tool. {hint}"


def _run(name, arguments):
    """Imports a tool, whose flags absl then lists as those of the program, and runs its main."""
    from absl import app, flags

    sys.argv = [f"i3d {name}", *arguments]
    # absl's --help shows the docstring of `__main__` and the flags of the module that is named like
    # the program.
    spec = importlib.util.spec_from_file_location(sys.argv[0], FOLDER / f"{name}.py")
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for flag in flags.FLAGS.flags_by_module_dict().get(sys.argv[0], ()):
        flag.help = as_command(flag.help)
    sys.modules["__main__"].__doc__ = as_command(module.__doc__)
    parse = getattr(module, "parse_flags", None)  # where some flags are another tool's
    app.run(
        module.main,
        flags_parser=parse or (lambda argv: app.parse_flags_with_usage(check_file_names(argv))),
    )


if __name__ == "__main__":
    main()
