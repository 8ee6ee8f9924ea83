#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs `brokerside run` beside a private mosquitto and checks what its users would see.

Frames and telemetry go in through `mosquitto_pub`, hostile payloads among them; the broker is stopped and started
again; at the end the program is asked to stop. Checked: every message has an outcome, reasons are named, alerts open and
close, the node says that it is online and offline, it works again within 5 s of the broker's return, and every payload
on the bus is valid by Config/schemas/validate.py. Everything listens on 127.0.0.1 and is stopped again.
"""

import argparse
import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

CONFIGURATION = """\
node: ci
broker: {{ url: "mqtt://127.0.0.1:{port}" }}
sources:
  yard:  {{ topics: ["cameras/+/frame"], kind: frames, overload: drop_oldest, max_age: 60s }}
  gate:  {{ topics: ["gates/+/frame"], kind: frames, qos: 1 }}
  press: {{ topics: ["plant/+/telemetry"], kind: telemetry, format: json, qos: 1 }}
  meter: {{ topics: ["meters/#"], kind: telemetry, format: number }}
models:
  objects: {{ file: {model} }}
pipelines:
  yard-objects: {{ from: yard, detect: {{ model: objects }} }}
  gate-objects: {{ from: gate, detect: {{ model: objects }} }}
  press-health:
    from: press
    anomaly: {{ series: {{ temperature: /temp, vibration: /vib/rms }} }}
    alerts:
      hot: {{ series: temperature, above: 90, clear: 85, clear_after: 0s, severity: critical }}
  meter-health: {{ from: meter, anomaly: {{}} }}
