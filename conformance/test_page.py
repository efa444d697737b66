"""The page for people in Chromium, and what a page of somebody else can do in the same browser."""

import http.server
import pathlib
import shutil
import threading
import time
import urllib.request

import openai
import pytest
from gateways import ROOT, Gateway, configuration
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SHOTS = ROOT / "target" / "conformance" / "screenshots"
# Widths of a telephone, a tablet and a desk.
WIDTHS = (360, 768, 1280)

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed and cannot be")


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    # The page needs nothing from elsewhere; a name that is looked up would be a fault, so there are none.
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"):
        options.add_argument(flag)
    # A scroll bar that takes room would make windows of one width differ.
    options.add_argument("--hide-scrollbars")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def used(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory):
    """A gateway of this file, which forgets at the end: three questions were routed under MPC, and answered for money."""
    private = configuration("chat", gateway.base_url).replace('placement = "local"', 'placement = "full"\ndeadline = "60s"')
    with Gateway(tmp_path_factory.mktemp("page"), private) as running:
        client = openai.OpenAI(base_url=running.base_url, api_key="unused")
        for question in ("What is the capital of France?", "Prove that 2 is prime.", "Write a sonnet about rain."):
            client.chat.completions.create(model="auto", messages=[{"role": "user", "content": question}])
        yield running


def decisions(browser) -> int:
    return len(browser.find_elements(By.CSS_SELECTOR, "section[aria-labelledby=decisions] tbody tr"))


def reaches(browser, address: str) -> None:
    """Waits until the window shows all of `address`: what a click leads to is loaded after the click has returned."""

    def shown(window) -> bool:
        return window.current_url == address and window.execute_script("return document.readyState") == "complete"

    WebDriverWait(browser, 60).until(shown, f"the window does not show {address}")


def complaints(browser) -> list[str]:
    """What the browser says against the page, but for the icon that no page asks for."""
    return [entry["message"] for entry in browser.get_log("browser") if "favicon.ico" not in entry["message"]]


def colours(browser) -> int:
    """How many different colours the window shows, counted in the picture of it."""
    return browser.execute_async_script(
        """
        const [picture, done] = arguments;
        const bytes = Uint8Array.from(atob(picture), letter => letter.charCodeAt(0));
        createImageBitmap(new Blob([bytes], { type: 'image/png' })).then(image => {
          const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
          canvas.drawImage(image, 0, 0);
          done(new Set(new Uint32Array(canvas.getImageData(0, 0, image.width, image.height).data.buffer)).size);
        }, () => done(-1));
        """,
        browser.get_screenshot_as_base64(),
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_can_be_read_at_each_width(browser, used, width, scheme):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": width < 500})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(f"{used.origin}/")
    SHOTS.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(SHOTS / f"page-{width}-{scheme}.png"))
    assert decisions(browser) == 3
    inner, outer = browser.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert (inner, outer) == (width, width), "the page is wider than the window"
    back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert back == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)"), "its own style is not applied"
    # Text has many shades, the graph its own; an empty window has one.
    assert colours(browser) > 50
    graph = browser.find_element(By.CSS_SELECTOR, "section[aria-labelledby=day] svg")
    assert graph.size["width"] > 200 and graph.size["height"] > 50, graph.size
    assert complaints(browser) == []


def test_the_record_is_forgotten(browser, used):
    browser.get(f"{used.origin}/")
    assert decisions(browser) == 3
    browser.find_element(By.CSS_SELECTOR, "a[href='/forget']").click()
    reaches(browser, f"{used.origin}/forget")
    browser.find_element(By.CSS_SELECTOR, "form button").click()
    reaches(browser, f"{used.origin}/")
    assert decisions(browser) == 0
    assert complaints(browser) == []


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A page of somebody else, who would like to spend the user's key."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>elsewhere</title>")

    def log_message(self, *_):
        pass


def served(gateway: Gateway) -> float:
    """How many answers with status 200 the gateway's metrics count for Chat."""
    with urllib.request.urlopen(f"{gateway.origin}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    counted = [line for line in lines if line.startswith("blindroute_requests_total") and 'endpoint="chat"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counted if 'status="2' in line)


def test_a_page_of_somebody_else_spends_nothing(browser, used):
    before = served(used)
    assert before > 0
    elsewhere = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    try:
        browser.get(f"http://127.0.0.1:{elsewhere.server_port}/")
        # Requests that a browser sends without asking first, and whose answers the page need not read to have spent the key.
        ways = """
            const [address, done] = arguments, body = JSON.stringify({model: 'auto', messages: [{role: 'user', content: 'spend'}]});
            const sent = type => fetch(address, {method: 'POST', mode: 'no-cors', body, headers: {'content-type': type}}).catch(() => 0);
            const read = fetch(address, {method: 'POST', body}).then(answer => answer.text(), () => 'kept from the page');
            Promise.all([sent('text/plain'), sent('application/x-www-form-urlencoded'), read]).then(all => {
              navigator.sendBeacon(address, body);
              setTimeout(() => done(all[2]), 500);
            });
        """
        assert browser.execute_async_script(ways, f"{used.base_url}/chat/completions") == "kept from the page"
        browser.execute_script(
            """
            const form = document.createElement('form');
            Object.assign(form, {method: 'POST', enctype: 'text/plain', action: arguments[0]});
            form.innerHTML = `<input name='{"model":"auto","messages":[{"role":"user","content":"' value='"}]}'>`;
            document.body.append(form);
            form.submit();
            """,
            f"{used.base_url}/chat/completions",
        )
        time.sleep(0.5)
    finally:
        elsewhere.shutdown()
    assert served(used) == before
