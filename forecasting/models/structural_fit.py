"""Prophet's most probable coefficients for all series of a batch at once.

Belongs here: the objective of Taylor & Letham (2018) and its minimum. Not here: sample paths.

The model is Prophet's: Fourier terms for day and week, a line that may change its slope at 24 places, spread evenly
over what was observed (Prophet's 25th lies on the last observation, where it changes nothing), and normal noise. With s
the deviation of the noise and x the coefficients, of which d are the changes of slope, the negative log posterior is

    N log s + |y - X x|^2 / (2 s^2) + sum(x^2 / (2 prior^2)) + |d|_1 / 0.05 + 2 s^2

in Prophet's units: values over their largest magnitude, time over the length of what was observed.

Why it is fast: all that is needed of a series are the normal equations of 40 columns. Those of a gapless series are
sums over ramps and waves, known in closed form or read off running totals that all series share; gaps are then taken
away, hour by hour. Nothing is approximated. What remains is small: a lasso of 24 unknowns, once the others are
eliminated, solved by a primal-dual interior point method (Wright, 1997), with s following each step by its closed form.

Why a series has the same bits alone and in company: products are made series by series (stacked `matmul` and `solve`),
never for a whole batch in one call, whose order of summation depends on how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.history import DAY

WEEK = 7 * DAY
CHANGES = 24
DAILY, WEEKLY = 4, 3  # Fourier orders
LINE_PRIOR, WAVE_PRIOR, CHANGE_PRIOR, NOISE_PRIOR = 5.0, 10.0, 0.05, 0.5
FEWEST_DAYS_FOR_DAILY, FEWEST_DAYS_FOR_WEEKLY = 2, 14
SEEN_PHASES = 0.5  # of a cycle; waves through fewer would be free to swing where nothing was seen

# The columns of the design: the level, waves, and ramps, that of the line and one from each place where it may change.
LEVEL = 0
EVERY_DAY = slice(1, 1 + 2 * DAILY)
EVERY_WEEK = slice(EVERY_DAY.stop, EVERY_DAY.stop + 2 * WEEKLY)
WAVES = slice(EVERY_DAY.start, EVERY_WEEK.stop)
SLOPE = WAVES.stop
CHANGE = slice(SLOPE + 1, SLOPE + 1 + CHANGES)
RAMPS = slice(SLOPE, CHANGE.stop)
FREE = slice(0, CHANGE.start)  # all but the changes
COLUMNS = CHANGE.stop

RIDGE = np.full(CHANGE.start, WAVE_PRIOR**-2)
RIDGE[[LEVEL, SLOPE]] = LINE_PRIOR**-2

LEAST_NOISE = 1e-4  # of the largest magnitude: a perfect fit would send the posterior to infinity
ROUNDS, STEPS = 2, 7  # the weak priors of the free columns are weighed with the noise of the round before
CENTRING = 0.08  # how much of the duality gap a step aims to keep
PRECISION = 1e-7  # how near nought a change of slope is taken, so that no step divides by it
KEPT_INSIDE = 0.99  # how far a step may go towards the boundary
START = 1e-2  # a ridge, and the least part, before anything is known


@dataclass(frozen=True)
class Fit:
    """Coefficients of S series, in Prophet's units.

    coefficients: float64 [S, COLUMNS]. noise: float64 [S], the deviation of what is left.
    magnitude: float64 [S], the largest observed magnitude, by which values were divided.
    length: int64 [S], hours from the first observed one to the last (at least 1), by which time was divided.
    kinks: int64 [S, 1 + CHANGES], the first observed hour, and the hours at which the slope may change.
    """

    coefficients: np.ndarray
    noise: np.ndarray
    magnitude: np.ndarray
    length: np.ndarray
    kinks: np.ndarray

    def trend(self, hours: int) -> np.ndarray:
        """float64 [S, hours] from the first column of the values on, in their units."""
        change = np.zeros((len(self.kinks), hours))
        rows = np.broadcast_to(np.arange(len(self.kinks))[:, None], self.kinks.shape)
        np.add.at(change, (rows, self.kinks), self.coefficients[:, RAMPS])
        slope = np.cumsum(change, axis=1)
        rise = np.cumsum(slope, axis=1) - slope  # up to the begin of each hour
        return self.magnitude[:, None] * (self.coefficients[:, LEVEL, None] + rise / self.length[:, None])

    def rhythm(self, hours: int) -> np.ndarray:
        """float64 [S, hours] from the first column of the values on: what the waves add."""
        week = (self.coefficients[:, None, WAVES] @ waves(WEEK).T)[:, 0]
        return self.magnitude[:, None] * week[:, np.arange(hours) % WEEK]

    @property
    def mean_change(self) -> np.ndarray:
        """float64 [S]: mean magnitude of a change of slope, an hour; Prophet's 25th, which is nought, included."""
        total = np.abs(self.coefficients[:, CHANGE]).sum(axis=1)
        return self.magnitude * total / (CHANGES + 1) / self.length


