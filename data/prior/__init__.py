"""The prior of the crossing model: simulated fleets, openly licensed measurements, and what is learnt from both.

Belongs here: what a prior is learnt from, and the file that ships. Not here: how it is learnt or used
(``forecasting.learnt``). ``python -m data.prior`` is the door.
"""
