"""What rules/claims.smk asks: what the verdicts rest on."""

from pathlib import Path
from typing import Any

from workflow.lib.common.paths import ROOT, WORKFLOW
from workflow.lib.plan import catalogue
from workflow.lib.plan.dag import Dag


def claim_tables(dag: Dag) -> list[str]:
    """Return the tables that the claims rest on."""
    claims = catalogue.load("claims").values()
    rested_on = {name for claim in claims for name in catalogue.rests_on(claim)}
    chosen = [name for name in dag.experiments if name in rested_on]
    return [file for name in chosen for file in dag.table_files(name)]


def claim_lists() -> list[str]:
    """Return the files that say what the claims are."""
    lists = [WORKFLOW / f"config/{name}.yaml" for name in ("abstract", "comparisons")]
    return [str(path.relative_to(ROOT)) for path in (*catalogue.claim_files(), *lists)]


def tables_folder(wildcards: Any, output: Any) -> str:
    """Return the folder of the tables that the ledger is judged from."""
    del wildcards
    return str(Path(output.md).parent / "tables")
