"""A contender for filelatch-compare: persist-queue's acknowledging queue in SQLite. One turn takes a command and acknowledges it."""

import os
import sys
import threading
import time

import persistqueue

COMMANDS = int(os.environ.get("COMMANDS", "3000"))
folder = os.path.join(sys.argv[1], "persist")
now = time.monotonic_ns


def open_queue():
    return persistqueue.SQLiteAckQueue(folder, auto_commit=True, multithreading=True, auto_resume=False)


def fill():
    """Whoever comes first puts the commands in; not measured."""
    try:
        os.mkdir(sys.argv[1] + "/filling")
    except FileExistsError:
        while not os.path.exists(sys.argv[1] + "/filled"):
            time.sleep(0.01)
        return
    queue = persistqueue.SQLiteAckQueue(folder, auto_commit=False, multithreading=True)
    for i in range(COMMANDS):
        queue.put(f"job {i}")
    queue.task_done()
    del queue
    open(sys.argv[1] + "/filled", "w").close()


def turns(begin, seconds):
    queue = open_queue()
    end = begin + int(seconds * 1e9)
    waits = []
    time.sleep(max(0, begin - now()) / 1e9)
    before = now()
    while before < end:
        try:
            queue.ack(queue.get(block=False))
        except persistqueue.exceptions.Empty:
            break
        after = now()
        waits.append(after - before)
        before = after
    waits.sort()
    at = lambda p: waits[min(len(waits) - 1, int(p * len(waits)))] if waits else 0
    return f"{len(waits)} {at(0.5)} {at(0.99)} {at(1.0)}"


fill()
print("ready", flush=True)
for line in sys.stdin:
    words = line.split()
    print("done " + turns(int(words[1]), float(words[2])), flush=True)
