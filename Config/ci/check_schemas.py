#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that every schema in Config/schemas is a valid schema and that its own examples fulfil it."""

import json
import pathlib
import subprocess
import sys

folder = pathlib.Path(__file__).resolve().parent.parent / "schemas"
lines, counts = [], {}
for path in sorted(folder.glob("*.v1.json")):
    examples = json.loads(path.read_text(encoding="utf-8"))["examples"]
    counts[path.name.split(".")[0]] = len(examples)
    lines += [json.dumps(example) for example in examples]

minimum = ",".join(f"{name}={max(count, 1)}" for name, count in counts.items())
sys.exit(subprocess.run([folder / "validate.py", "--minimum", minimum], input="\n".join(lines), text=True).returncode)
