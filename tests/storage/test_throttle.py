"""How many requests are under way at a time: against stores that are simulated, in a time of their own."""

import heapq
import itertools
import random
import threading
from collections.abc import Callable

import pytest

from cvbatch.storage.throttle import FIRST, MOST, Throttle

LATENCY = 0.05


class MustWaitError(Exception):
    """A worker of the simulation would have to wait for its turn."""


class Turnstile(threading.Condition):
    """In place of waiting, says that one would have to."""

    def wait(self, timeout=None):
        raise MustWaitError


class Simulation:
    """Workers without end of work, and a store that shares what it can do among the requests under way.

    ``capacity`` says how many answers a second the store gives at a concurrency; ``refuses`` whether a request
    that comes as the n-th one is answered "slow down", which is quick, and after which its worker rests for a while.
    """

    def __init__(
        self,
        capacity: Callable[[int], float],
        refuses: Callable[[int], bool] = lambda n: False,
        workers: int = 256,
        limit: float = FIRST,
        seed: int = 0,
        even: bool = False,
    ) -> None:
        self.now = 0.0
        self.capacity, self.refuses = capacity, refuses
        self.throttle = Throttle(clock=lambda: self.now, limit=limit, _changed=Turnstile())
        self.random = random.Random(seed)
        self.even = even
        self.answered = self.refused = self.most = 0
        self.mean = limit
        self._idle, self._resting = workers, []
        self._under_way, self._served, self._serial = [], 0.0, itertools.count()

    def run(self, seconds: float) -> None:
        """Go on for so long; afterwards ``mean`` is the mean limit in that time, ``answered`` the answers in it."""
        begin, end, area = self.now, self.now + seconds, 0.0
        self.answered = self.refused = self.most = 0
        while True:
            self._start_requests()
            count, before = len(self._under_way), self.now
            speed = self.capacity(count) / count if count else 0.0
            answer = self.now + (self._under_way[0][0] - self._served) / speed if count else end
            rested = self._resting[0] if self._resting else end
            self.now = min(answer, rested, end)
            area += self.throttle.limit * (self.now - before)
            self._served += (self.now - before) * speed
            if self.now >= end:
                break
            if rested <= answer:
                heapq.heappop(self._resting)
                self._idle += 1
            else:
                self._end_request()
        self.mean = area / (end - begin)

    def _start_requests(self) -> None:
        while self._idle:
            turn = self.throttle.turn()
            try:
                turn.__enter__()
            except MustWaitError:
                return
            self._idle -= 1
            refused = self.refuses(len(self._under_way) + 1)
            size = LATENCY if refused else 1.0 if self.even else self.random.expovariate(1)
            heapq.heappush(self._under_way, (self._served + size, next(self._serial), turn, refused))
            self.most = max(self.most, len(self._under_way))

    def _end_request(self) -> None:
        _, _, turn, refused = heapq.heappop(self._under_way)
        turn.__exit__(None, None, None)
        if refused:
            self.refused += 1
            self.throttle.push_back()
            heapq.heappush(self._resting, self.now + self.random.uniform(0.05, 0.4))
        else:
            self.answered += 1
            self._idle += 1


def store(knee: int, fall: float = 0.0) -> Callable[[int], float]:
    """A store whose rate grows up to a concurrency and then stays as it is, or falls by a power of it."""
    return lambda n: min(n, knee) / LATENCY * ((knee / n) ** fall if n > knee else 1.0)


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("limit", [1.0, 2.0, FIRST])
def test_rises_while_that_helps(limit, even):
    # given a store that gives all that is asked of it
    simulation = Simulation(store(1000), limit=limit, even=even)
    # when
    simulation.run(14)
    simulation.run(5)
    # then nearly all is asked of it
    assert simulation.answered > 0.85 * 5 * MOST / LATENCY
    assert simulation.most <= MOST


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("fall", [0.0, 0.5])
@pytest.mark.parametrize("knee", [8, 16, 40, 80])
def test_settles_at_the_knee(knee, fall, even):
    # given stores for which more requests at a time than the knee bring nothing, or do harm
    rates, means, seconds = [], [], 500 / knee
    for seed in range(3):
        simulation = Simulation(store(knee, fall), seed=seed, even=even)
        simulation.run(seconds)
        # when
        simulation.run(seconds)
        rates.append(simulation.answered / seconds)
        means.append(simulation.mean)
    # then there are not many more under way, in the mean, and the rate is near the best
    assert sum(means) / 3 < 2 * knee + 4
    assert sum(rates) / 3 > 0.75 * knee / LATENCY


