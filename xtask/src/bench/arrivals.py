"""Says when batches are on a server's disk: `arrivals.py DATABASE SECONDS` prints the begin of the job that runs, then of each batch when it
was first seen, in µs since 1970, and its body."""

import sqlite3
import sys
import time

db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True, isolation_level=None)
end = time.monotonic() + float(sys.argv[2])
job, begin = db.execute("SELECT id, begin_body FROM job ORDER BY id DESC LIMIT 1").fetchone()
print("job", begin.hex())
# What is there already arrived nobody knows when.
seen = {seq for seq, in db.execute("SELECT seq FROM batch WHERE job_id = ?", (job,))}
while time.monotonic() < end:
    newest = db.execute("SELECT MAX(seq) FROM batch WHERE job_id = ?", (job,)).fetchone()[0]
    if newest is not None and newest not in seen:
        now = time.time_ns() // 1000
        seen.add(newest)
        body = db.execute("SELECT content FROM body WHERE job_id = ? AND seq = ?", (job, newest)).fetchone()[0]
        print(now, body.hex())
    time.sleep(0.002)
