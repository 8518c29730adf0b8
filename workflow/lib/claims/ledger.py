"""The claims ledger: each claim of the paper as an estimate, an interval and a verdict.

A claim names a statistic, the arguments of each of its cases, and the region where the paper says
that the statistic lies. A case is

* PASS if its whole interval is inside the region,
* FAIL if its whole interval is outside,
* INCONCLUSIVE if the interval straddles the region's border, or does not exist.

A claim passes if every case does, and fails if one does. To pass it needs all its cases, so that
each of them may use all of the claim's α (an intersection-union test, Berger 1982); to fail it
needs one, so that its n cases share it, α/n each. A claim whose experiments were not all run is
listed as NOT RUN, with those that are missing; it has no part in what follows.

Many claims are judged at once, so some would be judged wrongly at 95 % each. Claims therefore come
in families: those of statements of the abstract, and those of each experiment. Within a family
verdicts rest on intervals widened by Holm's step-down procedure (1979). With m claims, those that
intervals of coverage 1 - α/m decide (PASS or FAIL) are set aside; the others are judged again with
α over the number left, and so on until a round decides none. For independent claims no verdict of a
family is wrong with probability 1 - α (Shaffer 1980, since a claim may be decided either way). The
ledger shows, for every case, the interval that its verdict rests on; these intervals are no joint
confidence region. Beside it stand the interval and the verdict that the case would have by itself.
What is counted rather than sampled has an interval of no width: the first round decides it.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from workflow.lib.claims import comparisons
from workflow.lib.claims.cases import (
    INCONCLUSIVE,
    NOT_RUN,
    WORST_FIRST,
    Case,
)
from workflow.lib.plan import catalogue
from workflow.lib.results.sweeps import MissingRows

Seeds = Mapping[str, pd.DataFrame]
Jobs = Mapping[str, Sequence[Mapping[str, Any]]]


def _rows_about(claim: Mapping[str, Any], seeds: Seeds) -> pd.DataFrame:
    """Return the rows that a claim rests on; those of a single experiment are not copied."""
    names = catalogue.rests_on(claim)
    return seeds[names[0]] if len(names) == 1 else pd.concat([seeds[name] for name in names])


def holm_share(claims: Sequence[Callable[[float], str]]) -> float:
    """Return the share of α that each claim of a family has in the last round of Holm's procedure.

    Args:
        claims: each maps a share of α to its verdict.
    """
    left = list(claims)
    while left:
        share = 1 / len(left)
        undecided = [claim for claim in left if claim(share) == INCONCLUSIVE]
        if len(undecided) in (0, len(left)):
            return share
        left = undecided
    return 1.0


def family(claim: Mapping[str, Any]) -> str:
    """Return the family that a claim is judged in: that of the abstract, or of its experiment."""
    known = catalogue.load("statements")
    places = [known[number]["where"] for number in claim.get("statements", ())]
    if any(place.startswith("abstract") for place in places):
        return "abstract"
    return claim.get("experiment", catalogue.SUMMARY)


def judge(claims: Mapping[str, Mapping[str, Any]], seeds: Seeds, jobs: Jobs) -> dict[str, Any]:
    """Return the ledger, as plain JSON data: claims, statements, corrections, and the summary.

    Args:
        claims: {name: claim}, from `catalogue.load`.
        seeds: {experiment: the rows of every seed}, of those that were run.
        jobs: {experiment: the costs of its jobs}, of the same.

    Raises:
        ValueError: a case's arguments do not fit its statistic, or an experiment lacks a run; the
            line names the claim.
    """
    outcomes = comparisons.outcomes(seeds)
    judged: dict[str, list[Case]] = {}
    missing: dict[str, list[str]] = {}
    for name, claim in claims.items():
        missing[name] = [other for other in catalogue.rests_on(claim) if other not in seeds]
        if "experiment" not in claim and not missing[name]:
            missing[name] = [x for x in catalogue.tasks_of(claim) if x not in set(outcomes["task"])]
        if not missing[name]:
            data = _rows_about(claim, seeds) if "experiment" in claim else outcomes
            cases = [Case(name, claim, arguments, data) for arguments in claim["cases"]]
            try:
                _verdict(cases, 1.0)
                judged[name] = cases
            except MissingRows as error:
                missing[name] = [str(error)]
    members: dict[str, list[str]] = {}
    for name in judged:
        members.setdefault(family(claims[name]), []).append(name)
    shares = {
        group: holm_share([functools.partial(_verdict, judged[name]) for name in names])
        for group, names in members.items()
    }
    entries = {
        name: _entry(claim, judged[name], shares[family(claim)], seeds, jobs)
        if name in judged
        else {**claim, **_labels(claim), **_not_run(missing[name])}
        for name, claim in claims.items()
    }
    summary = comparisons.summary(outcomes).to_dict("records")
    return {
        "claims": entries,
        "statements": statements(entries),
        "correction": {
            group: {"claims": len(names), "share": shares[group]}
            for group, names in members.items()
        },
        "summary": [
            {key: None if value != value else value for key, value in row.items()}
            for row in summary
        ],
    }


def statements(judged: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the statements of the paper, each with the claims that judge it and their verdict.

    It is the worst of them; NOT RUN if one of them was not; None where no claim judges it.

    Args:
        judged: {claim: what the ledger says about it}.
    """
    found = {}
    for number, statement in catalogue.load("statements").items():
        names = [name for name, claim in judged.items() if number in claim.get("statements", ())]
        verdicts = {judged[name]["verdict"] for name in names}
        worst = NOT_RUN if NOT_RUN in verdicts else _worst(verdicts) if verdicts else None
        found[number] = {**statement, "claims": names, "verdict": worst}
    return found


def _verdict(cases: Sequence[Case], share: float) -> str:
    """Return the verdict of a claim that has a share of α."""
    return _worst(case.judge(share, len(cases))[1] for case in cases)


def _labels(claim: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind and the family of a claim."""
    return {"kind": catalogue.kind_of(claim), "family": family(claim)}


def _not_run(missing: Sequence[str]) -> dict[str, Any]:
    """Return what the ledger says about a claim for which experiments or runs are missing."""
    return {"cases": [], "verdict": NOT_RUN, "missing": list(missing)}


def _entry(
    claim: Mapping[str, Any], cases: Sequence[Case], share: float, seeds: Seeds, jobs: Jobs
) -> dict[str, Any]:
    """Return what the ledger says about one claim that is judged."""
    needed = catalogue.rests_on(claim)
    entries = [case.entry(share, len(cases)) for case in cases]
    costs = [job for name in needed for job in jobs[name]]
    frames = [seeds[name] for name in needed]
    scale = frames[0]["scale"].iloc[0]
    return {
        **claim,
        **_labels(claim),
        "cases": entries,
        "verdict": _worst(entry["verdict"] for entry in entries),
        "verdict_alone": _worst(entry["alone"]["verdict"] for entry in entries),
        "command": catalogue.command(claim, scale),
        "seconds": round(math.fsum(job["timings"]["wall_s"] for job in costs), 1),
        "memory_mb": max((job.get("peak_memory_mb") or 0.0 for job in costs), default=0.0) or None,
        "hardware": sorted({job.get("cpu") or job["device_kind"] for job in costs}),
        "scale": scale,
        "data": sorted({name for frame in frames for name in frame["data"].unique()} - {""}),
    }


def _worst(verdicts: Iterable[str]) -> str:
    """Return the worst of some verdicts."""
    found = set(verdicts)
    return next(name for name in WORST_FIRST if name in found)
