"""Draws a Grafana dashboard's panels as a page, and the page as a picture by headless Chromium: what their queries return, not what
Grafana makes of it.

draw.py DASHBOARD PROMETHEUS SECONDS PICTURE    (PROMETHEUS: its address; SECONDS: how much time is shown)
"""

import html
import json
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

WIDTH, CELL = 1680, 34  # Pixels: of the page, and of a unit of Grafana's grid from top to bottom.
STEPS = 120
COLOURS = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#5794f2", "#ba43a9", "#b877d9", "#508642", "#cca300"]
STYLE = """
body { margin: 0; background: #111217; color: #ccccdc; font: 12px Inter, system-ui, sans-serif; }
.grid { position: relative; margin: 8px; }
.panel, .row { position: absolute; box-sizing: border-box; overflow: hidden; }
.panel { background: #181b1f; border: 1px solid #2b2d33; border-radius: 2px; padding: 6px 8px; }
.row { font-size: 15px; padding: 8px 2px; }
.title { font-weight: 500; white-space: nowrap; }
.stat { font-size: 34px; text-align: center; margin-top: 24px; color: #e6e6f0; }
.legend span { margin-right: 10px; white-space: nowrap; }
table { width: 100%; border-collapse: collapse; margin-top: 6px; }
th, td { text-align: left; border-bottom: 1px solid #2b2d33; padding: 3px 4px; }
th:last-child, td:last-child { text-align: right; }
svg text { fill: #8e8fa0; font-size: 10px; }
"""


def main(dashboard, prometheus, seconds, picture):
    dashboard, seconds = json.loads(Path(dashboard).read_text()), int(seconds)
    now = time.time()
    ask = Ask(prometheus, dashboard, now - seconds, now)
    panels = dashboard["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * CELL + 16
    body = "".join(place(panel, draw(panel, ask)) for panel in panels)
    page = f"<!DOCTYPE html><meta charset='utf-8'><style>{STYLE}</style><div class='grid'>{body}</div>"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "page.html")
        file.write_text(page)
        # Chromium's own sandbox is not to be had as root, as in containers; the page is this script's.
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile",
             f"--window-size={WIDTH},{height}", f"--screenshot={Path(picture).absolute()}", file.as_uri()],
            check=True, timeout=120, stderr=subprocess.DEVNULL,
        )  # fmt: skip


class Ask:
    """Asks Prometheus what a panel would."""

    def __init__(self, prometheus, dashboard, start, end):
        self.prometheus, self.start, self.end = prometheus, start, end
        self.variables = [variable["name"] for variable in dashboard["templating"]["list"]]

    def series(self, target):
        query = target["expr"]
        for name in self.variables:
            query = query.replace(f"${name}", ".*")
        seconds = f"{int(self.end - self.start)}s"
        query = query.replace("$__rate_interval", "30s").replace("$__range", seconds)
        if target.get("instant"):
            found = self.get("query", query=query, time=self.end)
            return [(series["metric"], [series["value"]]) for series in found]
        step = (self.end - self.start) / STEPS
        found = self.get("query_range", query=query, start=self.start, end=self.end, step=step)
        return [(series["metric"], series["values"]) for series in found]

    def get(self, path, **parameters):
        url = f"http://{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]["result"]


def place(panel, content):
    at = panel["gridPos"]
    unit = (WIDTH - 16) / 24
    style = f"left:{at['x'] * unit:.0f}px;top:{at['y'] * CELL}px;width:{at['w'] * unit - 8:.0f}px;height:{at['h'] * CELL - 8}px"
    return f"<div class='{'row' if panel['type'] == 'row' else 'panel'}' style='{style}'>{content}</div>"


def draw(panel, ask):
    title = f"<div class='title'>{html.escape(panel['title'])}</div>"
    if panel["type"] == "row":
        return html.escape(panel["title"])
    unit = panel["fieldConfig"]["defaults"]["unit"]
    series = [
        (legend(target, labels), [(float(at), float(value)) for at, value in values if value not in ("NaN", "+Inf")], labels)
        for target in panel["targets"]
        for labels, values in ask.series(target)
    ]
    series = [each for each in series if each[1]]
    if not series:
        return title + "<div class='stat'>No data</div>"
    if panel["type"] == "stat":
        return title + f"<div class='stat'>{readable(series[0][1][-1][1], unit)}</div>"
    if panel["type"] == "table":
        return title + table(panel, series, unit)
    return title + chart(panel, series, unit, ask)


