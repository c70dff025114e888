"""What every queue of many machines promises; a queue passes by subclassing :class:`QueueContract`."""

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from cvbatch.errors import QueueUnavailableError
from cvbatch.metadata import Batch
from cvbatch.queues import Message, QueueCounts
from cvbatch.storage import parse_location

LONG = 60


def body(number: object) -> str:
    """A message with a number or text in it."""
    return json.dumps({"payload": [["cvbatch", "run_batch"], [], {"number": number}, None], "id": None})


def number_of(held) -> object:
    """That number. A queue may set the id."""
    return json.loads(held.body)["payload"][2]["number"]


def drain(queue) -> list:
    """The numbers of all messages that can be received now; all are acknowledged."""
    numbers = []
    while (held := queue.receive(LONG)) is not None:
        numbers.append(number_of(held))
        assert held.ack()
    return numbers


class QueueContract:
    """``open_one`` gives the same queue to one worker more; ``pass_time`` lets leases end that are as long at most."""

    @pytest.fixture
    def open_one(self):
        raise NotImplementedError

    @pytest.fixture
    def pass_time(self):
        raise NotImplementedError

    @pytest.fixture
    def queue(self, open_one):
        queue = open_one()
        queue.create(30)
        return queue

    def test_message_goes_through_and_is_gone(self, queue, open_one):
        # given a message that one program sent
        queue.send([body(1)])
        # when another receives it, and acknowledges it
        held = open_one().receive(LONG)
        assert number_of(held) == 1
        assert held.ack()
        # then there is nothing left
        assert queue.receive(LONG) is None
        assert queue.counts() == QueueCounts(0, 0)

    def test_message_of_ours_is_understood(self, queue):
        given = Message(Batch("job", 1, 20, 30), parse_location("s3://bucket/state ü"))
        queue.send([given.encode()])
        received = Message.decode(queue.receive(LONG).body)
        assert (received.batch, received.state) == (given.batch, given.state)

    @pytest.mark.parametrize("text", ["Zürich – 東京 🧠", "a\nb\r\n\"c\" 'd' \\ <&>", "x" * 100_000])
    def test_any_text(self, queue, text):
        queue.send([body(text), json.dumps({"number": text}, ensure_ascii=False)])
        bodies = [json.loads(queue.receive(LONG).body) for _ in range(2)]
        assert sorted(received.get("number", "") for received in bodies) == ["", text]
        assert [received["payload"][2] for received in bodies if "payload" in received] == [{"number": text}]

    @pytest.mark.parametrize("text", ["no JSON – ü", "[1, 2]", '"a"', "{"])
    def test_what_is_not_for_us_comes_out_as_it_was(self, queue, text):
        queue.send([text])
        assert queue.receive(LONG).body == text

    def test_any_number_of_messages(self, queue):
        queue.send([])
        queue.send(body(number) for number in range(25))
        assert sorted(drain(queue)) == list(range(25))

    def test_held_message_is_nobody_elses(self, queue, open_one):
        # given a message that is held
        queue.send([body(1)])
        held = queue.receive(LONG)
        # then nobody gets it, and it is still there
        assert queue.receive(LONG) is None
        assert open_one().receive(LONG) is None
        assert queue.counts() == QueueCounts(0, 1)
        assert held.ack()

    def test_late_owner_does_no_harm(self, queue, open_one, pass_time):
        # given somebody whose lease has ended, and another who received the message since
        queue.send([body(1)])
        late = queue.receive(1)
        pass_time(1)
        new = open_one().receive(LONG)
        assert number_of(new) == 1
        # when the former goes on as if it were theirs, then it is not
        assert not late.extend(LONG)
        assert not late.release()
        assert not late.ack()
        assert not late.release(5)
        # and the new owner still has it
        assert queue.receive(LONG) is None
        assert queue.counts() == QueueCounts(0, 1)
        assert new.extend(LONG)
        assert new.ack()
        assert queue.counts() == QueueCounts(0, 0)

    def test_each_late_call_alone(self, queue, open_one, pass_time):
        # given three messages, of which each was received again
        queue.send(body(number) for number in range(3))
        late = {number_of(held): held for held in [queue.receive(1) for _ in range(3)]}
        pass_time(1)
        other = open_one()
        new = [other.receive(LONG) for _ in range(3)]
        assert sorted(map(number_of, new)) == [0, 1, 2]
        # when each late owner does something else, then the new ones still have theirs
        assert not late[0].extend(LONG)
        assert not late[1].release()
        assert not late[2].ack()
        assert queue.receive(LONG) is None
        assert all(held.ack() for held in new)
        assert queue.counts() == QueueCounts(0, 0)

    def test_extended_lease_goes_on(self, queue, open_one, pass_time):
        queue.send([body(1)])
        held = queue.receive(1)
        assert held.extend(LONG)
        pass_time(1)
        assert open_one().receive(LONG) is None
        assert held.extend(LONG)
        assert held.ack()

    def test_lease_can_be_made_shorter(self, queue, pass_time):
        queue.send([body(1)])
        held = queue.receive(LONG)
        assert held.extend(1)
        pass_time(1)
        assert queue.receive(LONG) is not None
        assert not held.ack()

    def test_released_message_is_there_at_once(self, queue, open_one):
        queue.send([body(1)])
        held = queue.receive(LONG)
        assert held.release()
        assert number_of(open_one().receive(LONG)) == 1

    def test_released_message_waits_for_its_time(self, queue, pass_time):
        queue.send([body(1)])
        assert queue.receive(LONG).release(1)
        assert queue.receive(LONG) is None
        pass_time(1)
        assert number_of(queue.receive(LONG)) == 1

    def test_released_message_stays_when_nobody_took_it_yet(self, queue):
        # given a message that was handed back
        queue.send([body(1)])
        held = queue.receive(LONG)
        assert held.release()
        # then whoever had it can do nothing more with it
        assert not held.ack()
        assert not held.extend(LONG)
        assert not held.release(LONG)
        assert drain(queue) == [1]

    def test_message_that_is_put_aside_is_nobodys(self, queue, open_one, pass_time):
        # given a message that was put aside, and one whose lease had ended by then
        queue.send([body(1)])
        assert queue.receive(LONG).bury()
        queue.send([body(2)])
        late = queue.receive(1)
        pass_time(1)
        new = open_one().receive(LONG)
        assert not late.bury()
        # then only the latter is still there
        assert number_of(new) == 2
        assert queue.counts() == QueueCounts(0, 1)
        assert new.ack()

    @pytest.mark.parametrize("end", ["ack", "bury", "release"])
    def test_what_was_given_up_is_not_ours(self, queue, open_one, end):
        # given a message that was acknowledged, put aside, or handed back
        queue.send([body(1)])
        held = queue.receive(LONG)
        assert getattr(held, end)()
        other = open_one().receive(LONG)
        assert (other is None) == (end != "release")
        # then nothing can be done with it any more
        assert not held.extend(LONG)
        assert not held.release()
        assert not held.bury()
        assert not held.ack()
        assert other is None or other.ack()

    def test_delayed_message(self, queue, pass_time):
        queue.send([body(1)], delay_seconds=1)
        queue.send([body(2)])
        assert drain(queue) == [2]
        counts = queue.counts()
        assert counts.waiting + counts.leased == 1
        pass_time(1)
        assert queue.counts() == QueueCounts(1, 0)
        assert drain(queue) == [1]

    def test_counts(self, queue):
        queue.send(body(number) for number in range(5))
        assert queue.counts() == QueueCounts(5, 0)
        held = [queue.receive(LONG) for _ in range(3)]
        assert queue.counts() == QueueCounts(2, 3)
        held[0].ack()
        held[1].release()
        assert queue.counts() == QueueCounts(3, 1)

    def test_waiting_ends_when_a_message_comes(self, queue, open_one):
        # given somebody who waits
        other = open_one()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(other.receive, LONG, 20)
            # when a message comes
            queue.send([body(1)])
            assert number_of(waiting.result(10)) == 1

    def test_waiting_ends_in_time(self, queue):
        begin = time.monotonic()
        assert queue.receive(LONG, wait_seconds=0.3) is None
        # SQS waits for whole seconds.
        assert 0.3 <= time.monotonic() - begin < 5

    def test_many_threads(self, queue):
        # given more messages than one thread would like to handle
        count, threads = 200, 8
        queue.send(body(number) for number in range(count))
        handled, lock = Counter(), threading.Lock()

        def work() -> None:
            while (held := queue.receive(LONG)) is not None:
                with lock:
                    handled[number_of(held)] += 1
                assert held.ack()

        # when many take them
        with ThreadPoolExecutor(threads) as pool:
            for worker in [pool.submit(work) for _ in range(threads)]:
                worker.result()
        # then each is handled once
        drain(queue)
        assert handled == dict.fromkeys(range(count), 1)
        assert queue.counts() == QueueCounts(0, 0)

    def test_queue_that_is_there_is_kept(self, queue, open_one):
        queue.send([body(1)])
        open_one().create(90)
        queue.create(30)
        assert drain(queue) == [1]

    def test_purge(self, queue):
        queue.send(body(number) for number in range(15))
        held = queue.receive(LONG)
        queue.purge()
        assert queue.counts() == QueueCounts(0, 0)
        assert queue.receive(LONG) is None
        # What isn't there can't be held.
        assert not held.extend(LONG)
        queue.send([body(99)])
        assert drain(queue) == [99]

    @pytest.mark.parametrize("call", ["send", "receive", "counts", "purge"])
    def test_queue_that_is_not_there(self, open_one, call):
        # given a queue that nobody made
        queue = open_one()
        arguments = {"send": [[body(1)]], "receive": [LONG]}.get(call, [])
        # then the error says what to do, and that trying again doesn't help
        with pytest.raises(QueueUnavailableError, match="cvbatch queue create") as caught:
            getattr(queue, call)(*arguments)
        assert queue.url in str(caught.value)
        assert not caught.value.retryable
