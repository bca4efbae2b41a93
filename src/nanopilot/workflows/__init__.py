"""The engine, and one file per named experiment."""

from nanopilot.workflows.connect import connect
from nanopilot.workflows.engine import Engine, Parts
from nanopilot.workflows.launch import launch, resume
from nanopilot.workflows.workflow import Workflow

__all__ = ["Engine", "Parts", "Workflow", "connect", "launch", "resume"]
