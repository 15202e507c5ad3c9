"""The server's page, in a real browser: group browser, since Chromium is large. PAGE_SHOTS=DIR keeps pictures."""

import html.parser
import os
import re
import urllib.error
import urllib.request

from browser import PHONE, WIDE, Browser
from kit import scenario
from test_serve import number, serve

# The K-th batch waits for the file go.K; the first call of all learns the columns.
GATED = """
import os, sys, time
text = sys.stdin.read()
n = 0
while True:
    try:
        os.close(os.open(f"batch.{n}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        break
    except FileExistsError:
        n += 1
while n and not os.path.exists(f"go.{n}") and not os.path.exists("go.all"):
    time.sleep(0.01)
if "poison" in text:
    sys.exit("cannot digest it")
sys.stdout.write(text)
"""
HOSTILE = "<script>window.bad=1</script>\"'><img src=x onerror=window.bad=1>"


def page_of(t, *args):
    serve(t, "--page", "0", *args)
    with open(t.path(".tranche", "serve", "page")) as f:
        return f.read().strip()


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def gated(t, name, rows=12, into="sqlite:wh.db", batch=1):
    t.write("gated.py", GATED)
    return ("--range", rows, "--batch-rows", batch, "--exec", "python3 gated.py", "--sandbox", "none", "--into", into,
            "--table", "g", "--name", name, "-j", 1)


def bad_rows(t, name):
    """Rejects with bytes that are no text, of a file with a name like a tag."""
    t.write("<svg onload=window.bad=1>.csv", b"id,v\n" + b"".join(
        b"%d,<script>window.bad=1</script>\xff\x01\xe2\x80\xae\n" % i if i % 3 else b"%d,7\n" % i for i in range(200)))
    return ("--csv", "<svg onload=window.bad=1>.csv", "--type", "v=integer", "--bad-rows", "1000", "--into",
            "sqlite:wh.db", "--table", "b", "--name", name, "-j", 1)


def wait(t, job, *codes):
    t.run("wait", job, want=codes or 0)


def picture(b, name):
    folder = os.environ.get("PAGE_SHOTS")
    if folder:
        for scheme in ("light", "dark"):
            b.scheme(scheme)
            for size in (WIDE, PHONE):
                b.size(size)
                b.shot(os.path.join(folder, f"{name}-{size[0]}-{scheme}.png"))
        b.size(WIDE)
        b.scheme("light")


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        href = dict(attributes).get("href")
        if tag == "a" and href and href.startswith("/"):
            self.found.append(href)


def every_page(base, most=60):
    """All that can be reached from the first."""
    todo, seen = ["/"], {}
    while todo and len(seen) < most:
        path = todo.pop(0)
        if path in seen:
            continue
        seen[path] = get(base.rstrip("/") + path)
        links = Links()
        links.feed(seen[path])
        todo += [x for x in links.found if x not in seen]
    return seen


@scenario("serve")
def every_link_of_the_page_leads_somewhere(t):
    base = page_of(t)
    wait(t, number(t, *bad_rows(t, HOSTILE)), 3)
    t.write("go.all", "")
    wait(t, number(t, *gated(t, "plain")))
    wait(t, number(t, "--range", 3, "--exec", "false", "--sandbox", "none", "--into", "null:", "--name", "wrong"), 1, 2, 4)
    pages = every_page(base)
    kinds = {re.sub(r"\d[\d-]*[0-9a-f-]*", "N", p.split("?")[0]) for p in pages}
    t.equal({"/", "/jobs", "/jobs/N", "/runs", "/runs/N", "/runs/N/rejects", "/workers"}, kinds, "kinds of pages")
    for path, text in pages.items():
        t.true("<script>" not in text and "<img" not in text and "<svg onload" not in text, path)
    run = next(p for p in pages if p.endswith("/rejects"))
    t.true("&lt;svg onload=window.bad=1&gt;.csv line 3" in pages[run] and "<b>\\xff</b><b>\\x01</b>" in pages[run],
           pages[run][:3000])
    t.true(any("?after=" in p for p in pages), list(pages))
    try:
        get(base + "runs/nothing")
        t.true(False, "there is no such run")
    except urllib.error.HTTPError as e:
        t.equal(404, e.code, "status")
        t.true("no run in" in e.read().decode(), "the page says it")


