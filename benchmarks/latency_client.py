"""
Submit jobs one by one over the Python API and print, as JSON, the seconds until each is FINISHED.

Run by ``side_by_side.py`` as the user who owns the control directory, with a configuration in ``ARC_CONFIG``.
"""

from __future__ import annotations

import json
import os
import sys
import time

from arex.config.load import load
from plugins.local import LocalPlugin
from plugins.local.submission import Submitted


def main() -> None:
    config, _ = load(None, os.environ)
    plugin = LocalPlugin(config)
    finished = config.arex.controldir / "finished"
    seconds = []
    for _ in range(int(sys.argv[1])):
        start = time.monotonic()
        [outcome] = plugin.submit(['&(executable="/bin/true")'])
        assert isinstance(outcome, Submitted), outcome
        status = finished / f"job.{outcome.id}.status"
        while not status.exists():
            time.sleep(0.001)
        seconds.append(time.monotonic() - start)
        time.sleep(0.1)  # the service is idle again
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
