"""Looking for shared memory by name."""

import posix_ipc


def there(name: str) -> bool:
    """Whether a segment of this name can be opened."""
    try:
        segment = posix_ipc.SharedMemory(f"/{name}")
    except posix_ipc.ExistentialError:
        return False
    segment.close_fd()
    return True
