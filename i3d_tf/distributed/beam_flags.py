"""Options of Apache Beam on a command line, beside the flags of a tool."""

import contextlib
import io
import logging
from collections.abc import Sequence
from typing import Any

from i3d_tf.system.errors import UserError

INSTALL = "pip install 'i3d_tf[beam]'"


class BeamError(UserError):
    """A pipeline that ended early, or options that it does not have."""


def split_flags(arguments: Sequence[str], own: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divides a command line into what a tool knows and the options of Beam.

    Args:
        arguments: Flags and names of files; behind `--` there are names alone.
        own: Names of the tool's flags, which may begin with "no" where they are switches.

    Returns:
        Arguments of the tool, and `--name=value` of Beam's options.

    Raises:
        BeamError: Beam is not installed, or an option lacks its value.
    """
    known: dict[str, bool] | None = None
    ours: list[str] = []
    beams: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*ours, argument, *rest], beams
        name, equals, _ = argument.partition("=")
        plain = name.lstrip("-")
        if not name.startswith("--") or {plain, plain.removeprefix("no")} & set(own):
            ours.append(argument)
            continue
        known = _beam_flags() if known is None else known
        if name not in known:
            ours.append(argument)
        elif equals or not known[name]:
            beams.append(argument)
        elif rest:
            beams.append(f"{name}={rest.pop(0)}")
        else:
            raise BeamError(f"{name} needs a value. Give {name}=VALUE.")
    return ours, beams


def parse_options(options: Sequence[str]) -> Any:
    """Returns Beam's options.

    Args:
        options: `--name=value` each.

    Raises:
        BeamError: Beam is not installed, or an option has a wrong value.
    """
    beam_options = import_options()
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            parsed = beam_options.PipelineOptions(list(options))
            parsed.get_all_options()
    except SystemExit as error:  # as Beam's parser ends a program
        raise BeamError(printed.getvalue().strip().rpartition("error: ")[2] + ".") from error
    return parsed


def _beam_flags() -> dict[str, bool]:
    """Returns Beam's options: whether they take a value, by name."""
    beam_options = import_options()
    parser = beam_options._BeamArgumentParser(allow_abbrev=False, add_help=False)
    for options in beam_options.PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    return {name: action.nargs != 0 for action in parser._actions for name in action.option_strings}


def import_options() -> Any:
    """Imports Beam's module of options.

    Raises:
        BeamError: Beam is not installed.
    """
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # what it says of packages that are not there
    try:
        from apache_beam.options import pipeline_options
    except ImportError as error:
        raise BeamError(f"Apache Beam is not installed. Run {INSTALL}.") from error
    finally:
        logger.setLevel(level)
    return pipeline_options
