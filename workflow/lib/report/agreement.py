"""Does a finished run agree with the published one: claim by claim, and job by job?

Both are judged anew from their tables, over the experiments that both have: so they have the same
claims and the same correction. A claim

* agrees if it has the same verdict in both, and the two intervals of each case overlap;
* is undecided if just one of the verdicts is INCONCLUSIVE, and the intervals overlap;
* contradicts if one verdict is PASS and the other FAIL, or if the intervals of a case lie apart.

A job has the same bits if its content hash is the published one. Other bits contradict where the
settings, code, data and platform (processor, backend, versions, variables such as XLA_FLAGS, and
the number of devices that shared the particles) are the same. Elsewhere bits are not compared:
other settings and code may give other numbers, and other platforms round differently.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workflow.lib.claims.cases import FAIL, NOT_RUN, PASS
from workflow.lib.report.pages import interval_text

AGREES, UNDECIDED, CONTRADICTS = "agrees", "undecided", "CONTRADICTS"
SAME_BITS, OTHER_BITS = "same bits", "OTHER BITS"
NOT_COMPARED = ("other settings", "other code or data", "other platform", "not published")
PLATFORM = ("cpu", "backend", "versions")
VARIABLES = ("NPROC", "XLA_FLAGS", "NVIDIA_TF32_OVERRIDE")
UNSAID = {"NPROC": "1"}  # of jobs of the workflow; older tables do not say it
ROUNDING = 1e-3  # relative: by as much, two intervals may miss each other and still overlap

Job = Mapping[str, Any]
Row = tuple[str, ...]


class Agreement(NamedTuple):
    """How a run agrees with the published one.

    Attributes:
        claims: a table of text, a row for each claim after one of headings.
        jobs: the same, with a row for each experiment.
        contradictions: a line for each claim and each job that contradicts the published run.
    """

    claims: list[Row]
    jobs: list[Row]
    contradictions: list[str]


def compare(
    own: Mapping[str, Any],
    published: Mapping[str, Any],
    own_jobs: Mapping[str, Sequence[Job]],
    published_jobs: Mapping[str, Sequence[Job]],
) -> Agreement:
    """Compare a run with the published one.

    Args:
        own: the ledger of the run, from `ledger.judge`.
        published: that of the published run, over the same experiments.
        own_jobs: {experiment: its jobs}, from the tables of the run.
        published_jobs: the same of the published run.
    """
    claims = [("claim", "here", "published", "estimate here", "published", "")]
    claims += [
        _claim(name, claim, published["claims"][name])
        for name, claim in own["claims"].items()
        if NOT_RUN not in (claim["verdict"], published["claims"][name]["verdict"])
    ]
    contradictions = [f"claim {row[0]}" for row in claims if row[-1] == CONTRADICTS]
    columns = (SAME_BITS, OTHER_BITS, *NOT_COMPARED)
    jobs = [("experiment", "jobs", *columns)]
    for name, listed in own_jobs.items():
        known = {_key(job): job for job in published_jobs[name]}
        found = {_key(job): _job(job, known.get(_key(job))) for job in listed}
        counts = Counter(found.values())
        jobs.append((name, str(len(found)), *(str(counts[column]) for column in columns)))
        contradictions += [
            f"{name}/{run}, seeds {seeds[0]}-{seeds[1]}: other values on the same platform"
            for (run, *seeds), status in found.items()
            if status == OTHER_BITS
        ]
    return Agreement(claims, jobs, contradictions)


def _claim(name: str, own: Mapping[str, Any], published: Mapping[str, Any]) -> Row:
    """Return the row of one claim.

    The estimates are those of its first case whose intervals lie apart, or else of the first that
    has the claim's own verdict.
    """
    pairs = list(zip(own["cases"], published["cases"], strict=True))
    apart = [pair for pair in pairs if not _overlap(*pair)]
    verdicts = [own["verdict"], published["verdict"]]
    if apart or set(verdicts) == {PASS, FAIL}:
        status = CONTRADICTS
    else:
        status = AGREES if verdicts[0] == verdicts[1] else UNDECIDED
    shown = (apart or [pair for pair in pairs if pair[0]["verdict"] == own["verdict"]] or pairs)[0]
    estimates = [interval_text(case["value"], case["low"], case["high"]) for case in shown]
    return name, *verdicts, *estimates, status


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether the intervals of two cases overlap, up to rounding, or one does not exist."""
    numbers = [case[bound] for case in (one, other) for bound in ("low", "high")]
    if None in numbers:
        return True
    slack = ROUNDING * max(map(abs, numbers))
    low, high, other_low, other_high = numbers
    return low <= other_high + slack and other_low <= high + slack


def _key(job: Job) -> tuple[Any, ...]:
    """Return what a job is: its run and its seeds."""
    return job["run"], *job["seeds"]


def _job(own: Job, published: Job | None) -> str:
    """Return how a job compares with the published one: the heading under which it is counted."""
    if published is None:
        return "not published"
    if own["content_sha256"] == published.get("content_sha256"):
        return SAME_BITS
    if own["spec_sha256"] != published.get("spec_sha256"):
        return "other settings"
    if own["code_sha256"] != published["code_sha256"]:
        return "other code or data"
    return OTHER_BITS if _platform(own) == _platform(published) else "other platform"


def _platform(job: Job) -> list[Any]:
    """Return what rounding depends on; a variable that is empty counts as one that is not set."""
    variables = job.get("variables", UNSAID)
    devices = job.get("devices", 1)  # older tables, of single devices, do not say it
    known = [job[name] for name in PLATFORM]
    return [*known, devices, *(variables.get(name) or "" for name in VARIABLES)]