# What a reader of screens, or a reader with other eyes, needs of every page.
CHECKS = r"""(() => {
const wrong = [], all = (s) => [...document.querySelectorAll(s)];
const say = (x, e) => wrong.push(x + (e ? ': ' + e.outerHTML.slice(0, 160) : ''));
const name = (e) => (e.getAttribute('aria-label') || e.textContent || '').trim();
if (document.documentElement.lang !== 'en') say('no language');
if (!document.title) say('no title');
for (const s of ['main', 'header', 'footer', 'h1', 'nav[aria-label=Main]'])
	if (all(s).length !== 1) say(all(s).length + ' of ' + s);
let level = 0;
for (const h of all('h1, h2, h3, h4')) {
	const n = Number(h.nodeName[1]);
	if (n > level + 1) say('a level is left out', h);
	level = n;
}
for (const t of all('table')) {
	if (!t.caption || !name(t.caption)) say('no caption', t);
	for (const h of t.querySelectorAll('th')) if (!h.scope) say('no scope', h);
	if (!t.tBodies[0]) say('no body', t);
}
for (const e of all('a, button, summary, progress, [role=img], [role=region], nav')) if (!name(e)) say('no name', e);
for (const e of all('svg')) if (!e.getAttribute('aria-label') && !e.getAttribute('aria-hidden')) say('no name', e);
for (const e of all('[tabindex]')) if (e.tabIndex > 0) say('an order of its own', e);
for (const e of all('div[tabindex="0"], pre[tabindex="0"]'))
	if (!e.getAttribute('role') || !name(e)) say('what is this', e);
const ids = all('[id]').map((e) => e.id);
if (new Set(ids).size !== ids.length) say('an id is there twice');
for (const e of all('[style]')) say('a style', e);
for (const e of all('dl > *')) if (e.nodeName === 'DIV' && e.querySelectorAll('dt').length !== 1) say('a list', e);
return wrong;
})()"""
CONTRAST = r"""(() => {
const wrong = new Set();
const rgb = (s) => { const v = s.match(/[\d.]+/g).map(Number); return v.length === 4 ? v : [...v, 1]; };
const light = (c) => { const f = (x) => (x /= 255) <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4;
	return .2126 * f(c[0]) + .7152 * f(c[1]) + .0722 * f(c[2]); };
const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
	if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
for (const e of document.querySelectorAll('body *')) {
	if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
	if (e.closest('svg, title, script')) continue;
	const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
	const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
	if (ratio < 4.5) wrong.add(ratio.toFixed(2) + ' ' + e.outerHTML.slice(0, 120));
}
return [...wrong];
})()"""


@scenario("browser")
def every_page_can_be_read_by_everybody_and_nothing_hostile_runs(t):
    base = page_of(t)
    wait(t, number(t, *bad_rows(t, HOSTILE)), 3)
    number(t, *gated(t, HOSTILE))
    number(t, "--range", 3, "--into", "null:", "--name", HOSTILE)
    t.wait_until(lambda: os.path.exists(t.path("batch.1")), "it runs")
    t.wait_until(lambda: "<progress" in get(base), "the page shows it")
    b = Browser(t)
    for i, path in enumerate([*every_page(base), "/nothing"]):
        b.open(base.rstrip("/") + path)
        t.equal(None, b.js("window.bad"), f"{path}: something hostile ran")
        t.equal([], b.js(CHECKS), path)
        for scheme in ("light", "dark"):
            b.scheme(scheme)
            t.equal([], b.js(CONTRAST), f"contrast of {path}, {scheme}")
        b.size(PHONE)
        t.equal(PHONE[0], b.js("document.documentElement.scrollWidth"), f"{path} on a phone: its width")
        b.size(WIDE)
        picture(b, f"{i}-{re.sub('[^a-z]+', '-', path)}")
    t.true(all("/nothing" in c for c in b.complaints), b.complaints)  # that it is a 404
    t.write("go.all", "")


