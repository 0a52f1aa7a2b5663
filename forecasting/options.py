"""How forecasts are made: the options of this room."""

from typing import Annotated

from pydantic import Field

from features.options import Options

Share = Annotated[float, Field(ge=0, le=1)]


class ForecastingOptions(Options):
    history_days: Annotated[int, Field(ge=14, le=400)] = 90
    minimum_history_h: Annotated[int, Field(ge=24)] = Field(
        default=24, description="shorter histories are abstained from"
    )
    minimum_coverage: Share = Field(default=0.5, description="share of the last week's hours that must be observed")
    report_floor: Share = Field(
        default=0.05, description="paths and facts are kept for risks at or above this probability"
    )
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    learning_days: Annotated[int, Field(ge=0, le=365)] = Field(
        default=63, description="how far back a fleet's own settled past teaches the crossing model; 0: the prior alone"
    )
    learning_series: Annotated[int, Field(ge=0)] = Field(
        default=2000, description="at most so many series teach; which ones is decided by their ids"
    )
    prior: str = Field(
        default="shipped",
        description="what is known before the fleet has a past of its own: shipped, none, or the path of a prior file",
    )
    prophet_series: Annotated[int, Field(ge=0)] = Field(
        default=24, description="at most so many series a night enter the tournament with Prophet; 0 switches it off"
    )
