"""The base of all errors that a user can fix."""


class UserError(Exception):
    """An error in the user's input, shown as its message without a traceback."""
