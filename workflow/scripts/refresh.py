"""Refresh the generated parts of README.md, ARTIFACT.md and docs/design.md.

They hold results, from results/published, and who imports whom, from the code.
"""

from collections.abc import Sequence

from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.common.paths import ROOT
from workflow.lib.report import parts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser("refresh", __doc__).parse_args(arguments)
    with errors_in_one_line("refresh"):
        changed = parts.refresh(ROOT)
    print(f"refreshed: {', '.join(changed) or 'nothing'}")


if __name__ == "__main__":
    main()