def test_a_limit_that_is_too_high_comes_down():
    # given a store that is slowed down by what it carries, and a limit from better times
    simulation = Simulation(store(20, fall=0.5), limit=MOST)
    # when
    simulation.run(120)
    simulation.run(20)
    # then
    assert simulation.mean < 40


def test_what_nobody_waits_for_does_not_change_the_limit():
    # given fewer workers than turns
    simulation = Simulation(store(1000), workers=4)
    # when
    simulation.run(20)
    # then
    assert simulation.throttle.limit == FIRST


def test_push_back_cuts_the_limit_once_for_all_that_is_under_way():
    # given
    now = 0.0
    throttle = Throttle(clock=lambda: now)
    # when all that are under way are refused
    for _ in range(16):
        throttle.push_back()
    # then it counts once
    cut = throttle.limit
    assert 0.4 * FIRST < cut < 0.8 * FIRST
    # and again when it goes on
    now = 1.0
    throttle.push_back()
    assert throttle.limit < cut


def test_never_below_one():
    # given
    now = 0.0
    throttle = Throttle(clock=lambda: now)
    # when a store refuses for an hour
    for _ in range(3600):
        now += 1.0
        throttle.push_back()
    # then
    assert throttle.limit == 1
    with throttle.turn():
        assert throttle.running == 1


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_recovers_after_an_outage(seed, even):
    # given a store that refuses everything for eight seconds
    simulation = Simulation(store(100), seed=seed, even=even)
    simulation.run(4)
    simulation.refuses = lambda n: True
    simulation.run(8)
    assert simulation.throttle.limit < 4
    # when it answers again
    simulation.refuses = lambda n: False
    simulation.run(12)
    simulation.run(5)
    # then
    assert simulation.answered > 0.7 * 5 * 100 / LATENCY


@pytest.mark.parametrize("most", [8, 40])
def test_stays_where_a_store_does_not_push_back(most):
    # given a store that refuses whatever comes as more than so many at a time
    simulation = Simulation(store(1000), refuses=lambda n: n > most)
    simulation.run(20)
    # when
    simulation.run(30)
    # then most of what it would give is used, and few are refused
    assert simulation.answered > 0.6 * 30 * most / LATENCY
    assert simulation.refused < 0.15 * simulation.answered
    assert simulation.mean < 1.2 * most


def test_one_refusal_in_a_thousand_is_chance():
    # given a store that refuses some requests however few there are
    simulation = Simulation(store(1000))
    simulation.refuses = lambda n: simulation.random.random() < 0.001
    simulation.run(5)
    # when
    simulation.run(15)
    # then
    assert simulation.answered > 0.85 * 15 * MOST / LATENCY


def test_refusals_do_not_count_as_quick_answers():
    # given a store that refuses everything, at once
    simulation = Simulation(store(1000), refuses=lambda n: True)
    # when
    simulation.run(30)
    # then what it refuses is not sent faster and faster
    assert simulation.mean < FIRST / 2


def test_a_turn_ends_with_an_error():
    # given
    throttle = Throttle(limit=1.0)
    # when
    with pytest.raises(ValueError, match="mine"), throttle.turn():
        raise ValueError("mine")
    # then the next has it
    with throttle.turn():
        assert throttle.running == 1


def test_threads_all_get_their_turns_and_never_more_than_the_limit():
    # given many threads, some of which are told to slow down, so that the limit goes up and down all the time
    throttle = Throttle(limit=4.0)
    under_way, most, done = 0, 0, 0
    lock = threading.Lock()

    def work(number: int) -> None:
        nonlocal under_way, most, done
        for turn in range(100):
            with throttle.turn():
                with lock:
                    under_way += 1
                    most = max(most, under_way)
                with lock:
                    under_way -= 1
                    done += 1
            if (number + turn) % 50 == 0:
                throttle.push_back()

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(32)]
    # when
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # then
    assert not any(thread.is_alive() for thread in threads)
    assert done == 32 * 100
    assert most <= MOST
    assert throttle.running == 0


def test_threads_wait_for_a_turn():
    # given all turns taken
    throttle = Throttle(limit=2.0)
    entered = threading.Semaphore(0)
    leave = threading.Event()

    def hold() -> None:
        with throttle.turn():
            entered.release()
            leave.wait(30)

    threads = [threading.Thread(target=hold, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert entered.acquire(timeout=30)
    assert entered.acquire(timeout=30)
    # then the third has none
    assert not entered.acquire(timeout=0.05)
    assert throttle.running == 2
    # until one is free
    leave.set()
    assert entered.acquire(timeout=30)
    for thread in threads:
        thread.join(30)
    assert throttle.running == 0
