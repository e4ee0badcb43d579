"""The base of all errors that a user can fix, and the messages of others."""

import os

MAX_REASON = 200  # characters


class UserError(Exception):
    """An error in the user's input, shown as its message without a traceback."""

    def reason_for(self, source: str) -> str:
        """Returns the message; errors that begin with the name of their source leave it out."""
        return str(self)


def short_reason(error: BaseException) -> str:
    """Returns the text of a library's error in one line, shortened; its type where it has none."""
    return " ".join(str(error).split())[:MAX_REASON].rstrip(".") or type(error).__name__


def message_of(error: BaseException) -> str:
    """Returns the message of an error; an error of the system begins with the file's name."""
    if not isinstance(error, OSError) or not error.errno or not error.strerror:
        return str(error)
    name = error.filename if error.filename2 is None else error.filename2
    if name is None:
        return f"{error.strerror.lower()}."
    name = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else name
    return f"{name}: {error.strerror.lower()}."
