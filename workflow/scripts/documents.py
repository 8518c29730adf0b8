"""Write the generated parts of README.md and ARTIFACT.md from results/published."""

import argparse
from collections.abc import Sequence

from workflow.lib.common.command import errors_in_one_line
from workflow.lib.common.paths import ROOT
from workflow.lib.report import documents


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args(arguments)
    with errors_in_one_line("documents"):
        changed = documents.write(ROOT)
    print(f"updated: {', '.join(changed) or 'nothing, all is up to date'}")


if __name__ == "__main__":
    main()
