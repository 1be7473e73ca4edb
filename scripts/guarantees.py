#!/usr/bin/env python3
"""Checks that docs/guarantees.md names only what exists: each file, and each name in it.

An item of a list is files, or one file, a colon and names: `path`: `name`, `name`. All of G1 to G18 must be there,
each with a planted bug or a reason in the text that has one, and with a test."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
text = (root / "docs/guarantees.md").read_text()
mistakes = []


def has(path: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", (root / path).read_text()) is not None


def runs(path: str, name: str) -> bool:
    """A test of cmocka that is not only written but also run."""
    return not path.endswith("_test.c") or re.search(
        rf"cmocka_unit_test\w*\(\s*{re.escape(name)}\b", (root / path).read_text()) is not None


sections = re.split(r"^## ", text, flags=re.M)[1:]
numbers = [int(found.group(1)) for found in (re.match(r"G(\d+) ", section) for section in sections) if found]
if numbers != list(range(1, 19)):
    mistakes.append(f"the guarantees are {numbers}, not 1 to 18")
for section in sections:
    title = section.split("\n", 1)[0]
    if not re.match(r"G\d+ ", title):
        continue
    if "\nAssumes: " not in section:
        mistakes.append(f"{title}: says nothing of what it assumes")
    if "`src/core/plant.h`" not in section:
        mistakes.append(f"{title}: no planted bug proves that it is looked at")
    if len(re.findall(r"`[^`]+_test\.c`", section)) == 0:
        mistakes.append(f"{title}: no test attacks it")
    for item in re.findall(r"^- ((?:.+\n(?:  .+\n)*))", section, flags=re.M):
        quoted = re.findall(r"`([^`]+)`", item)
        path = quoted[0]
        named = item.lstrip().startswith(f"`{path}`:")
        for file in [path] if named else quoted:
            if not (root / file).is_file():
                mistakes.append(f"{title}: there is no {file}")
                break
        else:
            for name in quoted[1:] if named else []:
                if not has(path, name):
                    mistakes.append(f"{title}: {path} has no {name}")
                elif not runs(path, name):
                    mistakes.append(f"{title}: {path} does not run {name}")
for mistake in mistakes:
    print(mistake)
sys.exit(1 if mistakes else 0)