results: {{ report_every: 1s }}
"""


class Failure(Exception):
    """What did not hold."""


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise Failure(f"after {seconds} s still not: {what}")


class Scenario:
    def __init__(self, folder, program, model, frames):
        self.folder, self.program, self.frames = folder, program, frames
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.children = []
        self.sent = dict.fromkeys(("yard", "gate", "press", "meter"), 0)
        self.heard = folder / "heard.txt"
        self.health = folder / "health"
        self.configuration = folder / "config.yaml"
        self.configuration.write_text(CONFIGURATION.format(port=self.port, model=model), encoding="utf-8")
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n", encoding="utf-8")

    # Processes

    def start(self, arguments, log):
        child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.children.append(child)
        return child

    def start_broker(self):
        self.broker = self.start(["mosquitto", "-c", self.folder / "mosquitto.conf"], subprocess.DEVNULL)

        def accepts():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(accepts, 10, "the broker accepts connections")

    def stop_all(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(5)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    # What goes in

    def publish(self, topic, *arguments, qos=0, text=None):
        client = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-V", "5", "-q", str(qos), "-t", topic]
        subprocess.run([*client, *arguments], input=text, text=True, check=True, timeout=60)

    def send(self, source, topic, *arguments, qos=0, text=None):
        self.publish(topic, *arguments, qos=qos, text=text)
        self.sent[source] += len(text.splitlines()) if text is not None else 1

    def send_telemetry(self, key, temperatures):
        lines = [json.dumps({"temp": value, "vib": {"rms": 2.0 + 0.01 * (index % 7)}})
                 for index, value in enumerate(temperatures)]
        self.send("press", f"plant/{key}/telemetry", "-l", qos=1, text="\n".join(lines) + "\n")

    # What comes out

    def documents(self, kind, since=0):
        """Documents of a schema, from the given byte of the record on."""
        result = []
        with open(self.heard, "rb") as file:
            file.seek(since)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                _, brace, rest = line.partition(b" {")
                document = json.loads(brace.lstrip() + rest)
                if document["schema"] == f"brokerside.{kind}/1":
                    result.append(document)
        return result

    def source(self, name):
        reports = self.documents("report")
        return next(source for source in reports[-1]["sources"] if source["name"] == name) if reports else None

    def settled(self):
        def holds():
            for name, count in self.sent.items():
                source = self.source(name)
                if source is None or source["received"] != count or source["in_flight"] != 0:
                    return False
            return True

        try:
            wait_until(holds, 60, "")
        except Failure:
            found = {name: self.source(name) for name in self.sent}
            raise Failure(f"messages sent {self.sent}, last counters {json.dumps(found, indent=1)}") from None

    # The course of events

    def play(self):
        done = subprocess.run([self.program, "check", "--config", self.configuration], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"`check` exits {done.returncode}: {done.stdout}{done.stderr}")

        self.start_broker()
        with open(self.heard, "wb") as heard, open(self.folder / "brokerside.log", "wb") as log:
            self.start(["mosquitto_sub", "-v", "-h", "127.0.0.1", "-p", str(self.port), "-V", "5", "-q", "1",
                        "-t", "brokerside/#"], heard)
            processor = self.start([self.program, "run", "--config", self.configuration, "--health-file", self.health],
                                   log)
            wait_until(lambda: self.documents("status"), 15, "a status was published")
            # Each connection subscribes by itself; reports come only when the program runs.
            wait_until(lambda: self.documents("report"), 15, "a report was published")
            self.feed()
            self.check_results()
            self.interrupt_broker()
            if not self.health.exists() or time.time() - self.health.stat().st_mtime > 15:
                raise Failure("the health file is not kept fresh")
            processor.send_signal(signal.SIGTERM)
            if processor.wait(15) != 0:
                raise Failure(f"exit {processor.returncode} after SIGTERM")
            wait_until(lambda: self.documents("status")[-1]["status"] == "offline", 5, "the status is offline")

    def feed(self):
        for index, frame in enumerate(self.frames):
            self.send("yard", f"cameras/cam-{index % 3}/frame", "-f", str(frame))
            self.send("gate", f"gates/gate-{index % 2}/frame", "-f", str(frame), qos=1)
        self.send_telemetry("press-1", [65 + 0.5 * (index % 5) for index in range(300)])
        self.send_telemetry("press-1", [97.5] * 5)
        self.send_telemetry("press-1", [65 + 0.5 * (index % 5) for index in range(50)])
        self.send("meter", "meters/cellar/flow", "-l", text="".join(f"{20 + index % 3}\n" for index in range(50)))

        whole = self.frames[0].read_bytes()
        broken = self.folder / "broken.jpg"
        for payload in (whole[:40], b"\xff\xd8\xff\xd9", b"not a photograph", bytes(5000)):
            broken.write_bytes(payload)
            self.send("yard", "cameras/cam-9/frame", "-f", str(broken))
            self.send("gate", "gates/gate-9/frame", "-f", str(broken), qos=1)
        self.send("yard", "cameras/cam-9/frame", "-n")
        for payload in ("", "{", "[]", '{"temp": "hot"}', '{"temp": NaN}', '{"temp": {"temp": 1}}', "[" * 5000):
            self.send("press", "plant/press-9/telemetry", *(["-m", payload] if payload else ["-n"]), qos=1)
        self.send("meter", "meters/cellar/flow", "-m", "twelve")
        self.settled()

    def check_results(self):
        for name in ("yard-objects", "gate-objects"):
            ids = {document["id"] for document in self.documents("detection") if document["pipeline"] == name}
            if len(ids) != len(self.frames):
                raise Failure(f"{name}: {len(ids)} results of {len(self.frames)} frames")
        for name, least in (("yard", 5), ("gate", 4), ("press", 2), ("meter", 1)):
            failed = self.source(name)["failed"]
            print(f"{name}: {self.sent[name]} sent, failed {failed['reasons']}")
            if failed["total"] < least:
                raise Failure(f"{name}: {failed['total']} messages failed, at least {least} were broken")
        states = [alert["state"] for alert in self.documents("alert") if alert["rule"] == "hot"]
        if states[:1] != ["open"] or states[-1:] != ["closed"]:
            raise Failure(f"the states of alert `hot` are {states}, expected open first and closed last")

    def interrupt_broker(self):
        self.broker.terminate()
        self.broker.wait(10)
        time.sleep(1)
        heard = self.heard.stat().st_size
        self.start_broker()
        returned = time.monotonic()

        def answers():
            self.publish("cameras/cam-0/frame", "-f", str(self.frames[0]))
            time.sleep(0.1)
            return self.documents("detection", since=heard)

        # 5 s for the program and 1 s for mosquitto_sub, which waits so long before it connects again.
        wait_until(answers, 6, "results after the broker's return")
        print(f"results {time.monotonic() - returned:.1f} s after the broker's return")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the built program")
    parser.add_argument("--model", help="model file (default: the one in the repository)")
    parser.add_argument("--frames", required=True, help="folder with JPEG files to send")
    options = parser.parse_args()

    model = options.model or next(iter([*ROOT.glob("Config/**/*.bsm"), *ROOT.glob("Sources/**/*.bsm")]), None)
    # As many as the queue of a source holds by default, so that none may be shed.
    frames = sorted(pathlib.Path(options.frames).rglob("*.jpg"))[:40]
    if model is None or not frames:
        sys.exit(f"run_beside_broker.py: no model file or no *.jpg in {options.frames}")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        scenario = Scenario(folder, options.program, model, frames)
        try:
            scenario.play()
        except (Failure, subprocess.SubprocessError) as failure:
            print(f"FAILED: {failure}", file=sys.stderr)
            log = folder / "brokerside.log"
            if log.exists():
                text = log.read_text(encoding="utf-8", errors="replace")
                print(f"log of the program:\n{text[-4000:]}", file=sys.stderr)
            return 1
        finally:
            scenario.stop_all()
        least = f"detection={2 * len(frames)},score=300,alert=2,alert-event=2,report=3,status=2"
        return subprocess.run([ROOT / "Config/schemas/validate.py", scenario.heard, "--minimum", least]).returncode


if __name__ == "__main__":
    sys.exit(main())
