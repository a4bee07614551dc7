"""A real server with the scripted worker, started like `uvmap-id serve`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uvmap_id.link.connection import state_dir
from uvmap_id.link.errors import UVMapError
from uvmap_id.link.launcher import EXIT_ALREADY_RUNNING
from uvmap_id.server.main import AlreadyRunningError, ServerOptions, serve


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--idle-minutes", type=float)
    arguments = parser.parse_args()
    worker = (sys.executable, str(Path(__file__).parent / "scripted_worker.py"))
    try:
        serve(ServerOptions(state_dir(), arguments.idle_minutes, worker_command=worker, cancel_grace_s=0.5))
    except AlreadyRunningError:
        return EXIT_ALREADY_RUNNING
    except UVMapError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
