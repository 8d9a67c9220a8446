"""A contender for filelatch-compare: filelock and atomicwrites. Commands as in src/worker.rs."""

import json
import os
import sys
import threading
import time

from atomicwrites import atomic_write
from filelock import FileLock

folder = sys.argv[1]
now = time.monotonic_ns


def new_lock():
    return FileLock(os.path.join(folder, "py.lock"), timeout=60)


def update(lock, record):
    path = os.path.join(folder, "doc.json")
    with lock:
        with open(path, encoding="utf-8") as file:
            doc = json.load(file)
        doc["records"][record]["count"] += 1
        with atomic_write(path, overwrite=True) as file:
            json.dump(doc, file, indent=2)


def many(begin, seconds, threads, first, counter=None):
    end = begin + int(seconds * 1e9)
    results = [None] * threads

    def one(index):
        lock = new_lock()
        waits = []
        time.sleep(max(0, begin - now()) / 1e9)
        before = now()
        while before < end:
            if first is None:
                lock.acquire()
            else:
                update(lock, first + index)
            waits.append(now() - before)
            if counter is not None:
                count = int.from_bytes(os.pread(counter, 8, 0), "little")
                os.pwrite(counter, (count + 1).to_bytes(8, "little"), 0)
            if first is None:
                lock.release()
            before = now()
        waits.sort()
        at = lambda p: waits[min(len(waits) - 1, int(p * len(waits)))]
        results[index] = f"{len(waits)} {at(0.5)} {at(0.99)} {waits[-1]}"

    all_threads = [threading.Thread(target=one, args=(i,)) for i in range(threads)]
    for thread in all_threads:
        thread.start()
    for thread in all_threads:
        thread.join()
    return "done " + " ".join(results)


own = new_lock()
print("ready", flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] == "lock":
        own.acquire()
        answer = f"locked {now()}"
    elif words[0] == "unlock":
        before = now()
        own.release()
        answer = f"unlocked {before}"
    elif words[0] == "loop":
        answer = many(int(words[1]), float(words[2]), int(words[3]), None)
    elif words[0] == "count":
        counter = os.open(os.path.join(folder, "counter"), os.O_RDWR | os.O_CREAT)
        answer = many(int(words[1]), float(words[2]), int(words[3]), None, counter)
    else:
        answer = many(int(words[1]), float(words[2]), int(words[3]), int(words[4]))
    print(answer, flush=True)
