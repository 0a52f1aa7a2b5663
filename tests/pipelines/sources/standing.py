"""Servers that serve all tests of a process, stopped when its session ends: workers of xdist never reach atexit."""

from contextlib import ExitStack

STANDING = ExitStack()
