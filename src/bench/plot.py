#!/usr/bin/env python3
"""Draws the rows of ./bench: one SVG a benchmark, without any package. Usage: plot.py ROWS DIRECTORY

Rows with an `x` become lines over it, a panel for each metric and x; the others bars. Ours is solid
and filled, its baseline dashed and hollow, and the spread (first to last tenth of the rounds) a band
or whisker. Lines and text are of middle grey, so that it reads on light and on dark ground.
"""
import json
import math
import os
import sys
from html import escape

WIDTH, LEFT, RIGHT, TOP, HEIGHT, BOTTOM = 860, 76, 250, 34, 300, 46
BAR = 20
GREY = "#808890"
COLORS = ["#3d7fd9", "#d9733d", "#3da35d", "#a05fc4", "#c4a000", "#c0504d", "#2aa5a0", "#8a8a3a"]


def number(value):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.4g}{unit}"
    return f"{value:.4g}"


def size(value):
    """Powers of two as people write sizes."""
    for limit, unit in ((1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")):
        if value >= limit and value % limit == 0:
            return f"{value // limit:.0f} {unit}"
    return number(value)


class Axis:
    """From values to pixels; logarithmic where they span more than a factor of 20."""

    def __init__(self, values, low, high, powers_of_two=False):
        least, most = min(values), max(values)
        self.log = least > 0 and most / least > 20
        self.base = 2 if powers_of_two else 10
        if self.log:
            self.begin, self.end = math.log(least), math.log(most)
        else:
            self.begin, self.end = min(0, least), most
        if self.end <= self.begin:
            self.end = self.begin + 1
        pad = (self.end - self.begin) * 0.04
        self.end += pad
        if self.log:
            self.begin -= pad
        self.low, self.high = low, high

    def at(self, value):
        v = math.log(max(value, 1e-12)) if self.log else value
        return self.low + (v - self.begin) / (self.end - self.begin) * (self.high - self.low)

    def ticks(self):
        if not self.log:
            rough = (self.end - self.begin) / 5
            step = 10 ** math.floor(math.log10(rough))
            step *= next(f for f in (1, 2, 5, 10) if step * f >= rough)
            first = math.ceil(self.begin / step)
            return [i * step for i in range(first, int(self.end / step) + 1)]
        low, high = self.begin / math.log(self.base), self.end / math.log(self.base)
        stride = max(1, round((high - low) / 8))
        found = [self.base ** i for i in range(math.ceil(low), math.floor(high) + 1, stride)]
        if self.base == 10 and len(found) < 3:
            found = sorted(m * 10 ** i for i in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)
                           if self.begin <= math.log(m * 10 ** i) <= self.end)
        return found


class Picture:
    def __init__(self):
        self.parts, self.height = [], 0

    def text(self, x, y, words, anchor="start", extra=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(words)}</text>')

    def line(self, points, color, dashed=False, width=1.6):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"{dash}/>')

    def dot(self, x, y, color, hollow=False):
        fill = "none" if hollow else color
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{fill}" stroke="{color}"/>')

    def band(self, points, color):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polygon points="{path}" fill="{color}" opacity="0.15"/>')

    def box(self, x, y, width, height, color, hollow=False):
        style = f'fill="none" stroke="{color}" stroke-dasharray="3 3"' if hollow else f'fill="{color}"'
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" {style}/>')

    def write(self, path):
        with open(path, "w", encoding="utf-8") as out:
            out.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" '
                      f'font-family="sans-serif" font-size="12" fill="{GREY}">\n')
            out.write("\n".join(self.parts))
            out.write("\n</svg>\n")


