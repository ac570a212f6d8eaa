"""Signing in with a token, in a real Chromium, as somebody who was sent a link."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from conftest import PYTEST
from guarded import GuardedServer, make_token


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_link_leads_through_the_sign_in_to_its_page(tmp_path, recorder, browser, scheme):
    server = GuardedServer(tmp_path)
    try:
        (tmp_path / "test_a.py").write_text("def test_a(): pass\n")
        ingest = make_token(server, "--project", "test/suite", "--scope", "ingest")
        read = make_token(server, "--project", "test/suite", "--scope", "read")
        summary = recorder.run(PYTEST + [tmp_path / "test_a.py"], server, HIGHWATER_TOKEN=ingest)
        link = "%s/jobs/%s" % (server.url, summary["uuid"])
        # Without TLS, on an address of this machine: the server was told so.
        page = browser.new_context(color_scheme=scheme, java_script_enabled=False, viewport={"width": 390, "height": 800}).new_page()
        page.goto(link)
        assert page.url.startswith(server.url + "/sign-in?to=")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.keyboard.press("Tab")
        page.get_by_label("Token of the scope read").fill("hw_wrong")
        page.keyboard.press("Enter")
        assert "no token of this server" in page.get_by_role("alert").inner_text()
        page.get_by_label("Token of the scope read").fill(read)
        page.keyboard.press("Enter")
        page.wait_for_url(link)
        assert page.get_by_role("heading", level=1).count() == 1
        page.goto(server.url + "/")
        assert page.get_by_role("link", name="test/suite").count() > 0
        page.goto(server.url + "/sign-in")
        assert "read of test/suite" in page.inner_text("main")
        page.get_by_role("button", name="Sign out").click()
        page.goto(link)
        assert "/sign-in?to=" in page.url
        with_script = browser.new_context(color_scheme=scheme).new_page()
        with_script.goto(server.url + "/sign-in")
        assert Axe().run(with_script).violations_count == 0
    finally:
        server.stop()
