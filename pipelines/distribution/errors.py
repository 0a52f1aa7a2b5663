"""What is raised when a report could not be sent; the night goes on without it."""

from __future__ import annotations

from collections.abc import Sequence


class NotSentError(Exception):
    """One line without secrets, with the mend where it is known; the destination's name is put before it by others.

    taken: recipients for whom it was taken all the same.
    """

    def __init__(self, message: str, taken: Sequence[str] = ()):
        super().__init__(message)
        self.taken = tuple(taken)
