"""Ticket policy: from tonight's risks and yesterday's tickets to tonight's ticket events. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from features.options import Options

Share = Annotated[float, Field(ge=0, le=1)]


class TicketPolicy(Options):
    """When a risk becomes a ticket, when a ticket changes, and when it is over."""

    open_at: Share = Field(default=0.7, description="opens at this probability within the horizon")
    resolve_below: Share = Field(
        default=0.35, description="an open ticket is resolved below this; between the two it is kept"
    )
    horizon_h: Literal[24, 72, 168] = 168
    hold_nights: Annotated[int, Field(ge=1, le=14)] = Field(
        default=1, description="nights in a row that must agree before opening"
    )
    max_new_per_night: Annotated[int, Field(ge=1)] = Field(
        default=20, description="the most probable first; the rest wait a night"
    )
    update_p: Share = Field(default=0.15, description="a change of probability worth an update")
    update_eta_h: Annotated[int, Field(ge=1)] = Field(
        default=24, description="a change of the expected time worth an update"
    )

    @model_validator(mode="after")
    def _ordered(self) -> TicketPolicy:
        if self.resolve_below > self.open_at:
            raise ValueError("resolve_below must not exceed open_at, else a ticket opens and resolves every night")
        return self
