"""The tracking UI as a person meets it, in a real browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import ROOT, run, serve
from imr_rationale.learning.model import Config
from imr_rationale.tracking.search import SearchPlan, search_config
from imr_rationale.tracking.server import find_runs_address
from imr_rationale.tracking.store import connect, find_run
from imr_rationale.tracking.training import read_inputs

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: a small screen, so that the pictures stay small
SCREEN = {"width": 1360, "height": 850}
#: a machine that does other things besides may need long
PATIENCE = 60_000
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(os.environ.get("IMR_SCREENSHOTS", ROOT / ".ci" / "screenshots"))


def find_browser() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        message = "NO BROWSER, THE REVIEW IN THE UI IS NOT TESTED: install Debian's package chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def reviewed(trained: tuple[Path, str, str]) -> tuple[Path, str]:
    """Two training runs, the second on less, a search, and a champion; gives the folder and the store."""
    find_browser()
    folder, store, _ = trained
    (folder / "less").mkdir()
    for file in sorted((folder / "corpus").glob("*.txt"))[::3]:
        shutil.copy(file, folder / "less")
    common = ("--heldout", "heldout", "--bootstrap", 20, "--tracking-uri", store)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("train", "--corpus", "less", "-o", "less-data", "--folds", 2, "--note", "a third of the files", *common)
        inputs = read_inputs(Path("less"))
        plan = SearchPlan("search", "reasons.micro_f1", Config(n_splits=2, n_bootstrap=20), inputs.sources[0])
        search_config(plan, inputs.data, store, n_trials=2)
        run("compare", "model", "less-data", "--bootstrap", 20, "--tracking-uri", store)
        run("promote", "model", "--tracking-uri", store)
    return folder, store


@pytest.fixture(scope="module")
def server(reviewed: tuple[Path, str]) -> Iterator[tuple[str, str]]:
    """The server of `imr ui`; gives its address and that of the runs."""
    folder, store = reviewed
    with serve(store, folder) as address:
        yield address, find_runs_address(store, port=int(address.rpartition(":")[2]))


@pytest.fixture(scope="module")
def page(server: tuple[str, str]) -> "Iterator[Page]":
    from playwright.sync_api import sync_playwright

    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=flags)
        page = browser.new_page(viewport=SCREEN)
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def open_page(page: "Page", address: str) -> None:
    page.goto("about:blank")  # a change behind the # alone does not load the page anew
    page.goto(address)


def take_screenshot(page: "Page", name: str) -> None:
    page.wait_for_timeout(1500)  # pictures fade in
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_experiments_are_listed(page: "Page", server: tuple[str, str]) -> None:
    open_page(page, f"{server[0]}/#/experiments")
    page.get_by_role("link", name="imr-rationale").wait_for()
    page.locator("[data-component-id='mlflow.assistant.chat_panel.close']").click()  # room for what counts
    take_screenshot(page, "1-experiments")


def test_runs_stand_beside_their_headlines_and_nested_runs_open(page: "Page", server: tuple[str, str]) -> None:
    open_page(page, server[1])
    for name in ("model", "less-data", "search"):
        page.get_by_role("link", name=name, exact=True).first.wait_for()
    for column in ("corpus_cv.reasons.micro_f1", "note", "real_letters"):
        page.get_by_text(column, exact=True).first.wait_for()
    assert page.get_by_text("a third of the files").count() == 1
    assert page.get_by_role("link", name="trial 1", exact=True).count() == 0
    page.get_by_role("row").filter(has=page.get_by_role("link", name="search", exact=True)).get_by_role(
        "button"
    ).first.click()
    for name in ("trial 1", "trial 2"):
        page.get_by_role("link", name=name, exact=True).first.wait_for()
    take_screenshot(page, "2-runs")


def test_a_run_shows_its_card_and_data(page: "Page", server: tuple[str, str], reviewed: tuple[Path, str]) -> None:
    open_page(page, find_run_address(server[0], reviewed[1], "model"))
    page.get_by_text("Model card: model").wait_for()
    for text in ("real_letters", "sha256.corpus", "corpus ("):
        assert page.get_by_text(text).first.is_visible()
    take_screenshot(page, "3-run")


def find_run_address(server: str, store: str, name: str, inside: str = "") -> str:
    with connect(store) as mlflow:
        found = find_run(mlflow.MlflowClient(), name)
    path = f"{found.info.experiment_id}/runs/{found.info.run_id}{inside}"
    return f"{server}/#/experiments/{path}?workflowType=machine_learning"


def test_two_runs_are_compared_with_charts(page: "Page", server: tuple[str, str]) -> None:
    open_page(page, f"{server[1]}&compareRunsMode=CHART")
    for metric in ("corpus_cv.reasons.micro_f1", "corpus_cv.reasons.macro_f1"):
        page.get_by_text(metric, exact=True).first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    assert page.get_by_text("corpus_cv.evidence.precision.low", exact=True).count() == 0
    take_screenshot(page, "4-charts")
    open_page(page, server[1])
    for name in ("model", "less-data"):
        page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True)).get_by_role(
            "checkbox"
        ).first.check()
    page.get_by_role("button", name="Compare").first.click()
    page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for()
    page.get_by_text("Parallel Coordinates Plot").first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    take_screenshot(page, "5-two-runs")


def test_pictures_are_shown(page: "Page", server: tuple[str, str], reviewed: tuple[Path, str]) -> None:
    open_page(page, find_run_address(server[0], reviewed[1], "model", "/artifacts/heldout/reasons.png"))
    picture = page.locator("img[src^='blob:'], img[src*='get-artifact'], img[src^='data:']").first
    picture.wait_for()
    take_screenshot(page, "6-picture")


def test_tables_are_shown_as_tables(page: "Page", server: tuple[str, str], reviewed: tuple[Path, str]) -> None:
    open_page(page, find_run_address(server[0], reviewed[1], "model", "/artifacts/corpus_cv/label_noise.json"))
    for column in ("annotated", "probability", "quality"):
        page.get_by_text(column, exact=True).first.wait_for()
    take_screenshot(page, "7-label-noise")


def test_error_browser_filters_inside_its_frame(
    page: "Page", server: tuple[str, str], reviewed: tuple[Path, str]
) -> None:
    open_page(page, find_run_address(server[0], reviewed[1], "model", "/artifacts/corpus_cv/errors.html"))
    assert page.locator("iframe").first.get_attribute("sandbox") == "allow-scripts"
    frame = page.frame_locator("iframe").first
    count = frame.locator("#count")
    count.wait_for()
    assert count.inner_text() == "200 of 200 items"
    frame.locator("#filter-reason").select_option("safety_risk")
    frame.locator("#filter-kind").select_option("missed")
    shown = int(count.inner_text().split()[0])
    assert 0 < shown < 200
    visible = frame.locator("article.item:visible")
    assert visible.count() == shown
    assert all("safety_risk" in (item.get_attribute("data-missed") or "") for item in visible.all())
    visible.first.scroll_into_view_if_needed()
    take_screenshot(page, "8-error-browser")
    frame.locator("#reset").click()
    assert count.inner_text() == "200 of 200 items"


def test_error_browser_works_from_disk(page: "Page", reviewed: tuple[Path, str]) -> None:
    with connect(reviewed[1]) as mlflow:
        client = mlflow.MlflowClient()
        run_id = find_run(client, "model").info.run_id
        path = client.download_artifacts(run_id, "corpus_cv/errors.html", str(reviewed[0]))
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(Path(path).as_uri())
    page.locator("#filter-outcome").select_option("Overturned")
    shown = int(page.locator("#count").inner_text().split()[0])
    assert page.locator("article.item:visible").count() == shown > 0
    assert complaints == []


def test_model_version_bears_the_alias(page: "Page", server: tuple[str, str]) -> None:
    open_page(page, f"{server[0]}/#/models/imr-rationale/versions/1")
    page.get_by_text("champion").first.wait_for()
    page.get_by_text("Model card: model").wait_for()
    take_screenshot(page, "9-model-version")
