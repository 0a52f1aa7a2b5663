"""What ends a command, beside unusable settings, input or warehouse (which their own modules define)."""


class RunFailedError(Exception):
    """The run began and failed; what was published before stays whole. The message is one line."""
