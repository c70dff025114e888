"""A worker process: ``python -m cvbatch.pipeline.worker SOCKET NOTES``.

It is told tasks over a socket that it inherits, as many at a time as its memory holds, and says what became of them.
Each has a thread: while one waits for what it fetches, another computes, and a third waits for what it stores. In a
file that it inherits too it notes what it gives to fragile decoders, for when it dies of it. It leases nothing and
writes no receipts.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.connection import Connection

from cvbatch.memory import Arena
from cvbatch.metadata import Task
from cvbatch.metadata.job import read_job_document
from cvbatch.pipeline import Pools
from cvbatch.pipeline.tasks import TaskRunner
from cvbatch.planner import MOST_AT_ONCE, Plan
from cvbatch.process.child import POLITE_ENDS, ignore_ends
from cvbatch.process.recorder import Recorder


def serve(connection: Connection, plan: Plan, arena: Arena, recorder: Recorder) -> None:
    """Work until the supervisor says that there is no more, or hangs up."""
    answering = threading.Lock()

    def work(task: Task) -> None:
        answer = json.dumps(runner.run(task)).encode()
        with answering:
            connection.send_bytes(answer)

    with closing(Pools.of(plan.spec.threads)) as pools, ThreadPoolExecutor(MOST_AT_ONCE, "task") as tasks:
        runner = TaskRunner(plan, pools, arena, recorder)
        try:
            while "stop" not in (message := json.loads(connection.recv_bytes())):
                tasks.submit(work, Task(plan.job.id, *message["task"]))
        except (EOFError, OSError):
            # Nobody is left to work for. What is half done is done again by whoever resumes.
            arena.close()
            os._exit(0)


def main() -> None:
    """Serve the supervisor at the other end of the socket; both handles are inherited, and their numbers given."""
    # When to stop is for the supervisor to say.
    ignore_ends(*POLITE_ENDS)
    connection = Connection(int(sys.argv[1]))
    try:
        document = json.loads(connection.recv_bytes())
    except (EOFError, OSError):
        return  # There is nothing to do after all.
    plan = Plan(*read_job_document(document))
    connection.send_bytes(json.dumps({"ready": True}).encode())
    with Arena(plan.job.id, plan.spec.memory) as arena:
        serve(connection, plan, arena, Recorder(int(sys.argv[2])))
    # The end frees all memory at once; to look for cycles in it before takes 20 ms.
    gc.freeze()


if __name__ == "__main__":
    main()
