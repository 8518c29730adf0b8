"""Publish a finished run: copy its tables, figures and claims to results/published.

An unfinished run, one that does not verify, or one made with uncommitted code is refused. README.md
and ARTIFACT.md are brought up to date with what is published.
"""

import argparse
import sys
from collections.abc import Sequence

from workflow.lib.common.command import errors_in_one_line
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import spec
from workflow.lib.plan.dag import Dag
from workflow.lib.report import documents, publication


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(prog="python -m workflow.scripts.publish", description=__doc__)
    parser.add_argument("--scale", default="laptop", choices=spec.SCALES)
    scale = parser.parse_args(arguments).scale
    dag = Dag.from_config({"scale": scale, "experiments": "all", "seeds": 0})
    with errors_in_one_line("publish"):
        reason = publication.refusal(scale, dag, ROOT)
        if reason:
            sys.exit(f"publish: {reason}")
        files = publication.copy(dag, ROOT)
        changed = documents.write(ROOT)
    size = sum((ROOT / file).stat().st_size for file in files) / 1e6
    print(f"{publication.FOLDER}: {len(files)} files, {size:.1f} MB; {', '.join(changed)} updated")


if __name__ == "__main__":
    main()