def fit(values: np.ndarray) -> Fit:
    """The maximum of the posterior.

    Args:
        values: float64 [S, T], hourly and of moderate size (their squares must not overflow), NaN where not observed;
            at least one observed hour each.
    """
    seen = ~np.isnan(values)
    filled = np.where(seen, values, 0.0)
    magnitude = np.maximum(filled.max(axis=1), -filled.min(axis=1))
    magnitude = np.where(magnitude > 0, magnitude, 1.0)
    scaled = filled / magnitude[:, None]
    window = _Window.of(seen)
    gram, moment = _normal_equations(scaled, seen, window)
    coefficients, noise = _solve(gram, moment, np.square(scaled).sum(axis=1), window.count)
    return Fit(coefficients, noise, magnitude, window.length, window.kinks)


def waves(hours: int) -> np.ndarray:
    """float64 [hours, 2 (DAILY + WEEKLY)]: sine and cosine of each order, daily first."""
    turns = [order / DAY for order in range(1, DAILY + 1)] + [order / WEEK for order in range(1, WEEKLY + 1)]
    angle = 2 * np.pi * np.outer(np.arange(hours) % WEEK, turns)
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(hours, -1)


@dataclass(frozen=True)
class _Window:
    """From the first observed hour to the last: `count` were observed. kinks, length: as in `Fit`.

    absent: bool [S, COLUMNS], waves that the series is too short, or too patchy, for.
    """

    first: np.ndarray
    last: np.ndarray
    count: np.ndarray
    kinks: np.ndarray
    absent: np.ndarray

    @property
    def length(self) -> np.ndarray:
        return np.maximum(self.last - self.first, 1)

    @classmethod
    def of(cls, seen: np.ndarray) -> _Window:
        count = np.count_nonzero(seen, axis=1)
        column = np.nonzero(seen)[1]
        begin = np.cumsum(count) - count
        rank = np.linspace(0, count - 1, CHANGES + 2, axis=1)[:, :-1].round().astype(np.int64)
        kinks, last = column[begin[:, None] + rank], column[begin + count - 1]
        first = kinks[:, 0]
        absent = np.zeros((len(seen), COLUMNS), dtype=bool)
        days = (seen.shape[1] - first) / DAY
        absent[:, EVERY_DAY] = ((days < FEWEST_DAYS_FOR_DAILY) | _patchy(seen, DAY))[:, None]
        absent[:, EVERY_WEEK] = ((days < FEWEST_DAYS_FOR_WEEKLY) | _patchy(seen, WEEK))[:, None]
        return cls(first, last, count, kinks, absent)


def _patchy(seen: np.ndarray, period: int) -> np.ndarray:
    """Whether most phases of a cycle were never observed; bool [S]."""
    phases = [seen[:, phase::period].any(axis=1) for phase in range(period)]
    return np.count_nonzero(phases, axis=0) < SEEN_PHASES * period


