"""roomy - scenarios that sync thousands of times put their folders into memory, where there is some."""

import os
import tempfile

PLACE, ROOM = "/dev/shm", 256 << 20


def has_room():
    try:
        s = os.statvfs(PLACE)
        return os.access(PLACE, os.W_OK) and s.f_bavail * s.f_bsize > ROOM
    except OSError:
        return False


if has_room():
    tempfile.tempdir = PLACE
