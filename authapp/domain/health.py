"""What the readiness check needs to know."""

from typing import Protocol


class Readiness(Protocol):
    def is_migrated(self) -> bool:
        """Whether the database has the tables of this version, or of a newer one.

        Raises if it cannot be reached.
        """
        ...
