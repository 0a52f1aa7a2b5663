"""Maintenance and known-bad windows: where they are told, and what a night knew of them.

Belongs here: the settings of the sources, reading them, and the record of what was known on which night. Not here: what
a window hides (``features.known_bad``).
"""
