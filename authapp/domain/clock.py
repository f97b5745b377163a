"""What time it is: the database's, so that the clocks of the machines that serve do not matter."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime: ...