def draw_lines(picture, title, rows):
    """A panel of rows that share metric and x."""
    top = picture.height + TOP
    right, bottom = WIDTH - RIGHT, top + HEIGHT
    twos = all(row["x"] > 0 and math.log2(row["x"]).is_integer() for row in rows)
    x = Axis([row["x"] for row in rows], LEFT, right, twos)
    values = [row[key] for row in rows for key in ("value", "baseline", "p10", "p90") if row.get(key) is not None]
    y = Axis(values, bottom, top)
    first = rows[0]
    picture.text(LEFT, top - 14, title, extra='font-weight="bold"')
    for tick in y.ticks():
        picture.line([(LEFT, y.at(tick)), (right, y.at(tick))], GREY, width=0.25)
        picture.text(LEFT - 6, y.at(tick) + 4, number(tick), "end")
    for tick in x.ticks():
        picture.line([(x.at(tick), bottom), (x.at(tick), bottom + 4)], GREY, width=1)
        picture.text(x.at(tick), bottom + 17, size(tick) if twos else number(tick), "middle")
    picture.line([(LEFT, top), (LEFT, bottom), (right, bottom)], GREY, width=1)
    picture.text((LEFT + right) / 2, bottom + 36, first["x_name"], "middle")
    picture.text(0, 0, f'{first["metric"]} [{first["unit"]}]{", less is better" if first["better"] == "less" else ""}',
                 "middle", f'transform="translate(14 {(top + bottom) / 2:.0f}) rotate(-90)"')
    legend = top + 6
    shown = {}  # a baseline that several series share is drawn once
    own = dict.fromkeys(row["series"] for row in rows)
    for i, name in enumerate(own):
        color = COLORS[i % len(COLORS)]
        line = sorted((row for row in rows if row["series"] == name), key=lambda row: row["x"])
        band = [(x.at(r["x"]), y.at(r["p90"])) for r in line] + [(x.at(r["x"]), y.at(r["p10"])) for r in reversed(line)]
        picture.band(band, color)
        picture.line([(x.at(r["x"]), y.at(r["value"])) for r in line], color)
        for r in line:
            picture.dot(x.at(r["x"]), y.at(r["value"]), color)
        picture.line([(right + 12, legend - 4), (right + 34, legend - 4)], color)
        picture.text(right + 40, legend, name)
        legend += 17
        base = [r for r in line if r.get("baseline") is not None]
        key = tuple((r["x"], r["baseline"]) for r in base)
        if not base or key in shown:
            continue
        shown[key] = True
        names = list(dict.fromkeys(r["baseline_name"] for r in base))
        if any(name in own for name in names):
            continue  # it has a line of its own
        picture.line([(x.at(r["x"]), y.at(r["baseline"])) for r in base], color, dashed=True, width=1.2)
        for r in base:
            picture.dot(x.at(r["x"]), y.at(r["baseline"]), color, hollow=True)
        picture.line([(right + 12, legend - 4), (right + 34, legend - 4)], color, dashed=True, width=1.2)
        picture.text(right + 40, legend, names[0] if len(names) == 1 else f"{os.path.commonprefix(names).rstrip(', ')}, the best")
        legend += 17
    picture.height = max(bottom + BOTTOM, legend)


def draw_bars(picture, title, rows):
    top = picture.height + TOP
    left, right = 290, WIDTH - 90
    values = [row[key] for row in rows for key in ("value", "baseline", "p10", "p90") if row.get(key) is not None]
    x = Axis([0, *values], left, right)
    zero = x.at(0)
    first = rows[0]
    picture.text(12, top - 14, f'{title} [{first["unit"]}]{", less is better" if first["better"] == "less" else ""}',
                 extra='font-weight="bold"')
    y = top
    color = COLORS[0]
    for row in rows:
        picture.text(left - 8, y + 13, row["case"], "end")
        end = x.at(row["value"])
        picture.box(min(zero, end), y + 2, abs(end - zero), BAR - 8, color)
        picture.line([(x.at(row["p10"]), y + 8), (x.at(row["p90"]), y + 8)], GREY, width=1)
        words = number(row["value"])
        if row.get("baseline") is not None:
            y += BAR - 6
            picture.box(zero, y + 2, x.at(row["baseline"]) - zero, BAR - 10, color, hollow=True)
            picture.text(left - 8, y + 12, row["baseline_name"], "end", 'font-size="10"')
            words += f' ({row["ratio"]:.2f})'
        picture.text(max(x.at(row["value"]), x.at(row.get("baseline") or 0), x.at(row["p90"])) + 6, y + 10, words)
        y += BAR + 4
    for tick in x.ticks():
        picture.line([(x.at(tick), top), (x.at(tick), y)], GREY, width=0.25)
        picture.text(x.at(tick), y + 14, number(tick), "middle")
    picture.height = y + BOTTOM - 14


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    for bench in dict.fromkeys(row["bench"] for row in rows):
        mine = [row for row in rows if row["bench"] == bench and row["value"] is not None]
        picture = Picture()
        panels = {}
        for row in mine:
            panels.setdefault((row["metric"], row.get("panel"), row["unit"], row.get("x_name")), []).append(row)
        for (metric, part, _, x_name), panel in panels.items():
            title = f"{bench}: {metric}{', ' if part else ''}{part or ''}"
            if x_name and len({row["x"] for row in panel}) > 1:
                draw_lines(picture, title, panel)
            else:
                draw_bars(picture, title, panel)
        picture.write(os.path.join(sys.argv[2], f"{bench}.svg"))


if __name__ == "__main__":
    main()