def legend(target, labels):
    text = target["legendFormat"]
    for name in set(labels) | {"team", "limit", "gen_ai_request_model", "gen_ai_provider_name", "gen_ai_response_model"}:
        text = text.replace("{{" + name + "}}", labels.get(name, ""))
    return text.strip() or "(none)"


def table(panel, series, unit):
    names = panel["transformations"][0]["options"]["renameByName"]
    columns = [label for label in names if label != "Value"]
    head = "".join(f"<th>{html.escape(names[column])}</th>" for column in [*columns, "Value"])
    series = sorted(series, key=lambda each: -each[1][-1][1])[:8]
    cells = lambda labels, value: [labels.get(column, "") for column in columns] + [readable(value, unit)]
    rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in cells(labels, points[-1][1])) for _, points, labels in series]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def chart(panel, series, unit, ask):
    stacked = "stacking" in panel["fieldConfig"]["defaults"].get("custom", {})
    width, height = panel["gridPos"]["w"] * (WIDTH - 16) / 24 - 26, panel["gridPos"]["h"] * CELL - 84
    left, sums, lines = 66, {}, []
    for name, points, _ in series:
        line = []
        for at, value in points:
            base = sums.get(at, 0.0) if stacked else 0.0
            sums[at] = base + value
            line.append((at, base, base + value))
        lines.append((name, line))
    most = max(top for _, line in lines for _, _, top in line) or 1.0
    x = lambda at: left + (at - ask.start) / (ask.end - ask.start) * (width - left)
    y = lambda value: 6 + (1 - value / most) * (height - 6)
    parts = []
    for share in (0, 0.5, 1):
        parts.append(f"<line x1='{left}' x2='{width}' y1='{y(most * share):.1f}' y2='{y(most * share):.1f}' stroke='#2b2d33'/>")
        parts.append(f"<text x='{left - 6}' y='{y(most * share) + 3:.1f}' text-anchor='end'>{readable(most * share, unit)}</text>")
    for share in (0, 0.5, 1):
        at = ask.start + share * (ask.end - ask.start)
        anchor = ("start", "middle", "end")[int(share * 2)]
        parts.append(f"<text x='{x(at):.1f}' y='{height + 14:.1f}' text-anchor='{anchor}'>{time.strftime('%H:%M:%S', time.gmtime(at))}</text>")
    for number, (_, line) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        tops = " ".join(f"{x(at):.1f},{y(top):.1f}" for at, _, top in line)
        bases = " ".join(f"{x(at):.1f},{y(base):.1f}" for at, base, _ in reversed(line))
        parts.append(f"<polygon points='{tops} {bases}' fill='{colour}' fill-opacity='{0.4 if stacked else 0.1}'/>")
        parts.append(f"<polyline points='{tops}' fill='none' stroke='{colour}'/>")
    names = "".join(
        f"<span><b style='color:{COLOURS[number % len(COLOURS)]}'>━</b> {html.escape(name)}</span>" for number, (name, _) in enumerate(lines)
    )
    return f"<svg width='{width:.0f}' height='{height + 18:.0f}'>{''.join(parts)}</svg><div class='legend'>{names}</div>"


def readable(value, unit):
    if unit == "percentunit":
        return f"{value * 100:.1f}%"
    for limit, letter in ((1e6, "M"), (1e3, "K")):
        if abs(value) >= limit:
            return prefix(unit) + f"{value / limit:.2f}{letter}" + suffix(unit)
    return prefix(unit) + f"{value:.3g}" + suffix(unit)


def prefix(unit):
    return "$" if unit == "currencyUSD" else ""


def suffix(unit):
    return {"reqps": " req/s", "ms": " ms", "µs": " µs"}.get(unit, "")


if __name__ == "__main__":
    main(*sys.argv[1:])
