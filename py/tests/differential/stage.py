"""Where cases are played: a loop and folders that serve for all of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from support import LONGEST_WAIT

from .case import Case
from .compare import compare
from .pipes import Reading, Writing, compare_reading, compare_writing

#: A file system that never promises not to wait: every read goes to the ring, or to a thread.
_WAITING = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Stage:
    """Plays one case after the other. A loop and a folder for each case cost more than playing it."""

    def __init__(self) -> None:
        self._set_up()

    def _set_up(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._folders = [Path(tempfile.mkdtemp(dir=place)) for place in (None, _WAITING)]

    def play(self, case: Case | Reading | Writing) -> None:
        """Fails unless the case comes to the same on both; one that hangs is an error."""
        if isinstance(case, Case):
            played = compare(case, self._folders[case.waits])
        else:
            played = compare_reading(case) if isinstance(case, Reading) else compare_writing(case)
        try:
            self._loop.run_until_complete(asyncio.wait_for(played, LONGEST_WAIT))
        except BaseException:
            # Nothing that is still under way is to disturb the next one.
            self.close()
            self._set_up()
            raise

    def close(self) -> None:
        """Closes the loop, its tasks cancelled, and removes the folders."""
        if tasks := asyncio.all_tasks(self._loop):
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(tasks))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        for folder in self._folders:
            shutil.rmtree(folder)
