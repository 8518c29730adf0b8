"""Where the artifact is: every path of the workflow is relative to its folder."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WORKFLOW = ROOT / "workflow"
