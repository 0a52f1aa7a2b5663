"""What is raised when a source cannot be used at all; single bad rows are rejects, not errors."""


class InputError(Exception):
    """Files are unusable; the message is one line that names file, column or row, and the mend."""


def shown(text: str) -> str:
    """Text for a one-line message: control characters and the like are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
