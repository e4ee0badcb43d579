"""The one error of everything that reads or writes a video."""

from i3d_tf.system.errors import UserError


class VideoError(UserError):
    """A video that cannot be read or written.

    Attributes:
        path: The file as it was named; "<bytes>" for one given as bytes.
        reason: What is wrong with it, in words.
    """

    path: str
    reason: str

    def __init__(self, path: str, reason: str):
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self):
        return f"{self.path}: {self.reason}"

    def reason_for(self, source: str) -> str:
        """Returns the reason alone if the error is about this source, else the whole message."""
        return self.reason if source == self.path else str(self)


def reason_of(error: Exception) -> str:
    """Returns the text of an error, without numbers and paths.

    Args:
        error: OSError or av.error.FFmpegError.
    """
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
