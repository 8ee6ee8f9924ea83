#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what Brokerside publishes against the JSON Schema files beside this script.

    mosquitto_sub -v -t 'brokerside/#' | Config/schemas/validate.py --minimum detection=1,status=1
    Config/schemas/validate.py recorded.txt

Reads lines `TOPIC PAYLOAD`, as `mosquitto_sub -v` writes them, or one JSON document a line. The field `schema` chooses
the schema. Beyond the schemas it checks what they cannot say: keys in the order of the schema, no key twice, no NaN,
boxes within the frame, counters that add up, and a topic that agrees with its payload.

Standard output: `N messages valid` for each schema. Exit 0 when all are valid, 1 when one is not, when fewer came than
--minimum asks for, or when none came at all; 64 for bad usage.
"""

import argparse
import json
import pathlib
import sys

try:
    from jsonschema import Draft202012Validator, FormatChecker
except ImportError:
    sys.exit("validate.py: needs python3-jsonschema 4.0 or later: apt-get install python3-jsonschema")

NAMES = ("detection", "score", "alert", "alert-event", "alert-reply", "report", "status")


class Invalid(Exception):
    """What is wrong with one message."""


def load_validators(folder):
    validators = {}
    for name in NAMES:
        schema = json.loads((folder / f"{name}.v1.json").read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        validators[schema["properties"]["schema"]["const"]] = (
            name, Draft202012Validator(schema, format_checker=FormatChecker()))
    return validators


def unique_keys(pairs):
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise Invalid(f"key twice in one object: {sorted({key for key in keys if keys.count(key) > 1})}")
    return document


def refuse_constant(text):
    raise Invalid(f"{text} is not JSON")


def split(line):
    """(topic or None, payload text) of one line. A topic may hold spaces, but only a payload begins with a brace."""
    if line.startswith("{"):
        return None, line
    topic, brace, rest = line.partition(" {")
    if not brace:
        raise Invalid(f"neither a JSON object nor a topic and a JSON object: {line[:80]!r}")
    return topic, brace.lstrip() + rest


def resolve(schema, root):
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def check_order(value, schema, root, where="$"):
    """Keys stand in the order of the schema's `properties`."""
    schema = resolve(schema, root)
    for branch in schema.get("oneOf", ()):
        if branch.get("type") == ("object" if isinstance(value, dict) else "array"):
            schema = branch
    if isinstance(value, dict) and "properties" in schema:
        expected = [key for key in schema["properties"] if key in value]
        if expected != list(value):
            raise Invalid(f"{where}: keys in the order {list(value)}, expected {expected}")
        for key, item in value.items():
            check_order(item, schema["properties"][key], root, f"{where}.{key}")
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            check_order(item, schema["items"], root, f"{where}[{index}]")


def check_detection(document):
    width, height = document["input"]["width"], document["input"]["height"]
    for detection in document.get("detections", ()):
        x, y, w, h = detection["box"]
        # Coordinates may be rounded to a tenth of a pixel.
        if x + w > width + 0.1 or y + h > height + 0.1:
            raise Invalid(f"box {detection['box']} is not within the frame of {width} x {height}")
    for part in ("detections", "classifications"):
        scores = [item["score"] for item in document.get(part, ())]
        if scores != sorted(scores, reverse=True):
            raise Invalid(f"{part} are not ordered by score: {scores}")


def check_report(document):
    for source in document["sources"]:
        for outcome in ("shed", "failed"):
            total, reasons = source[outcome]["total"], source[outcome]["reasons"]
            if total != sum(reasons.values()):
                raise Invalid(f"source {source['name']}: {outcome} total {total}, but reasons {reasons}")
        known = source["processed"] + source["shed"]["total"] + source["failed"]["total"] + source["in_flight"]
        if source["received"] != known:
            raise Invalid(f"source {source['name']}: received {source['received']}, but accounted for {known}")


def check_topic(name, topic, document):
    node = document["node"]
    if name == "alert-reply":
        # Who asks chooses the topic.
        return
    if name in ("status", "report"):
        ends = [f"/{node}/{name}"]
    else:
        key = document["source"]["key"]
        end = f"/{node}/{name.partition('-')[0]}s/{document['pipeline']}"
        rule = f"/{document['rule']}" if "rule" in document else ""
        if name == "alert-event":
            rule += "/events"
        ends = [f"{end}/{key}{rule}"] if key else [f"{end}{rule}", f"{end}/{rule}"]
    if not any(topic.endswith(end) for end in ends):
        raise Invalid(f"topic {topic!r} does not agree with its payload, expected to end in {ends[0]!r}")


def check(line, validators):
    """Name of the schema that the message of this line fulfils."""
    topic, text = split(line)
    try:
        document = json.loads(text, object_pairs_hook=unique_keys, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise Invalid(f"not JSON: {error}") from None
    kind = document.get("schema")
    if kind not in validators:
        raise Invalid(f"unknown schema {kind!r}, known are {', '.join(validators)}")
    name, validator = validators[kind]
    errors = sorted(validator.iter_errors(document), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        raise Invalid("; ".join(f"{error.json_path}: {error.message[:300]}" for error in errors[:5]))
    check_order(document, validator.schema, validator.schema)
    if name == "detection":
        check_detection(document)
    if name == "report":
        check_report(document)
    if topic is not None:
        check_topic(name, topic, document)
    return name


def minimums(text):
    result = {}
    for part in text.split(","):
        name, equals, count = part.partition("=")
        if name not in NAMES or not equals or not count.isdigit():
            raise argparse.ArgumentTypeError(f"{part!r} is not NAME=COUNT with NAME one of {', '.join(NAMES)}")
        result[name] = int(count)
    return result


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(64, f"validate.py: {message}\n")


def main():
    parser = Parser(description="Validates Brokerside's messages against their JSON Schemas.")
    parser.add_argument("file", nargs="?", default="-", help="lines to check (default: standard input)")
    parser.add_argument("--minimum", type=minimums, default={}, metavar="NAME=COUNT,...",
                        help="fail when fewer messages of a schema came, e.g. detection=1,status=2")
    parser.add_argument("--violations", type=int, default=5, metavar="COUNT",
                        help="stop after so many invalid messages (default 5)")
    options = parser.parse_args()

    folder = pathlib.Path(__file__).resolve().parent
    validators = load_validators(folder)
    counts = dict.fromkeys(NAMES, 0)
    violations = 0
    try:
        lines = sys.stdin.buffer if options.file == "-" else open(options.file, "rb")
    except OSError as error:
        parser.error(str(error))
    with lines:
        for number, raw in enumerate(lines, 1):
            raw = raw.rstrip(b"\n")
            # A retained alert that was taken away has no payload, which mosquitto_sub writes as (null).
            if not raw or (raw.endswith(b" (null)") and b"/alerts/" in raw):
                continue
            try:
                counts[check(raw.decode("utf-8"), validators)] += 1
            except (Invalid, UnicodeDecodeError) as error:
                print(f"line {number}: {error}", file=sys.stderr)
                print(f"    {raw[:400].decode('utf-8', 'replace')}", file=sys.stderr)
                violations += 1
                if violations >= options.violations:
                    print("validate.py: stopped here", file=sys.stderr)
                    break

    for name in NAMES:
        print(f"{name}: {counts[name]} messages valid")
    failed = violations > 0
    for name, least in options.minimum.items():
        if counts[name] < least:
            print(f"validate.py: {counts[name]} valid messages of {name}, expected at least {least}", file=sys.stderr)
            failed = True
    if not any(counts.values()):
        print("validate.py: no valid message at all", file=sys.stderr)
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
