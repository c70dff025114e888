"""Every error that cvbatch raises.

CvbatchError                        knows whether trying again can help (``retryable``)
├── InputError                      bad usage, configuration or input; nothing was changed (exit status 2)
│   ├── ConfigError                 problems in a configuration, all of them at once
│   ├── InfoError                   something is wrong with an ``info``
│   │   ├── InfoUnavailableError    there is no readable ``info`` at a path
│   │   └── RedirectError           an ``info`` points elsewhere
│   │       ├── TooManyRedirects    and that one too, more often than allowed
│   │       └── CyclicRedirect      and in the end back to where it began
│   ├── ProvenanceError             a ``provenance`` that cannot be understood
│   ├── ScaleUnavailableError       the volume has no such mip
│   ├── OutOfBoundsError            a box that leaves its volume
│   ├── EmptyRequestException       a request for nothing
│   │   └── SubvoxelVolumeError     a box without a voxel
│   ├── AlignmentError              a box that is not on the write cells of its destination, or not of its array's shape
│   ├── DimensionError              an array that has not three or four axes
│   ├── DestinationMismatchError    an existing destination disagrees with the configuration
│   ├── MemoryBudgetError           the budget does not hold one write cell
│   ├── UnsupportedFormatError      a format, encoding or data type that cannot be used here
│   ├── UnsupportedCompressionType  a compression that there is not
│   ├── UnsupportedProtocolError    a URL whose protocol has no store
│   ├── ReadOnlyException           a volume that is not to be written through this object
│   ├── SharedMemoryNameError       a name that no segment can have
│   ├── JobBusyError                another run works on the same region
│   └── StateError                  a state directory that does not fit the job
├── ChunkError                      one chunk is at fault; trying again gives the same
│   ├── EmptyVolumeException        the chunk is not there
│   ├── EmptyFileException          the chunk has no bytes
│   ├── DecodingError               its bytes do not decode
│   └── EncodingError               its voxels do not encode
├── StorageError                    a store failed; trying again may help
│   ├── WrongPlaceError             there is no such bucket or server, or it takes no such requests
│   └── ForbiddenError              a store refused; trying again does not help
│       └── AuthenticationError     because it does not know who asks
├── QueueError                      a queue failed; trying again may help
│   ├── QueueUnavailableError       there is no such queue, or nobody who may use it
│   └── MessageError                a message for another program, or another version of this one
│       └── UnreadableMessageError  a message that nobody can understand
├── SharedMemoryError               a segment could not be made or mapped
│   └── SharedMemoryReadError       a segment or file to read from is missing, or of another size
├── LockLostError                   another run took over a region in the middle of this one
├── WorkerDiedError                 a worker process ended in the middle of a task
└── InterruptedRun                  stopped on request; can be resumed (exit status 130)

Names shared with CloudVolume keep its spelling and the built-in base that its users catch.
"""

from __future__ import annotations

from dataclasses import dataclass


class CvbatchError(Exception):
    """Base of all errors of cvbatch. ``retryable`` says whether trying again can help."""

    retryable = False


class InputError(CvbatchError):
    """Bad usage, configuration or input. Nothing was changed."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration.

    ``where`` is ``file:line`` or ``file``; ``key`` is the dotted path of the key.
    """

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: {self.message}" if self.key else f"{self.where}: {self.message}"


class ConfigError(InputError, ValueError):
    """A configuration with problems; ``problems`` lists all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class InfoError(InputError):
    """Something is wrong with an ``info``."""


class InfoUnavailableError(InfoError, ValueError):
    """There is no ``info`` at a path, or it cannot be understood."""


class RedirectError(InfoError):
    """An ``info`` that points to another volume, which is not followed."""


class TooManyRedirects(RedirectError):
    """More volumes point to the next one than ``max_redirects`` allows."""


class CyclicRedirect(RedirectError):
    """Volumes that point to each other in a ring."""


class ProvenanceError(InputError, ValueError):
    """There is a ``provenance``, and it cannot be understood."""


class ScaleUnavailableError(InputError, IndexError):
    """The volume has no such mip or resolution."""


class OutOfBoundsError(InputError, ValueError):
    """A box that is not inside the volume."""


class EmptyRequestException(InputError, ValueError):
    """A request for nothing."""


class SubvoxelVolumeError(EmptyRequestException):
    """A box in which there is no voxel."""


class AlignmentError(InputError, ValueError):
    """A box that is not on the grid of cells that can be written on their own, or not as large as its array."""


class DimensionError(InputError, ValueError):
    """An array with more or fewer axes than x, y, z and perhaps channel."""


class DestinationMismatchError(InputError):
    """The destination exists and disagrees with what the configuration asks for."""


class MemoryBudgetError(InputError):
    """The memory budget of a worker is too small for the smallest possible task."""


class UnsupportedFormatError(InputError):
    """A format, encoding or data type that cannot be used here."""


class UnsupportedCompressionType(InputError, ValueError):
    """A compression that there is not."""


class UnsupportedProtocolError(InputError, ValueError):
    """A URL whose protocol has no store."""


class ReadOnlyException(InputError):
    """A volume that is not to be written through this object, or can't be through this protocol."""


class SharedMemoryNameError(InputError, ValueError):
    """A name that no shared-memory segment can have on this platform."""


class JobBusyError(InputError):
    """Another run holds the same region of the destination."""


class StateError(InputError):
    """A state directory is missing, or belongs to other work."""


class ChunkError(CvbatchError):
    """One chunk is at fault, and will be the next time too."""


class EmptyVolumeException(ChunkError):
    """A chunk that the volume should have is not there."""


class EmptyFileException(ChunkError):
    """A chunk that has no bytes."""


class DecodingError(ChunkError):
    """Bytes that are not what their encoding promises."""


class EncodingError(ChunkError):
    """Voxels that an encoding does not accept."""


class StorageError(CvbatchError):
    """A store did not do what it was asked; trying again may help."""

    retryable = True


class WrongPlaceError(StorageError):
    """There is no such bucket or server, or it doesn't take such requests: trying again does not help."""

    retryable = False


class ForbiddenError(StorageError):
    """A store refused: permissions, a read-only place. Trying again does not help."""

    retryable = False


class AuthenticationError(ForbiddenError):
    """A store does not know who asks: no credentials, or wrong or expired ones."""


class QueueError(CvbatchError):
    """A queue did not do what it was asked; trying again may help."""

    retryable = True


class QueueUnavailableError(QueueError, InputError):
    """There is no such queue, it can't do that, or we may not use it. Trying again does not help."""

    retryable = False


class MessageError(QueueError):
    """A message that is not of cvbatch, or not of this version."""

    retryable = False


class UnreadableMessageError(MessageError):
    """A message that nobody can understand."""


class SharedMemoryError(CvbatchError, OSError):
    """A shared-memory segment could not be made, or there is no room for it."""

    retryable = True


class SharedMemoryReadError(SharedMemoryError):
    """A segment or file that should hold voxels is not there, or is not as large as they are."""

    retryable = False


class LockLostError(CvbatchError):
    """Another run took over the region while this one was not heard of."""


class WorkerDiedError(CvbatchError):
    """A worker process ended in the middle of a task."""

    retryable = True


class InterruptedRun(CvbatchError):
    """The run was stopped on request; what is done is kept and the rest can be resumed."""