@scenario("browser")
def a_run_is_seen_to_go_on_without_a_reload(t):
    base = page_of(t)
    job = number(t, *gated(t, "slow one"))
    t.wait_until(lambda: os.path.exists(t.path("batch.1")), "it runs")
    b = Browser(t)
    b.open(base)
    b.js("window.same = true")
    b.until("document.querySelector('.card progress[value]') !== null")
    b.js("document.querySelector('.card h3 a').focus()")
    t.equal("1 running", b.js("document.getElementById('state').textContent"), "the state")
    seen = "Number(document.querySelector('.card progress').value)"
    before = b.js(seen)
    for n in range(1, 7):
        t.write(f"go.{n}", "")
    b.until(f"{seen} > {before}")
    t.equal("slow one", b.js("document.activeElement.textContent"), "what has the focus")
    run = b.js("document.querySelector('.card h3 a').href")
    b.open(run)
    b.js("window.same = true; document.querySelector('summary')?.click()")
    t.equal(False, b.js("document.getElementById('live').hidden"), "the button is there")
    before = b.js("Number(document.querySelector('progress').value)")
    b.js("document.getElementById('live').click()")
    t.equal("Paused", b.js("document.getElementById('live').textContent"), "the button")
    b.js("document.getElementById('live').click()")
    for n in range(7, 10):
        t.write(f"go.{n}", "")
    b.until(f"Number(document.querySelector('progress').value) > {before}")
    # What it is told of while an answer fails, it reads later by itself.
    b.js("window.before = window.fetch; window.fetch = () => Promise.reject(new Error('cut off'))")
    t.write("go.all", "")
    wait(t, job)
    b.js("window.fetch = window.before")
    b.until("document.querySelector('main .st').textContent === 'loaded'")
    b.until("document.getElementById('live').hidden")
    b.until("[...document.querySelectorAll('dt')].some((e) => e.textContent === 'rows loaded')")
    t.equal(True, b.js("window.same"), "it was not loaded anew")
    t.equal([], b.complaints, "complaints of the browser")


@scenario("browser")
def keys_alone_lead_through_the_page(t):
    base = page_of(t)
    wait(t, number(t, "--range", 3, "--into", "sqlite:wh.db", "--table", "a", "--name", "one"))
    b = Browser(t)
    b.open(base)
    want = b.js("[...document.querySelectorAll('a, button, summary, [tabindex=\"0\"]')]"
                ".filter((e) => e.checkVisibility()).map((e) => e.textContent.slice(0, 60))")
    got = []
    for _ in want:
        b.tab()
        got.append(b.js("document.activeElement.textContent.slice(0, 60)"))
        t.true(b.js("(() => { const s = getComputedStyle(document.activeElement);"
                    " return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2; })()"),
               f"{got[-1]!r} shows that it has the focus")
        t.true(b.js("(() => { const r = document.activeElement.getBoundingClientRect(); return r.right > 0; })()"),
               f"{got[-1]!r} can be seen")
    t.equal(want, got, "the order of the Tab key")
    t.equal("Skip to the content", got[0], "the first")
    b.open(base)
    b.tab()
    b.key("Enter", 13)
    b.until("location.hash === '#main'")
    b.tab()
    t.true(b.js("document.getElementById('main').contains(document.activeElement)"), "skipped to the content")
    b.open(base)
    b.js("document.querySelector('main table a').focus()")
    b.key("Enter", 13)
    b.until("location.pathname.startsWith('/runs/') && document.readyState === 'complete'")
    t.equal([], b.complaints, "complaints of the browser")


@scenario("browser")
def without_a_script_the_page_shows_the_same(t):
    base = page_of(t)
    wait(t, number(t, *bad_rows(t, "first")), 3)
    b = Browser(t)
    text = "document.querySelector('main').innerText"
    for path in every_page(base):
        b.scripts(True)
        b.open(base.rstrip("/") + path)
        with_it = b.js(text)
        b.scripts(False)
        b.open(base.rstrip("/") + path)
        t.equal(with_it, b.js(text), path)
        t.equal(True, b.js("document.getElementById('live').hidden"), "the button needs the script")
    t.equal([], b.complaints, "complaints of the browser")
