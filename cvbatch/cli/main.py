"""The ``cvbatch`` command: its subcommands, and how errors end it."""

from __future__ import annotations

import gc
import os
import sys

import click

from cvbatch.cli.completion import completion
from cvbatch.cli.doctor import doctor
from cvbatch.cli.enqueue import enqueue, failures
from cvbatch.cli.info import info
from cvbatch.cli.output import print_error
from cvbatch.cli.plan import plan
from cvbatch.cli.queue import queue
from cvbatch.cli.report import report
from cvbatch.cli.run import resume, run
from cvbatch.cli.sample import sample
from cvbatch.cli.schema import schema
from cvbatch.cli.shm import shm
from cvbatch.cli.status import status
from cvbatch.cli.verify import verify
from cvbatch.cli.view import view
from cvbatch.cli.work import work
from cvbatch.errors import InputError, InterruptedRun
from cvbatch.process.environment import NO_PLUGINS, ONE_BLAS_THREAD
from cvbatch.version import __version__

USAGE, FAILED, INTERRUPTED = 2, 1, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cvbatch")
def cvbatch() -> None:
    """Move, re-encode and downsample Neuroglancer volumes with several processes.

    \b
    Try it, without data of your own:
      cvbatch sample data/sample
      cvbatch run configs/transfer.yaml

    \b
    Exit status: 0 done · 1 ran, and something failed · 2 bad usage, configuration
    or input, nothing changed · 130 interrupted, resumable.
    """


for command in (
    run,
    plan,
    resume,
    status,
    report,
    verify,
    enqueue,
    work,
    failures,
    queue,
    info,
    doctor,
    sample,
    shm,
    view,
    schema,
    completion,
):
    cvbatch.add_command(command)


def exit_status(error: BaseException) -> int:
    """The exit status that an error means."""
    if isinstance(error, InputError):
        return USAGE
    return INTERRUPTED if isinstance(error, InterruptedRun | KeyboardInterrupt) else FAILED


def main() -> None:
    """The console script."""
    os.environ.update({**ONE_BLAS_THREAD, **NO_PLUGINS, **os.environ})
    try:
        cvbatch.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read has had enough (`| head`); what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - what nobody thought of is told too
        print_error(error)
        sys.exit(exit_status(error))
    finally:
        # The end frees all memory at once; to look for cycles in it before takes 40 ms.
        gc.freeze()


if __name__ == "__main__":
    main()
