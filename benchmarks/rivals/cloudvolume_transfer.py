"""CloudVolume's ``transfer_to``: ``cloudvolume_transfer.py SOURCE DESTINATION``."""

from __future__ import annotations

import sys

from cloudvolume import CloudVolume

if __name__ == "__main__":
    volume = CloudVolume(f"file://{sys.argv[1]}", progress=False)
    volume.transfer_to(f"file://{sys.argv[2]}", volume.bounds, compress=False)
