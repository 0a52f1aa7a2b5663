"""What the incident report looks at: its options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from features.options import Options

Dimension = Literal["service", "severity", "team", "category"]


class IncidentOptions(Options):
    minimum_n: Annotated[int, Field(ge=6)] = Field(
        default=10, description="a month with fewer usable incidents shows counts only"
    )
    months: Annotated[int, Field(ge=2, le=240)] = Field(default=36, description="months shown, up to the night")
    trend_months: Annotated[int, Field(ge=2, le=240)] = Field(
        default=12, description="months before the night that the verdicts are about"
    )
    slices: tuple[Dimension, ...] = ("service", "severity", "team")
    slice_minimum: Annotated[int, Field(ge=6)] = Field(
        default=40, description="a service, team, ... with fewer incidents gets no numbers of its own"
    )
    slices_per_dimension: Annotated[int, Field(ge=1, le=100)] = Field(
        default=8, description="those with the most incidents"
    )

    @model_validator(mode="after")
    def _trend_is_shown(self) -> IncidentOptions:
        if self.trend_months > self.months:
            raise ValueError("trend_months must not exceed months, else verdicts are about months not shown")
        return self
