"""A running job's page follows it, in a real Chromium, and settles without being asked for again."""

from playwright.sync_api import expect

from conftest import PYTEST, wait_for

SUITE = """
import pathlib, time

def wait(name):
    deadline = time.monotonic() + 60
    while not pathlib.Path(name).exists() and time.monotonic() < deadline:
        time.sleep(0.02)

def test_one(): wait("one")
def test_two(): wait("two")
"""


def test_a_running_page_follows_and_settles(server, recorder, tmp_path, browser):
    (tmp_path / "test_slow.py").write_text(SUITE)
    process = recorder.start(PYTEST + ["test_slow.py"], server)
    page, complaints = browser.new_context(viewport={"width": 1280, "height": 900}).new_page(), []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        folder = wait_for("the spool", lambda: next(iter(recorder.spool.glob("*/job")), None)).parent
        path = "/api/v1/jobs/%s/tests" % folder.name

        def seen(name):
            try:
                return any(name in test["nodeid"] for test in server.get(path)["tests"])
            except OSError:
                return False

        wait_for("the first test", lambda: seen("test_one"))
        page.goto("%s/jobs/%s" % (server.url, folder.name))
        assert "this page follows" in page.inner_text("main")
        page.evaluate("window.wasHereBefore = true")
        began = page.inner_text("main")
        (tmp_path / "one").touch()
        expect(page.locator("main")).to_contain_text("test_two", timeout=30000)
        assert page.inner_text("main") != began
        (tmp_path / "two").touch()
        expect(page.locator("main")).not_to_contain_text("this page follows", timeout=60000)
        assert page.evaluate("window.wasHereBefore"), "the page was not loaded anew"
        assert "none failed" in page.inner_text("main")
    finally:
        for name in ("one", "two"):
            (tmp_path / name).touch()
        process.wait(60)
    assert complaints == []
