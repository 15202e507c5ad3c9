"""roomy - scenarios that sync thousands of times put their folders into memory, where there is some."""

import os
import tempfile

SHM, ROOM = "/dev/shm", 256 << 20
PLACE = f"{SHM}/faults-{os.getuid()}"  # what is called tranche... there is shared memory that somebody left


def has_room():
    try:
        s = os.statvfs(SHM)
        return os.access(SHM, os.W_OK) and not s.f_flag & os.ST_NOEXEC and s.f_bavail * s.f_bsize > ROOM
    except OSError:
        return False


if has_room():
    os.makedirs(PLACE, mode=0o755, exist_ok=True)
    if os.stat(PLACE).st_uid == os.getuid():
        tempfile.tempdir = PLACE
