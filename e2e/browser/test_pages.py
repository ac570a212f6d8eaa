"""Every page in a real Chromium: light and dark, wide and narrow, by keyboard, without JavaScript."""

import json
import pathlib
import urllib.request

import pytest
from axe_playwright_python.sync_playwright import Axe

from conftest import PYTEST, Recorder

LONG = (
    "import pytest\n"
    "kept = []\n"
    "class TestAggregationOfOrders:\n"
    "    @pytest.mark.parametrize('backend', ['postgresql/serializable', 'sqlite_in_memory'])\n"
    "    def test_the_sum_of_all_lines_is_the_total_of_the_order(self, backend): kept.append(bytearray(9_000_000))\n"
)
HOSTILE = (
    "import pytest\n"
    "@pytest.mark.parametrize('x', ['<script>alert(1)</script>', 'x' * 2000, 'שלום', '日本語'], ids=lambda x: x)\n"
    "def test_a(x): pass\n"
)
WIDTHS = {"wide": 1280, "narrow": 390}


@pytest.fixture(scope="module")
def recorded(server, tmp_path_factory):
    """Addresses of every kind of page, of real recordings."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "test_hostile.py").write_text(HOSTILE)
    (folder / "integration_with_orders").mkdir()
    (folder / "integration_with_orders" / "test_orders_of_customers_with_many_lines_each.py").write_text(LONG)
    (folder / "test_other.py").write_text("def test_b(): assert 0\n")
    recorder = Recorder(folder)
    jobs = []
    # Of three jobs that ran the same the project's page draws the peaks.
    for _ in range(3):
        summary = recorder.run(PYTEST + ["-n", "2"], server, flags=["--job", "<b>job</b> & co", "--variant", "python=3.11"])
        job = server.job(summary["uuid"])
        jobs.append(job["uuid"])
    keep = urllib.request.Request("%s/api/v1/jobs/%s/plan?budget=500MB&workers=2&together=*orders*" % (server.url, job["uuid"]), method="POST")
    with urllib.request.urlopen(keep, timeout=30) as answer:
        plan = json.load(answer)["id"]
    run = server.get("/api/v1/projects/test~suite/runs")["runs"][0]["run"]
    return {
        "home": "/",
        "project": "/p/test~suite",
        "run": "/p/test~suite/runs/%d" % run,
        "job": "/jobs/" + job["uuid"],
        "job by spike": "/jobs/%s?sort=spike" % job["uuid"],
        "plan": "/jobs/%s/plan?budget=500MB&jobs=2&together=*orders*" % job["uuid"],
        "kept plan": "/plans/" + plan,
        "no such plan": "/jobs/%s/plan?budget=1MB" % job["uuid"],
        "file": "/p/test~suite/files/test_hostile.py",
        "compare": "/compare?before=%s&after=%s" % tuple(jobs[-2:]),
        "choose": "/compare?after=" + job["uuid"],
        "sign in": "/sign-in",
        "api": "/api",
        "no such page": "/nowhere",
        "no such job": "/jobs/0197a7d4-0000-7000-8000-00000000ffff",
    }


PAGES = ["home", "project", "run", "job", "job by spike", "plan", "kept plan", "file", "compare", "choose", "sign in", "api"]
PAGES += ["no such plan", "no such page", "no such job"]


@pytest.fixture
def opened(server, recorded, browser):
    """Opens a page and answers it; whatever it complains of or asks elsewhere fails the test."""
    contexts, complaints = [], []

    def open_page(name, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(server.url) else complaints.append(request.url))
        page.goto(server.url + recorded[name])
        return page

    yield open_page
    for context in contexts:
        context.close()
    # The browser itself says that a page answered 404, where that is what was asked for.
    assert [text for text in complaints if "404" not in text] == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", sorted(WIDTHS))
def test_every_page_is_accessible_and_fits(opened, name, scheme, width):
    page = opened(name, color_scheme=scheme, viewport={"width": WIDTHS[width], "height": 900})
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, "%s is %d pixels wider than the screen" % (name, over)


@pytest.mark.parametrize("name", ["home", "project", "run", "file", "plan", "compare", "choose"])
def test_the_lists_fit_a_usual_screen(opened, name):
    page = opened(name, viewport={"width": 1280, "height": 900})
    too_wide = page.locator(".scroll").evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.ariaLabel)")
    assert too_wide == []


@pytest.mark.parametrize("name", ["job", "file", "compare", "plan", "project"])
def test_a_narrow_screen_shows_charts_whole_and_figures_beside_names(opened, name):
    page = opened(name, viewport={"width": WIDTHS["narrow"], "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS["narrow"]
    cut = page.locator(".chart svg").evaluate_all("all => all.filter(one => one.getBoundingClientRect().right > innerWidth).length")
    assert cut == 0
    # What is beyond the edge is reached in the table's own box, and a name does not fill all of that.
    wide = page.locator(".scroll tbody th").evaluate_all("all => all.map(one => one.offsetWidth / one.closest('.scroll').clientWidth)")
    assert wide and max(wide) <= 0.6


def test_a_project_shows_the_peaks_of_its_jobs_and_how_they_ended(opened):
    page = opened("project")
    kind = page.get_by_role("region", name="<b>job</b> & co python=3.11")
    peaks = kind.get_by_role("img", name="The last 3 jobs, oldest first: between")
    assert peaks.locator("svg").count() == 1
    # Other jobs of the project may have come before.
    endings = page.get_by_role("list", name="How these jobs ended").get_by_role("listitem").all_inner_texts()
    [failed] = [int(text.split()[2]) for text in endings if text.startswith("tests failed")]
    assert failed >= 3, endings


WORDS = """
long => [...long].flatMap(name => {
  const walker = document.createTreeWalker(name, NodeFilter.SHOW_TEXT), broken = [];
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    if (!/^[a-z.]{1,24}[_/]?$/i.test(text.data)) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    if (new Set([...range.getClientRects()].map(part => part.top)).size > 1) broken.push(text.data);
  }
  return broken;
})
"""


@pytest.mark.parametrize("name", ["job", "file"])
@pytest.mark.parametrize("width", sorted(WIDTHS))
def test_a_name_breaks_between_its_parts(opened, name, width):
    page = opened(name, viewport={"width": WIDTHS[width], "height": 900})
    assert page.locator(".long wbr").count() > 0
    assert page.locator(".long").evaluate_all(WORDS) == []


def test_hostile_names_are_text(opened):
    page = opened("job")
    assert "<script>alert(1)</script>" in page.inner_text("main")
    assert page.locator("main script").count() == 0 and page.locator("h1 b").count() == 0


def test_without_javascript_everything_is_there(opened):
    page = opened("job", java_script_enabled=False)
    assert page.locator("figure svg").count() == 1
    assert page.locator("#files ~ div table tbody tr").count() == 3


def test_a_page_says_in_words_what_its_chart_shows(opened):
    page = opened("job")
    words = page.locator("figure [role=img]").get_attribute("aria-label")
    assert "highest with" in words and words in page.inner_text("figcaption")


def test_from_home_to_a_file_by_keyboard_alone(opened, recorded):
    page = opened("home")

    def follow(selector):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                with page.expect_navigation():
                    page.keyboard.press("Enter")
                return
        raise AssertionError("no way by keyboard to %s from %s" % (selector, page.url))

    follow("a[href='/p/test~suite']")
    follow("tbody th a")
    follow("a[href*='/files/']")
    assert "/files/" in page.url


def test_a_plan_is_asked_for_by_a_form(opened, server):
    page = opened("job", java_script_enabled=False)
    page.get_by_role("link", name="Cut th").first.click()
    page.get_by_label("Budget of a job").fill("500MB")
    page.get_by_label("Jobs", exact=True).fill("3")
    page.get_by_role("button", name="Plan", exact=True).click()
    assert page.locator("#jobs-of-it ~ div tbody tr").count() == 3
    page.get_by_text("Files of job 1, in order").click()
    assert page.locator("details[open] ol li").count() == 1
    with page.expect_download() as download:
        page.get_by_role("link", name="test_selection_2.txt").click()
    assert len(download.value.path().read_text().splitlines()) == 1
    asked = page.url
    page.get_by_role("button", name="Keep this plan").click()
    plan = page.url.rsplit("/plans/", 1)[1]
    assert "highwater run --plan %s --shard 1/3 -- pytest" % plan in page.locator("pre").first.inner_text()
    page.get_by_role("link", name="other plans of it").click()
    assert page.locator("#kept ~ ul").get_by_role("link", name=plan).count() == 1
    page.goto(asked)
    page.get_by_role("link", name="how its shards name it").click()
    assert page.url.endswith("/plans/" + plan)
    page.goto(asked)
    page.get_by_label("Jobs", exact=True).fill("none")
    page.get_by_role("button", name="Plan", exact=True).click()
    assert "is not a number" in page.get_by_role("alert").inner_text()


def test_sorting_is_a_link_and_says_what_is_sorted(opened):
    page = opened("job")
    page.click("thead a:has-text('Spike')")
    assert page.locator("th[aria-sort=descending]").inner_text() == "Spike"


def test_two_jobs_are_chosen_by_keyboard_and_compared_without_javascript(opened, recorded):
    page = opened("project", java_script_enabled=False)
    page.click("main a:has-text('Compare jobs')")
    for side, row in (("before", 1), ("after", 0)):
        page.locator("input[name=%s]" % side).nth(row).focus()
        page.keyboard.press("Space")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.inner_text("p.sentence").startswith("Peak ")
    rows = page.locator("#files ~ div tbody tr")
    assert rows.count() == 3
    # Bars are nothing to listen to; what they show stands beside them.
    assert page.locator("svg.bars:not([aria-hidden=true])").count() == 0 and "MiB" in rows.first.inner_text()


def test_every_anchor_of_the_api_page_is_there(opened):
    page = opened("api", java_script_enabled=False)
    anchors = page.locator("main a[href^='#']").evaluate_all("links => links.map(link => link.getAttribute('href').slice(1))")
    ids = page.locator("main [id]").evaluate_all("all => all.map(one => one.id)")
    assert len(anchors) > 100 and len(ids) == len(set(ids))
    assert set(anchors) <= set(ids)
    page.goto(page.url.split("#")[0].replace("/api", "/"))
    page.click("footer a:has-text('API')")
    assert page.inner_text("h1") == "The API"
