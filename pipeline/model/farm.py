"""What a farm is, and what is worth a warning in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.errors import Problem
from pipeline.model.guest import Guest
from pipeline.model.master import Base, Master


@dataclass(frozen=True, slots=True)
class DriverNeed:
    """Something to warn of, should a master have none of some drivers."""

    master: str
    hypervisor: str
    drivers: frozenset[str]
    """The names of kernel modules, with _ for -."""
    problem: Problem


Note = Problem | DriverNeed
"""What is, or may turn out to be, worth a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """The whole guest list."""

    name: str
    images: PurePosixPath
    """Where the host that runs the guests keeps their disks."""
    masters: Mapping[str, Master]
    guests: Mapping[str, Guest]
    """By name, in the order of the list."""
    warnings: tuple[Problem, ...] = ()
    """What is likely to be a mistake, though the list may say it."""
    driver_needs: tuple[DriverNeed, ...] = ()
    """The same, where it depends on what is in masters; each at the first guest that has it."""

    @property
    def bases(self) -> tuple[Base, ...]:
        """Every base that a guest asks for, once, in the order in which guests first ask."""
        return tuple(dict.fromkeys(guest.base for guest in self.guests.values()))
