"""What is raised when a source cannot be used at all; single bad rows are rejects, not errors."""

DISK_FULL = "No space left on device"


class InputError(Exception):
    """Files are unusable; the message is one line that names file, column or row, and the mend."""


class NotFetchedError(Exception):
    """A server did not give what it was asked for; one line without secrets. The night goes on without it."""


def shown(text: str) -> str:
    """Text for a one-line message: control characters and the like are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def reading_failed(file: str, error: Exception, fault: str = "cannot be read") -> Exception:
    """What to raise when reading a file failed: an InputError, unless it was the disk that failed."""
    if DISK_FULL in str(error):
        return error
    return InputError(f"{file}: {fault} ({shown(str(error).splitlines()[0])}); copy or export it again")
