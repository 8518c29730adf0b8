"""Run a protocol in this process, as a job does, and read what it returns."""

from pathlib import Path

from workflow.lib.protocols import Checkpoint


def run(protocol, task, factory, seeds=range(2), checkpoint=None, **hyperparameters):
    """Return the outcome of a protocol (its module); without a checkpoint none is read or kept."""
    config = protocol.Config(**hyperparameters)
    config.check(task, factory)
    checkpoint = checkpoint or Checkpoint(Path("no-such-file"), {}, interval_s=3600)
    return protocol.run(task, factory, seeds, checkpoint, config)
