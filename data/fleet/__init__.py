"""The sample fleet's making: a clock, shapes, the roster of series, faults, incidents, and the truth about them.

Nothing here is measured or copied; everything follows from a seed. ``data.sample_fleet`` is the door.
"""
