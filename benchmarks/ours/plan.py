"""A plan of very many tasks: ``plan.py CONFIG SMALL``; prints JSON.

The memory is what this process has more after the plan was made and asked than before, when the plan of ``SMALL`` had
loaded all code.
"""

from __future__ import annotations

import json
import random
import sys
import time

import psutil

from cvbatch import plan


def main(config: str, small: str) -> None:
    """Make it, count it, look at a thousand tasks."""
    first = plan(small)
    assert first[0] is not None
    before = psutil.Process().memory_info().rss
    begin = time.perf_counter()
    made = plan(config)
    planned = time.perf_counter() - begin
    begin = time.perf_counter()
    total = len(made)
    counted = time.perf_counter() - begin
    source = random.Random(0)
    numbers = [source.randrange(total) for _ in range(1000)]
    begin = time.perf_counter()
    for number in numbers:
        made[number]
    looked = time.perf_counter() - begin
    print(
        json.dumps(
            {
                "seconds": planned,
                "tasks": total,
                "len_microseconds": counted * 1e6,
                "item_microseconds": looked / len(numbers) * 1e6,
                "memory_megabytes": (psutil.Process().memory_info().rss - before) / 1e6,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
