"""What is said when the input is wrong: one line that names the place and the mend."""


class InputError(ValueError):
    """Input that cannot be used: the message is one line naming file, row, option and mend.

    The command line prints the message after ``ophis:`` and ends with status 2.
    """


class PhotoError(InputError):
    """One photo that cannot be used; the work on the others goes on."""
