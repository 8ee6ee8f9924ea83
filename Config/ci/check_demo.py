#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the summary of `brokerside demo --json` against what the demo must reach.

Precision and recall at IoU 0.5 of at least 0.9, every injected fault alerted within 5 s, at most one false alarm, and
counters of every source that add up. With the record of `demo --record` behind it, false alarms are counted again from
the alerts that were published. Exit 1 with each bar that was missed.
"""

import json
import sys

LEAST_PRECISION = LEAST_RECALL = 0.9
MOST_DELAY_SECONDS = 5.0
MOST_FALSE_ALARMS = 1

with open(sys.argv[1], encoding="utf-8") as file:
    summary = json.load(file)
missed = []


def expect(holds, text):
    print(("ok      " if holds else "MISSED  ") + text)
    if not holds:
        missed.append(text)


detection = summary["detection"]
expect(detection["frames"] > 0, f"{detection['frames']} frames evaluated")
expect(detection["precision"] >= LEAST_PRECISION, f"precision {detection['precision']:.3f}, at least {LEAST_PRECISION}")
expect(detection["recall"] >= LEAST_RECALL, f"recall {detection['recall']:.3f}, at least {LEAST_RECALL}")

expect(len(summary["faults"]) > 0, f"{len(summary['faults'])} faults injected")
for fault in summary["faults"]:
    delay = fault["delay_s"]
    name = f"{fault['machine']} {fault['series']} {fault['kind']}"
    expect(delay is not None and delay <= MOST_DELAY_SECONDS,
           f"fault {name}: " + ("no alert" if delay is None else f"alert after {delay:.2f} s"))
expect(summary["false_alarms"] <= MOST_FALSE_ALARMS, f"{summary['false_alarms']} false alarms")

if len(sys.argv) > 2:
    opened = set()
    with open(sys.argv[2], encoding="utf-8") as record:
        for line in record:
            document = json.loads(line[line.index(" {"):])
            if document["schema"] == "brokerside.alert/1" and document["pipeline"].endswith("-health"):
                opened.add(document["id"])
    alerted = sum(fault["delay_s"] is not None for fault in summary["faults"])
    expect(alerted <= len(opened) and summary["false_alarms"] <= len(opened) - alerted,
           f"{len(opened)} alerts of machines opened on the bus, {alerted} of them first after a fault")

expect(len(summary["sources"]) > 0, f"{len(summary['sources'])} sources")
for source in summary["sources"]:
    published, received, processed = source["published"], source["received"], source["processed"]
    shed, failed, in_flight = source["shed"]["total"], source["failed"]["total"], source["in_flight"]
    expect(0 < published == received == processed + shed + failed and in_flight == 0,
           f"source {source['name']}: published {published}, received {received} = processed {processed} + shed {shed}"
           f" + failed {failed}, in flight {in_flight}")
expect(summary["exact"], "the demo itself says that its accounting is exact")

sys.exit(1 if missed else 0)
