"""As in ``from aiofile.os.path import exists``: it is aiofile.ospath."""

from aiofile.ospath import *  # noqa: F403
