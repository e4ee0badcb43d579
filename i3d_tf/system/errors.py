"""The base of all errors that a user can fix."""


class UserError(Exception):
    """An error in the user's input, shown as its message without a traceback."""

    def reason_for(self, source: str) -> str:
        """Returns the message; errors that begin with the name of their source leave it out."""
        return str(self)
