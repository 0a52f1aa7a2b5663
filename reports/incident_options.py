"""What the incident report looks at: its options, and the goals that people set themselves."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from features.options import Options
from reports.statistics.fdr import Method

Dimension = Literal["service", "severity", "team", "category"]
Measure = Literal["mttr", "mtta"]


class Goal(Options):
    """A median that shall change by a share until a day, such as -0.3 by the end of June."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    measure: Measure = "mttr"
    slice: dict[Dimension, str] = Field(
        default_factory=dict, max_length=1, description="such as {service: checkout}; empty: all incidents"
    )
    change: Annotated[float, Field(gt=-1, lt=0)] = Field(description="-0.3 is 30 % shorter")
    start: date = Field(alias="from", description="from this day on it shall change; what was before is the baseline")
    by: date
    baseline_days: Annotated[int, Field(ge=14, le=730)] = Field(default=90, description="days before it that set it")

    @model_validator(mode="after")
    def _ordered(self) -> Goal:
        if self.by <= self.start:
            raise ValueError("by must come after from")
        return self


class IncidentOptions(Options):
    minimum_n: Annotated[int, Field(ge=6)] = Field(
        default=10, description="a period with fewer usable incidents shows counts only"
    )
    months: Annotated[int, Field(ge=2, le=240)] = Field(default=36, description="months shown, up to the night")
    quarters: Annotated[int, Field(ge=0, le=80)] = Field(default=12, description="quarters shown, within the months")
    weeks: Annotated[int, Field(ge=0, le=260)] = Field(default=13, description="weeks shown, within the months")
    trend_months: Annotated[int, Field(ge=2, le=240)] = Field(
        default=12, description="months before the night that the verdicts and the recurring problems are about"
    )
    compare_days: Annotated[int, Field(ge=7, le=365)] = Field(
        default=90, description="the last so many days are held against as many before them; fewer where data are young"
    )
    slices: tuple[Dimension, ...] = ("service", "severity", "team")
    slice_minimum: Annotated[int, Field(ge=6)] = Field(
        default=40, description="a service, team, ... with fewer incidents gets no numbers of its own"
    )
    slices_per_dimension: Annotated[int, Field(ge=1, le=100)] = Field(
        default=8, description="those with the most incidents"
    )
    false_discovery: Method = Field(
        default="benjamini-hochberg",
        description="how the verdicts of a page are held together; benjamini-yekutieli is stricter and needs no"
        " assumption on how they depend on each other",
    )
    goals: tuple[Goal, ...] = ()
    problems: Annotated[int, Field(ge=0, le=100)] = Field(default=10, description="recurring problems shown at most")
    similar: Annotated[int, Field(ge=50, le=100)] = Field(
        default=85, description="how alike two titles must be, in percent, to be of one problem"
    )

    @model_validator(mode="after")
    def _trend_is_shown(self) -> IncidentOptions:
        if self.trend_months > self.months:
            raise ValueError("trend_months must not exceed months, else verdicts are about months not shown")
        return self