def _normal_equations(scaled: np.ndarray, seen: np.ndarray, window: _Window) -> tuple[np.ndarray, np.ndarray]:
    """X'X [S, COLUMNS, COLUMNS] and X'y [S, COLUMNS] over the observed hours."""
    wave = waves(scaled.shape[1])
    gram, moment = _gapless(wave, window), _moments(scaled, wave, window)
    for row, (begin, end) in enumerate(zip(window.first, window.last + 1, strict=True)):
        gaps = begin + np.flatnonzero(~seen[row, begin:end])
        if len(gaps):
            ramps = np.maximum(gaps[:, None] - window.kinks[row], 0) / window.length[row]
            design = np.concatenate([np.ones((len(gaps), 1)), wave[gaps], ramps], axis=1)
            gram[row] -= design.T @ design
    moment[window.absent] = 0.0
    gram[window.absent] = 0.0
    gram.swapaxes(1, 2)[window.absent] = 0.0
    _diagonal(gram)[window.absent] = 1.0
    return gram, moment


def _gapless(wave: np.ndarray, window: _Window) -> np.ndarray:
    """X'X as if every hour of the window had been observed."""
    kinks, length, begin, end = window.kinks, window.length.astype(float), window.first, window.last + 1
    gram = np.empty((len(kinks), COLUMNS, COLUMNS))

    total, squared = _totals(wave), _totals(wave[:, :, None] * wave[:, None, :])
    gram[:, LEVEL, LEVEL] = end - begin
    gram[:, LEVEL, WAVES] = total[end] - total[begin]
    gram[:, WAVES, WAVES] = squared[end] - squared[begin]

    lasts = (end[:, None] - kinks).astype(float)
    shorter = np.minimum(lasts[:, :, None], lasts[:, None, :])
    apart = np.abs(lasts[:, :, None] - lasts[:, None, :])
    triangle = shorter * (shorter - 1) / 2
    gram[:, LEVEL, RAMPS] = lasts * (lasts - 1) / 2 / length[:, None]
    gram[:, RAMPS, RAMPS] = (triangle * (2 * shorter - 1) / 3 + apart * triangle) / np.square(length)[:, None, None]

    timed = _totals(wave * np.arange(len(wave))[:, None])
    under = (timed[end][:, None] - timed[kinks]) - kinks[:, :, None] * (total[end][:, None] - total[kinks])
    gram[:, RAMPS, WAVES] = under / length[:, None, None]
    gram[:, WAVES, RAMPS] = gram[:, RAMPS, WAVES].swapaxes(1, 2)
    gram[:, LEVEL + 1 :, LEVEL] = gram[:, LEVEL, LEVEL + 1 :]
    return gram


def _moments(scaled: np.ndarray, wave: np.ndarray, window: _Window) -> np.ndarray:
    """X'y. What lies under a ramp is the sum, over the hours after its kink, of the sums from each hour on."""
    since = np.cumsum(scaled[:, ::-1], axis=1)[:, ::-1]
    under = np.cumsum(since[:, ::-1], axis=1)[:, ::-1]
    under = np.concatenate([under, np.zeros((len(scaled), 1))], axis=1)
    moment = np.empty((len(scaled), COLUMNS))
    moment[:, LEVEL] = since[:, 0]
    moment[:, WAVES] = (scaled[:, None, :] @ wave)[:, 0]
    moment[:, RAMPS] = np.take_along_axis(under, window.kinks + 1, axis=1) / window.length[:, None]
    return moment


def _totals(columns: np.ndarray) -> np.ndarray:
    """Running totals over the hours, from nought."""
    return np.concatenate([np.zeros((1, *columns.shape[1:])), np.cumsum(columns, axis=0)])


