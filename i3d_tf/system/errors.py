"""The base of all errors that a user can fix."""


class UserError(Exception):
    """An error in what a user gave, not in the program: its message is all that is shown."""
