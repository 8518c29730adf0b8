"""Write the generated parts of README.md and ARTIFACT.md from results/published."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from workflow.lib import documents
from workflow.lib.command import errors_in_one_line

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args(arguments)
    with errors_in_one_line("documents"):
        changed = documents.write(ROOT)
    print(f"updated: {', '.join(changed) or 'nothing, all is up to date'}")


if __name__ == "__main__":
    main()
