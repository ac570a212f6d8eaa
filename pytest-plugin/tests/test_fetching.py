"""A plan that a server keeps is fetched by its id, once a run, and by nobody who is not asked to."""

import collections
import http.server
import json
import socket
import threading
import uuid

import pytest
from highwater_pytest import fetching
from highwater_pytest.shard import _digest
from test_shard import BODY, RECORDED, ran

ALL = ["test_a.py", "test_b.py", "test_c.py"]
JOBS = [ALL[:2], ALL[2:]]
PLAN = _digest(uuid.UUID(RECORDED), JOBS, [])
OTHER = "2a2b0170-0df6-5fe7-9f61-fdb1e6127b53"


def document(**changes):
    jobs = [{"index": index, "files": files} for index, files in enumerate(JOBS, 1)]
    return json.dumps(dict({"id": PLAN, "of": RECORDED, "jobs": jobs, "together": []}, **changes)).encode()


class Keeper:
    """A server that keeps one plan, and notes who asks for what."""

    def __init__(self):
        self.asked = []
        self.answer = (200, {}, document())
        keeper = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                keeper.asked.append((self.path, self.headers.get("Authorization")))
                status, headers, body = keeper.answer
                self.send_response(status)
                for name, value in dict(headers, **{"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def keeper():
    keeper = Keeper()
    yield keeper
    keeper.server.shutdown()
    keeper.server.server_close()


@pytest.mark.parametrize("options", [[], ["-n", "2", "--dist", "loadfile"]])
def test_shards_by_id_are_those_of_the_plan_and_ask_once_each(suite, keeper, options):
    if options:
        pytest.importorskip("xdist")
    suite.write(test_a=BODY, test_b=BODY, test_c=BODY)
    told = {"HIGHWATER_SERVER": keeper.url + "/", "HIGHWATER_TOKEN": "records", "HIGHWATER_READ_TOKEN": " secret\n", "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    parts = [ran(suite, "-v", "--highwater-shard", "%d/2" % index, "--highwater-plan=" + PLAN, *options, **told) for index in (1, 2)]
    files = [set(id.split("::")[0] for id in part) for part in parts]
    assert files == [set(JOBS[0]), set(JOBS[1])]
    assert collections.Counter(ran(suite, "-v")) == collections.Counter(id for part in parts for id in part)
    # Workers did not ask for themselves.
    assert keeper.asked == [("/api/v1/plans/" + PLAN, "Bearer secret")] * 2


def test_a_variable_names_the_plan_for_the_pytest_that_is_split_alone(suite, keeper):
    nested = "import subprocess, sys\ndef test_it(tmp_path):\n    (tmp_path / 'test_b.py').write_text('def test_one(): pass')\n"
    nested += "    done = subprocess.run([sys.executable, '-m', 'pytest', str(tmp_path)], stdout=subprocess.PIPE)\n    assert b'1 passed' in done.stdout\n"
    suite.write(test_a=nested, test_c=BODY)
    told = {"HIGHWATER_SERVER": keeper.url, "HIGHWATER_PLAN": PLAN.upper(), "HIGHWATER_SHARD": "1/2"}
    assert ran(suite, "-v", **told) == ["test_a.py::test_it"]
    assert [token for _, token in keeper.asked] == [None]
    # Nor is anybody asked where no plan is named.
    assert len(ran(suite, "-v", HIGHWATER_SERVER=keeper.url)) == 5
    assert len(keeper.asked) == 1


def test_a_file_that_is_called_like_an_id_is_named_by_its_folder(suite, keeper):
    suite.write(test_a=BODY, test_c=BODY)
    (suite.tests / PLAN).write_bytes(document())
    told = ["-v", "--highwater-shard", "2/2", "--highwater-plan=./" + PLAN]
    assert len(ran(suite, *told, HIGHWATER_SERVER=keeper.url)) == 4
    assert keeper.asked == []


REFUSED = json.dumps({"error": {"code": "x", "message": "there is no plan", "hint": "?"}}).encode()


@pytest.mark.parametrize(
    "answer, why",
    [
        ((404, {}, REFUSED), "asked with HIGHWATER_TOKEN: it is not there, or not for whoever asks: there is no plan"),
        ((401, {}, REFUSED), "asked with HIGHWATER_TOKEN: the server asks for a token that may read"),
        ((500, {}, REFUSED), "the server answered 500: there is no plan"),
        ((503, {}, b"[]"), "the server answered 503"),
        ((302, {"Location": "/elsewhere"}, b""), "the server answered 302: a redirect is not followed"),
        ((200, {}, b"<html>"), "this is no plan"),
        ((200, {}, b"\xff\xfe"), "this is no plan"),
        ((200, {}, b"[]"), "this is no plan"),
        ((200, {}, document(id=OTHER)), "was changed after it was made"),
    ],
)
def test_what_a_server_does_not_give_is_told_and_nothing_runs(suite, keeper, answer, why):
    suite.write(test_a=BODY)
    keeper.answer = answer
    done = suite.run("--highwater-shard", "1/2", "--highwater-plan=" + PLAN, HIGHWATER_SERVER=keeper.url, HIGHWATER_TOKEN="secret")
    told = done.stdout.decode()
    assert done.returncode == 4 and why in told and "Traceback" not in told and "passed" not in told, told
    assert len(keeper.asked) == 1


def test_a_whole_plan_under_another_id_is_refused(suite, keeper):
    suite.write(test_a=BODY)
    done = suite.run("--highwater-shard", "1/2", "--highwater-plan=" + OTHER, HIGHWATER_SERVER=keeper.url)
    assert done.returncode == 4 and "the server answered with plan %s" % PLAN in done.stdout.decode(), done.stdout.decode()


@pytest.mark.parametrize(
    "variables, why",
    [
        ({}, "none is named: set HIGHWATER_SERVER, or let `highwater run --plan %s` fetch it" % PLAN),
        ({"HIGHWATER_SERVER": " "}, "none is named"),
        ({"HIGHWATER_SERVER": "file:///etc"}, "HIGHWATER_SERVER is no address such as https://"),
        ({"HIGHWATER_SERVER": "127.0.0.1:1"}, "the server cannot be asked: [Errno 111] Connection refused"),
        ({"HIGHWATER_SERVER": "127.0.0.1:port"}, "HIGHWATER_SERVER is no address such as https://"),
        ({"HIGHWATER_SERVER": ":8080"}, "HIGHWATER_SERVER is no address such as https://"),
        ({"HIGHWATER_SERVER": "me:hunter2@127.0.0.1:1"}, "HIGHWATER_SERVER holds a password: give a token in HIGHWATER_READ_TOKEN instead"),
        ({"HIGHWATER_SERVER": "http://[::1"}, "HIGHWATER_SERVER is no address such as https://"),
        ({"HIGHWATER_SERVER": "http://127.0.0.1:port"}, "HIGHWATER_SERVER is no address such as https://"),
        ({"HIGHWATER_SERVER": "http://me:hunter2@127.0.0.1:1"}, "HIGHWATER_SERVER holds a password: give a token in HIGHWATER_READ_TOKEN instead"),
        ({"HIGHWATER_SERVER": "http://127.0.0.1:1", "HIGHWATER_TOKEN": "two words"}, "a token is one word"),
        ({"HIGHWATER_SERVER": "http://127.0.0.1:1"}, "the server cannot be asked: [Errno 111] Connection refused"),
        ({"HIGHWATER_SERVER": "https://127.0.0.1:1", "HIGHWATER_CA_FILE": "/none.pem"}, "HIGHWATER_CA_FILE: /none.pem: "),
    ],
)
def test_a_server_that_cannot_be_asked_is_told_and_nothing_runs(suite, variables, why):
    suite.write(test_a=BODY)
    done = suite.run("--highwater-shard", "1/2", "--highwater-plan=" + PLAN, **variables)
    told = done.stdout.decode()
    assert done.returncode == 4 and why in told and "Traceback" not in told and "passed" not in told and "hunter2" not in told, told


def test_an_address_is_taken_as_the_agent_takes_it(suite, keeper):
    suite.write(test_a=BODY, test_b=BODY, test_c=BODY)
    told = {"HIGHWATER_SERVER": keeper.url.replace("http://", ""), "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    part = ran(suite, "-v", "--highwater-shard", "2/2", "--highwater-plan=" + PLAN, **told)
    assert set(id.split("::")[0] for id in part) == set(JOBS[1])


@pytest.mark.parametrize(
    "host, is_loopback",
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("localhost.", True),
        ("hw.localhost", True),
        ("127.example", False),
        ("127.0.0.1.example", False),
        ("notlocalhost", False),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("::2", False),
    ],
)
def test_what_is_on_this_machine_is_known_by_its_address(host, is_loopback):
    assert fetching._is_loopback(host) == is_loopback


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_is_said(keeper, monkeypatch):
    silent = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    # It takes connections and answers none.
    monkeypatch.setattr(fetching, "SILENCE_S", 0.05)
    with silent, pytest.raises(fetching.NotFetched, match="the server cannot be asked: (.*)timed out"):
        fetching._ask(PLAN, "http://127.0.0.1:%d" % silent.server_port, "")
    monkeypatch.setenv("HIGHWATER_SERVER", keeper.url)
    monkeypatch.setattr(fetching, "WHOLE_S", 0)
    with pytest.raises(fetching.NotFetched, match="did not answer within 0 s"):
        fetching.fetch(PLAN)


def test_who_speaks_no_http_keeps_no_plan():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet():
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"220 mail.example ready\r\n")

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(fetching.NotFetched, match="the server cannot be asked: 220 mail.example"):
            fetching._ask(PLAN, "http://127.0.0.1:%d" % listening.getsockname()[1], "")


def test_an_answer_that_is_too_long_is_no_plan(keeper, monkeypatch):
    monkeypatch.setattr(fetching, "MOST_BYTES", len(document()))
    assert fetching._ask(PLAN, keeper.url, "") == document()
    monkeypatch.setattr(fetching, "MOST_BYTES", len(document()) - 1)
    with pytest.raises(fetching.NotFetched, match="answered with more than"):
        fetching._ask(PLAN, keeper.url, "")
