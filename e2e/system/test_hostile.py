"""A server against what nobody means well with: the generator beside the load test, hostile files, and a browser on what was let in."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import uuid

from conftest import BINARIES, PYTEST
from guarded import GuardedServer, ask, make_token, settled

# Each day a bounded number; `cargo xtask hostile --requests N` sets it.
REQUESTS = int(os.environ.get("HIGHWATER_HOSTILE_REQUESTS", "4000"))
FILES = 40
# A server that did nothing has a few dozen MiB; what may be under way at once is bounded (256 MiB of bodies, four decoded at a time).
MOST_MIB = 1024
CANARY = "canary-" + uuid.uuid4().hex
MARKUP = "</title><script>document.documentElement.dataset.owned=1</script><img src=x onerror='document.documentElement.dataset.owned=1'>"


def prepare(server, folder, recorder):
    """A job of a project of ours, and one of others with the canary in every text; the tokens that the generator uses."""
    tokens = {scope: make_token(server, "--project", "test/suite", "--scope", scope) for scope in ("read", "ingest", "admin")}
    revoked = make_token(server, "--all-projects", "--scope", "admin")
    database = ["--database", "sqlite://%s" % server.database]
    subprocess.run([str(BINARIES / "highwater-server"), "token", "revoke", revoked] + database, check=True, stdout=subprocess.DEVNULL)
    expired = make_token(server, "--all-projects", "--scope", "admin", "--expires", "1s")
    (folder / "test_a.py").write_text("def test_a(): pass\n")
    mine = recorder.run(PYTEST + [folder / "test_a.py"], server, HIGHWATER_TOKEN=tokens["ingest"])["uuid"]
    others, stream = str(uuid.uuid4()), str(uuid.uuid4())
    job = {"version": 1, "project": "others/secret", "name": CANARY, "attempt": 1, "intervalUs": 50000, "startedUnixUs": "1767225600000000"}
    job.update(run={"provider": CANARY, "id": CANARY, "branch": CANARY, "headCommit": CANARY}, variant={CANARY: CANARY}, command=[CANARY])
    process = {"pid": 7, "startTicks": "1", "command": CANARY, "role": "ROLE_PYTEST", "session": CANARY, "startedUs": "0"}
    begin = {"tUs": "10", "rssBytes": "1", "testBegin": {"execution": 1, "path": "test_a.py", "nodeid": "test_a.py::" + CANARY}}
    batch = {"version": 1, "fromUs": "0", "toUs": "1000000", "processes": [process], "marks": [begin]}
    batch["sessions"] = [{"id": CANARY, "root": CANARY, "args": [CANARY], "beganUs": "0"}]
    end = {"version": 1, "endedUs": "1000000", "exitCode": 1, "streams": [{"stream": stream, "batches": "1"}]}
    path = "/api/v1/jobs/" + others
    for target, body in ((path, job), ("%s/streams/%s/batches/0" % (path, stream), batch), (path + "/end", end)):
        status, answer = ask(server, target, server.admin, "PUT", json.dumps(body).encode())
        assert status == 201, answer
    for job in (mine, others):
        settled(server, job, server.admin)
    setting = dict(tokens, canary=CANARY, project="test/suite", mine=mine, others_project="others/secret", others=others)
    setting["dead"] = [revoked, expired, "hw_", "hw_" + "0" * 80, "' OR 1=1 --"]
    (folder / "setting.json").write_text(json.dumps(setting))
    assert CANARY in json.dumps(ask(server, path, server.admin)[1])
    return tokens


def bring_files(server, folder):
    """Files of other recorders with hostile names and contents: each is taken or refused, and nothing breaks."""
    chance = random.Random(1)
    made = []
    for number in range(FILES):
        lines = ["CMDLINE %s" % MARKUP] + ["MEM %s %s" % (chance.choice(["10.5", "-1", "1e309", "nan", MARKUP]), 1767225600 + n) for n in range(3)]
        content = bytearray("\n".join(lines).encode() if number % 2 else b"SQLite format 3\0" + chance.randbytes(4096))
        for _ in range(chance.randrange(3)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path = folder / ("%d.%s" % (number, "dat" if number % 2 else "pymon"))
        path.write_bytes(content)
        made.append(path)
    good = folder / "good.dat"
    good.write_text("CMDLINE %s\nMEM 10.0 1767225600.0\nMEM 12.5 1767225600.1\n" % MARKUP)
    for path in made + [good]:
        command = [str(BINARIES / "highwater-server"), "import", str(path), "--project", "test/suite", "--job", MARKUP[:90]]
        done = subprocess.run(command + ["--database", "sqlite://%s" % server.database], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        said = done.stderr.decode(errors="replace")
        assert done.returncode in (0, 1, 2) and "panicked" not in said, said
    assert done.returncode == 0, said


def sign_in(page, server, token):
    page.goto(server.url + "/sign-in")
    page.get_by_label("Token of the scope read").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(server.url + "/")


def look_at(browser, server, token, jobs):
    """Opens every kind of page on what was let in. Nothing of it may be run, asked for or complained of."""
    found = []
    context = browser.new_context()
    page = context.new_page()
    page.on("dialog", lambda dialog: (found.append("dialog " + dialog.message), dialog.dismiss()))
    page.on("console", lambda message: found.append("console " + message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append("error " + str(error)))
    page.on("request", lambda request: None if request.url.startswith(server.url) else found.append("request " + request.url))
    sign_in(page, server, token)
    addresses, looked = ["/", "/p/test~suite"] + ["/jobs/" + job for job in jobs], set()
    while addresses:
        address = addresses.pop(0)
        looked.add(address)
        page.goto(server.url + address)
        assert page.evaluate("document.documentElement.dataset.owned") is None, address
        assert page.locator("main script, main img, main iframe").count() == 0, address
        assert page.locator("a[href^='javascript:'], a[href^='data:'], [onerror], [onload], [onfocus]").count() == 0, address
        if address.startswith("/jobs/"):
            links = page.locator("main a[href*='/files/']").evaluate_all("links => links.map(link => link.getAttribute('href'))")
            addresses += [link for link in links[:2] if link not in looked and link not in addresses]
        for line in found:
            raise AssertionError("%s on %s" % (line, address))
    context.close()
    return looked


def test_nothing_that_is_sent_breaks_it_leaks_or_is_run(tmp_path, recorder, browser):
    server = GuardedServer(tmp_path, "behind_proxy = true\n")
    try:
        tokens = prepare(server, tmp_path, recorder)
        made = tmp_path / "made.txt"
        command = [str(BINARIES / "examples" / "hostile"), server.url, "--setting", str(tmp_path / "setting.json"), "--made", str(made)]
        command += ["--requests", str(REQUESTS), "--server-pid", str(server.process.pid)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 + REQUESTS // 100)
        told = done.stdout.decode()
        print(told)
        assert done.returncode == 0, told + done.stderr.decode()[-8000:]
        highest = int(told.split("highest memory of the server: ")[1].split(" MiB")[0])
        assert highest < MOST_MIB, told
        bring_files(server, tmp_path)
        reports = [ask(server, "/api/v1/jobs/" + job, tokens["read"]) for job in made.read_text().split()]
        reports = [report for status, report in reports if status == 200]
        # Of the last few not everything was sent; the pages of running jobs are looked at as well.
        jobs = [report["uuid"] for report in reports]
        ended = [report["uuid"] for report in reports if report["state"] != "running"]
        assert len(ended) > 3, "hostile jobs were let in"
        for job in ended:
            settled(server, job, tokens["read"])
        looked = look_at(browser, server, tokens["read"], jobs[:20])
        print("%d jobs with hostile texts, %d pages looked at" % (len(jobs), len(looked)))
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        log = (tmp_path / "server.log").read_text(errors="replace")
        assert "panicked" not in log and " ERROR " not in log, log[-8000:]
        with sqlite3.connect(str(server.database)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            assert not list(tmp_path.glob("owned*")) and not os.path.exists("/tmp/owned.db")
    finally:
        server.stop()
