"""cloud-files' ``transfer_to``: ``cloudfiles_transfer.py SOURCE DESTINATION``, which are URLs."""

from __future__ import annotations

import sys

from cloudfiles import CloudFiles

if __name__ == "__main__":
    CloudFiles(sys.argv[1], progress=False).transfer_to(sys.argv[2])
