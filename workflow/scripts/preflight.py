"""Check before any compute: every hyperparameter, every claim, and that results can be written.

On a SLURM cluster also: partitions, time limits, and that a node has the environment.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow.lib import protocols
from workflow.lib.claims import cases
from workflow.lib.common import cards, store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.plan import catalogue, cluster, resolve, spec
from workflow.lib.plan.devices import check_devices
from workflow.lib.protocols._rehearsal import rehearse


def check(job: Mapping[str, Any]) -> None:
    """Build what a job runs, with stand-ins for its data and all that it waits for, and check it.

    Raises:
        ValueError: the specification asks for something that cannot be; the line names the run.
    """
    try:
        rehearse(job).check()
    except ValueError as error:
        raise ValueError(f"{job['experiment']}/{job['run']}: {error}") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("preflight", __doc__, scales=spec.SCALES, experiments=spec.experiments())
    asked = "minutes that jobs ask SLURM for, in each partition; no name: the default one"
    command.add_argument("--slurm", nargs="*", default=[], metavar="NAME=MINUTES", help=asked)
    text = "devices that share the particles of each job (default: %(default)d)"
    command.add_argument("--devices", type=int, default=1, help=text)
    text = "cards that the job with the most of them has (default: %(default)d)"
    command.add_argument("--cards", type=int, default=0, help=text)
    text = "jobs run on other machines: what devices these have is not looked up here"
    command.add_argument("--elsewhere", action="store_true", help=text)
    options = command.parse_args(arguments)
    with errors_in_one_line("preflight"):
        store.check_writable(Path("results"))
        if options.slurm:
            for line in cluster.check(cluster.read(options.slurm)):
                print(f"preflight: {line}")
        check_devices(options.devices)
        if options.cards and not options.elsewhere:
            cards.check(options.cards)
        cards.leave()
        protocols.pin()
        if not options.elsewhere:
            protocols.first_devices(options.devices)
        cases.check(catalogue.load("claims"))
        chosen = tuple(options.experiments)
        jobs = resolve.with_prerequisites(spec.jobs(options.scale, chosen))
        jobs += spec.jobs(options.scale, names) if (names := spec.tunings(chosen)) else []
        for job in {(job.spec["experiment"], job.spec["run"]): job for job in jobs}.values():
            check(job.spec)
    print(f"preflight: {len(jobs)} jobs at scale {options.scale}: all hyperparameters are valid")


if __name__ == "__main__":
    main()
