"""What the libraries in our own processes read from the environment; what the user has set stands."""

from __future__ import annotations

# Chunks come and go, and glibc gives their pages back to the kernel each time, which has to clear them again: reading a
# chunk of 240 kB took 141 µs, and takes 66. What is larger than this still goes back. Other libraries ignore the names.
KEEP_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
# numpy's linear algebra begins a thread for each core, which takes 50 ms, and nothing here multiplies matrices.
ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
# pydantic looks through all installed packages for plugins.
NO_PLUGINS = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
