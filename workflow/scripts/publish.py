"""Publish a finished run: copy its tables, figures and claims to results/published.

A run is refused if it is unfinished, if a file of it is not what its hash says, or if it was made
with code that is not committed, or if claims or settings of laptop scale are not those of the
frozen plan. Once it is published, README.md and ARTIFACT.md are refreshed.
"""

import sys
from collections.abc import Sequence

from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import spec
from workflow.lib.plan.dag import Dag
from workflow.lib.report import parts, publication


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    scale = (
        parser("publish", __doc__, scales=[scale for scale in spec.SCALES if scale != spec.PILOT])
        .parse_args(arguments)
        .scale
    )
    dag = Dag.from_config({"scale": scale, "experiments": "all", "seeds": 0})
    with errors_in_one_line("publish"):
        reason = publication.refusal(scale, dag, ROOT)
        if reason:
            sys.exit(f"publish: {reason}")
        files = publication.copy(dag, ROOT)
        changed = parts.refresh(ROOT)
    size = sum((ROOT / file).stat().st_size for file in files) / 1e6
    pages = ", ".join(changed) or "nothing"
    print(f"{publication.FOLDER}: {len(files)} files, {size:.1f} MB; refreshed: {pages}")


if __name__ == "__main__":
    main()
