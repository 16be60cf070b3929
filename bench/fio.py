"""fio's io_uring as one more column: what the device gives at depth 64 without any Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from bench import data
from bench.cases import BLOCK_BYTES, TASKS
from bench.environments import ChildError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "fio"


def is_here() -> bool:
    """Whether the command can be found."""
    return shutil.which(NAME) is not None


class FioWorker:
    """Answers like `runner.Worker` to what the row of cold reads asks for."""

    def __init__(self, path: Path, operations: int) -> None:
        self.path = path
        self.operations = operations

    def ask(self, request: str) -> dict[str, Any]:
        if request == "set-up":
            data.drop_from_cache(self.path)
        return self._round() if request == "round" else {}

    def _round(self) -> dict[str, Any]:
        """Buffered reads of random blocks, none twice, as the libraries do them."""
        command = [
            *(NAME, "--name=cold", f"--filename={self.path}", "--readonly", "--rw=randread"),
            *("--ioengine=io_uring", f"--iodepth={TASKS}", f"--bs={BLOCK_BYTES}"),
            *(f"--io_size={self.operations * BLOCK_BYTES}", "--invalidate=0", "--output-format=json"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ChildError((done.stderr.strip().splitlines() or ["no message"])[-1])
        # What precedes the object are remarks on the machine.
        (job,) = json.loads(done.stdout[done.stdout.index("{") :])["jobs"]
        seconds = self.operations / job["read"]["iops"]
        cpu_share = (job["usr_cpu"] + job["sys_cpu"]) / 100
        return {"seconds": seconds, "cpu_seconds": seconds * cpu_share}

    def end(self) -> None:
        """Nothing of it is left running."""
