#!/usr/bin/env python3
"""The bench's rows and pictures, by its shortest benchmark and by made-up rows. Run by `meson test`;
BENCH names the executable, PLOT the script that draws."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

BENCH, PLOT = os.environ["BENCH"], os.environ["PLOT"]
KEYS = {"bench": str, "case": str, "metric": str, "unit": str, "value": float, "baseline_name": str, "baseline": float,
        "ratio": float, "rounds": int}
SVG = "{http://www.w3.org/2000/svg}"


def row(**more):
    return {"bench": "made", "case": "a <b> & c", "metric": "time", "unit": "us", "value": 2.0, "baseline_name": "raw",
            "baseline": 1.0, "ratio": 2.0, "rounds": 3, "p10": 1.5, "p90": 2.5, "better": "less", **more}


class Rows(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = place.name

    def draw(self, rows):
        path = f"{self.place}/rows"
        with open(path, "w", encoding="utf-8") as out:
            out.writelines(json.dumps(r) + "\n" for r in rows)
        subprocess.run([sys.executable, PLOT, path, self.place], check=True)
        return {r["bench"]: xml.parse(f"{self.place}/{r['bench']}.svg").getroot() for r in rows}

    def test_null(self):
        path = f"{self.place}/rows"
        subprocess.run([BENCH, "--rounds", "1", "--json", path, "null"], check=True, stdout=subprocess.DEVNULL, timeout=100)
        with open(path, encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        self.assertGreaterEqual(len(rows), 1)
        for r in rows:
            for key, kind in KEYS.items():
                self.assertIsInstance(r[key], (int, float) if kind is float else kind, key)
            self.assertAlmostEqual(r["ratio"], r["value"] / r["baseline"], places=3)
            self.assertGreater(r["value"], 0)
        words = [t.text for t in self.draw(rows)["null"].iter(f"{SVG}text")]
        for r in rows:
            self.assertIn(r["case"], words)
            self.assertIn(r["baseline_name"], words)

    def test_bars_and_lines(self):
        lines = [row(case=f"{n} B", metric="line", series="ours", x=float(n), x_name="bytes", value=n / 10 + 1)
                 for n in (64, 1024, 1 << 20)]
        root = self.draw([row(), row(case="no baseline", baseline=None, baseline_name=None, ratio=None, value=-3.0), *lines])
        words = [t.text for t in root["made"].iter(f"{SVG}text")]
        for word in ("a <b> & c", "no baseline", "ours", "raw", "bytes", "made: line", "1 Mi"):
            self.assertIn(word, words)
        self.assertIn("line [us], less is better", words)
        self.assertEqual(len(root["made"].findall(f"{SVG}rect")), 3, "two bars, and one baseline")
        self.assertEqual(len(root["made"].findall(f"{SVG}circle")), 6, "three points of each line")

    def test_wrong_usage(self):
        for words in (["nonsense"], ["--rounds", "0"], ["--rounds", "102"], ["serve", "nothing", "x"], ["--nonsense"]):
            result = subprocess.run([BENCH, *words], capture_output=True, text=True, timeout=30)
            self.assertEqual(result.returncode, 2, words)
            self.assertNotEqual(result.stderr, "")


if __name__ == "__main__":
    unittest.main()