def _solve(
    gram: np.ndarray, moment: np.ndarray, square: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The minimum: coefficients [S, COLUMNS] and noise [S].

    Args:
        square: [S], y'y. count: [S], observed hours.
    """

    def noise_variance(x: np.ndarray) -> np.ndarray:
        left = square + (x * (_times(gram, x) - 2 * moment)).sum(axis=1)
        return _likeliest_variance(left, count)

    start = gram.copy()
    _diagonal(start)[:] += START
    x = np.linalg.solve(start, moment[:, :, None])[:, :, 0]
    variance = noise_variance(x)
    lasso = _Lasso.around(x[:, CHANGE], variance / CHANGE_PRIOR)
    across = gram[:, FREE, CHANGE]
    for _ in range(ROUNDS):
        # For any changes d, the best free coefficients are those of no changes, less `follow` times d.
        free = gram[:, FREE, FREE].copy()
        _diagonal(free)[:] += variance[:, None] * RIDGE
        wanted = np.concatenate([across, moment[:, FREE, None]], axis=2)
        follow = np.linalg.solve(free, wanted)
        own = across.swapaxes(1, 2) @ follow
        reduced = gram[:, CHANGE, CHANGE] - own[:, :, :-1]
        pull = moment[:, CHANGE] - own[:, :, -1]
        for _ in range(STEPS):
            lasso = lasso.step(reduced, pull, variance / CHANGE_PRIOR)
            x = np.concatenate([follow[:, :, -1] - _times(follow[:, :, :-1], lasso.changes), lasso.changes], axis=1)
            variance = noise_variance(x)
    return x, np.sqrt(variance)


@dataclass(frozen=True)
class _Lasso:
    """An interior point of: minimise d'Hd / 2 - c'd + bound |d|_1, over changes d.

    A change is the difference of two parts that are not negative, up and down; the slack of a part is how much its
    gradient lies within the bound. At the minimum part times slack is nought everywhere. parts, slacks: [S, 2 CHANGES].
    """

    parts: np.ndarray
    slacks: np.ndarray

    @classmethod
    def around(cls, changes: np.ndarray, bound: np.ndarray) -> _Lasso:
        parts = np.maximum(_up_and_down(changes), 0.0) + START
        return cls(parts, np.repeat(bound[:, None], parts.shape[1], axis=1))

    @property
    def changes(self) -> np.ndarray:
        return self.parts[:, :CHANGES] - self.parts[:, CHANGES:]

    def step(self, H: np.ndarray, c: np.ndarray, bound: np.ndarray) -> _Lasso:
        """Newton's step towards where part times slack is, everywhere, a small share of what it is now."""
        off = bound[:, None] + _up_and_down(_times(H, self.changes) - c) - self.slacks
        aim = np.maximum(CENTRING * (self.parts * self.slacks).mean(axis=1), PRECISION * bound)[:, None]
        give = self.parts / self.slacks
        gives = give[:, :CHANGES] + give[:, CHANGES:]
        towards = aim / self.slacks - self.parts - give * off
        matrix = H.copy()
        _diagonal(matrix)[:] += 1 / gives
        wanted = (towards[:, :CHANGES] - towards[:, CHANGES:]) / gives
        move = np.linalg.solve(matrix, wanted[:, :, None])[:, :, 0]
        slack_move = off + _up_and_down(_times(H, move))
        part_move = aim / self.slacks - self.parts - give * slack_move
        return _Lasso(_moved(self.parts, part_move), _moved(self.slacks, slack_move))


def _up_and_down(changes: np.ndarray) -> np.ndarray:
    return np.concatenate([changes, -changes], axis=1)


def _moved(values: np.ndarray, move: np.ndarray) -> np.ndarray:
    """As far as possible, at most the whole move, with every value still positive."""
    shrink = np.maximum(-move / values, 0.0).max(axis=1, keepdims=True)
    return values + move * np.minimum(1.0, KEPT_INSIDE / np.maximum(shrink, KEPT_INSIDE))


def _likeliest_variance(left: np.ndarray, count: np.ndarray) -> np.ndarray:
    """[S]: where N log s + left / (2 s^2) + s^2 / (2 prior^2) is least."""
    left = np.maximum(left, 0.0)
    best = 2 * left / (count + np.sqrt(np.square(count) + 4 * left / NOISE_PRIOR**2))
    return np.maximum(best, LEAST_NOISE**2)


def _diagonal(matrices: np.ndarray) -> np.ndarray:
    """[S, n]: a view of the diagonals of contiguous [S, n, n]."""
    S, n, _ = matrices.shape
    return matrices.reshape(S, n * n)[:, :: n + 1]


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return (matrices @ vectors[:, :, None])[:, :, 0]
