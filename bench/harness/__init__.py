"""What a subject needs: the laboratory's servers, and the kinds of work that contenders can do."""

from . import postgres_fdw
from .laboratory import Laboratory
from .work import Pgbench, Timed, Work

__all__ = ["Laboratory", "Pgbench", "Timed", "Work", "postgres_fdw"]
