"""`chainrule resume`: goes on with a training that was interrupted, to the same bits."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import _core
from .runs import Run
from .train import train


def resume(options: argparse.Namespace) -> int:
    """Run the command."""
    run = Run.found(Path(options.folder))
    kept = run.options()
    kept.quiet = options.quiet
    if run.content["finished"]:
        there = Path(kept.out).exists()
        if not options.quiet:
            more = f"its model is {kept.out}" if there else f"its model {kept.out} is gone, and written anew"
            print(f"{options.folder}: the run is finished; {more}")
        if there:
            return 0
    if run.content["chainrule"] != _core.__version__ and not options.quiet:
        print(
            f"note: the run was begun with chainrule {run.content['chainrule']}, this is {_core.__version__}"
        )
    return train(kept, run)
