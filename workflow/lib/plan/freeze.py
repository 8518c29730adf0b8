"""The frozen plan: which claims and settings were fixed, at which commit, before their seeds ran.

`results/published/plan.json` has one entry for each time that the plan was fixed: hashes of every
claim and of every experiment's settings and seeds at laptop scale, the commit, the date, the reason
if it is not the first, and what the pilot runs say about the power. `publish` refuses a run whose
claims or settings are not those of the last entry.
"""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow.lib.common import provenance, store
from workflow.lib.plan import catalogue, spec

FILE = Path("results/published/plan.json")
SCALE = "laptop"
Plan = Mapping[str, Any]


def read(root: Path) -> dict[str, Any]:
    """Return the plan; one without entries if there is none.

    Args:
        root: the repository's folder.
    """
    return store.read_json(root / FILE) if (root / FILE).exists() else {"entries": []}


def now() -> dict[str, Any]:
    """Return the hashes of all claims, and the hash and seeds of every experiment's settings."""
    claims = catalogue.load("claims").items()
    return {
        "claims": {name: spec.sha256(claim) for name, claim in claims},
        "experiments": {name: _experiment(name) for name in spec.experiments()},
    }


def _experiment(name: str) -> dict[str, Any]:
    """Return the hash of the settings of an experiment at laptop scale, and its seeds."""
    jobs = [job.spec for job in spec.jobs(SCALE, (name,))]
    seeds = [seed for job in jobs for seed in job["seeds"]]
    return {"sha256": spec.sha256({"jobs": jobs}), "seeds": [min(seeds), max(seeds)]}


def differences(plan: Plan, present: Mapping[str, Any]) -> list[str]:
    """Return the claims and experiments that are not those of the last entry of a plan.

    Args:
        plan: from `read`.
        present: from `now`.
    """
    last = plan["entries"][-1] if plan["entries"] else {"claims": {}, "experiments": {}}
    return [
        f"{kind[:-1]} '{name}'"
        for kind in ("claims", "experiments")
        for name in sorted({*last[kind], *present[kind]})
        if last[kind].get(name) != present[kind].get(name)
    ]


def refusal(root: Path) -> str:
    """Return why a run cannot be published under the plan, in one line, or "" if it can.

    Args:
        root: the repository's folder.
    """
    plan = read(root)
    if not plan["entries"]:
        return "there is no frozen plan; make freeze, commit, and run it again"
    changed = differences(plan, now())
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        fix = "freeze it with a reason, give what ran other seeds (first_seed), and run that again"
        return f"{changed[0]}{more} changed since the plan was frozen; {fix}"
    return ""


def extended(root: Path, reason: str, power: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan with an entry of what there is now.

    Args:
        root: the repository's folder, a git checkout without changes.
        reason: why the plan changes; "" for the first entry.
        power: of the claims, from `claims.power`.

    Raises:
        ValueError: something is not committed; or there is an earlier entry, and nothing changed,
            or no reason is given, or an experiment changed whose seeds have been run.
    """
    state = provenance.git_state(root)
    if state["dirty"] is not False:
        raise ValueError("the plan is frozen at a commit; commit everything, and run it again")
    plan, present = read(root), now()
    if plan["entries"]:
        if not differences(plan, present):
            raise ValueError("nothing changed since the plan was frozen")
        if not reason:
            raise ValueError("the plan is frozen; say why it changes: --reason TEXT")
        _check_seeds(plan, present["experiments"])
    entry = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": state["commit"],
        "reason": reason,
        **present,
        "power": dict(power),
    }
    return {"entries": [*plan["entries"], entry]}


def _check_seeds(plan: Plan, present: Mapping[str, Any]) -> None:
    """Raise ValueError if an experiment changed and has seeds that an earlier entry has, too."""
    for name, experiment in present.items():
        known = [entry["experiments"].get(name) for entry in plan["entries"]]
        if experiment in known:
            continue
        highest = max((own["seeds"][1] for own in known if own), default=-1)
        if experiment["seeds"][0] <= highest:
            raise ValueError(
                f"experiment '{name}' changed, and its seeds up to {highest} may have been run; "
                f"give it first_seed: {highest // 100 * 100 + 100}"
            )


def fixed(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return {claim: {"commit", "date", "power"}} of the entry that fixed each claim as it is now.

    The power is None where the pilot could not tell.

    Args:
        plan: from `read`.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, digest in (plan["entries"][-1]["claims"] if plan["entries"] else {}).items():
        for entry in reversed(plan["entries"]):
            if entry["claims"].get(name) != digest:
                break
            known = {"commit": entry["commit"], "date": entry["date"]}
            found[name] = known | {"power": entry["power"].get(name)}
    return found
