"""Build a job before its data, chosen hyperparameters and trained optimizers exist."""

from collections.abc import Mapping
from typing import Any

from tasks._lolv2 import NUM_WEIGHTS
from workflow.lib.data import prepared
from workflow.lib.plan import resolve
from workflow.lib.protocols._build import Assembled, assemble


def rehearse(job: Mapping[str, Any]) -> Assembled:
    """Build what a job runs, with stand-ins for all that it waits for.

    Args:
        job: a specification.

    Raises:
        ValueError: a hyperparameter is unknown, missing or of a wrong type; the task takes data and
            the job names none, or the reverse; or the job waits for a tuning run that is not there.
    """
    return assemble(resolve.stand_in(job, NUM_WEIGHTS), prepared.stand_in(job["data"]))
