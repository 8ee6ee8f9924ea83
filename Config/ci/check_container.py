#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the files of Docker/ as far as that goes without a container engine.

What the Dockerfile copies exists and is not ignored, package lists and options of the program exist, what compose.yaml
mounts exists, the broker accepts mosquitto.conf, and the program accepts config.yaml.
"""

import argparse
import fnmatch
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
faults = []


def fault(text):
    faults.append(text)
    print(text, file=sys.stderr)


def instructions(path):
    """(keyword, rest) of each instruction of a Dockerfile, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if keyword:
            yield keyword.upper(), rest.strip()


def ignored(path):
    result = False
    for pattern in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = pattern.strip()
        if not pattern or pattern.startswith("#"):
            continue
        negated, pattern = pattern.startswith("!"), pattern.lstrip("!").strip("/")
        parts = pathlib.PurePosixPath(path).parts
        heads = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        if any(fnmatch.fnmatch(head, pattern) for head in heads):
            result = not negated
    return result


def check_dockerfile(path, help_text):
    stages, lists = set(), set()
    for keyword, rest in instructions(path):
        words = shlex.split(rest) if keyword != "RUN" else rest.split()
        if keyword == "FROM":
            if ":" not in words[0] and words[0] not in stages:
                fault(f"{path.name}: base image {words[0]} names no version")
            if len(words) == 3:
                stages.add(words[2])
        if keyword == "COPY":
            options = [word for word in words if word.startswith("--")]
            sources = [word for word in words if not word.startswith("--")][:-1]
            origin = next((word.partition("=")[2] for word in options if word.startswith("--from=")), None)
            if origin is not None:
                if origin not in stages:
                    fault(f"{path.name}: COPY --from={origin}, which is no stage")
                continue
            for source in sources:
                if not list(ROOT.glob(source.rstrip("/"))):
                    fault(f"{path.name}: COPY {source}: there is no such file")
                elif ignored(source):
                    fault(f"{path.name}: COPY {source}: .dockerignore leaves it out")
        if keyword == "RUN":
            for match in re.finditer(r"install-packages((?: [a-z]+)+)", rest):
                lists.update(match.group(1).split())
        if keyword in ("CMD", "ENTRYPOINT") and help_text is not None:
            for option in re.findall(r"--[a-z-]+", rest):
                if option not in help_text:
                    fault(f"{path.name}: {keyword} uses {option}, which `brokerside run` does not have")
    for name in lists:
        if not (ROOT / "Config/packages" / f"{name}.txt").is_file():
            fault(f"{path.name}: there is no package list {name}")
    if lists != {"build", "run"}:
        fault(f"{path.name}: installs the package lists {sorted(lists)}, expected build and run")
    print(f"{path.name}: stages {', '.join(sorted(stages)) or 'none'}, package lists {', '.join(sorted(lists))}")


def check_compose(path):
    text = path.read_text(encoding="utf-8")
    mounts = re.findall(r"^\s*- (\.\.?/[^:\s]+):", text, flags=re.MULTILINE)
    files = re.findall(r"^\s*(?:dockerfile|file): (\.?/?[\w./-]+)$", text, flags=re.MULTILINE)
    for name in mounts:
        if not (path.parent / name).exists():
            fault(f"{path.name}: mounts {name}, which does not exist")
    secrets = [name for name in files if name.startswith("./secrets/")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in secrets:
        if f"Docker/{name[2:]}" not in readme:
            fault(f"{path.name}: README.md does not say how to make {name}")
    print(f"{path.name}: {len(mounts)} mounts, {len(secrets)} secrets")


def check_broker(path):
    """Starts mosquitto with the configuration, its files replaced by ones that are here."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        # mosquitto drops its rights when root starts it.
        pathlib.Path(folder).chmod(0o755)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        passwords = pathlib.Path(folder, "passwords")
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "brokerside", "secret"], check=True)
        passwords.chmod(0o644)
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"^listener .*$", f"listener {port} 127.0.0.1", text, flags=re.MULTILINE)
        text = re.sub(r"^password_file .*$", f"password_file {passwords}", text, flags=re.MULTILINE)
        text = re.sub(r"^acl_file .*$", f"acl_file {path.parent / 'mosquitto.acl'}", text, flags=re.MULTILINE)
        text = re.sub(r"^persistence_location .*$", f"persistence_location {folder}/", text, flags=re.MULTILINE)
        configuration = pathlib.Path(folder, "mosquitto.conf")
        configuration.write_text(text, encoding="utf-8")
        broker = subprocess.Popen(["mosquitto", "-c", configuration], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True)
        try:
            send = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", "brokerside/check/status",
                    "-m", "x", "-V", "5"]
            deadline = time.monotonic() + 10
            while broker.poll() is None and time.monotonic() < deadline:
                done = subprocess.run(send + ["-u", "brokerside", "-P", "secret"], capture_output=True, text=True)
                if done.returncode == 0:
                    break
                time.sleep(0.1)
            else:
                broker.terminate()
                fault(f"{path.name}: the broker does not work with it:\n{broker.communicate()[0]}")
                return
            if subprocess.run(send, capture_output=True).returncode == 0:
                fault(f"{path.name}: lets in a client without a password")
        finally:
            broker.terminate()
            broker.wait(10)
    print(f"{path.name}: the broker works with it and refuses clients without a password")


def check_configuration(path, program):
    with tempfile.TemporaryDirectory() as folder:
        text = path.read_text(encoding="utf-8")
        pathlib.Path(folder, "password").write_text("secret\n", encoding="utf-8")
        text = re.sub(r"/run/secrets/[\w-]+", f"{folder}/password", text)
        model = next(ROOT.glob("Config/**/*.bsm"), None) or next(ROOT.glob("Sources/**/*.bsm"), None)
        if model is None:
            fault("there is no model file in the repository to check the configuration with")
            return
        text = re.sub(r"/etc/brokerside/models/[\w.-]+", str(model), text)
        copy = pathlib.Path(folder, "config.yaml")
        copy.write_text(text, encoding="utf-8")
        done = subprocess.run([program, "check", "--config", copy], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            fault(f"{path.name}: `check` exits {done.returncode}:\n{done.stdout}{done.stderr}")
        else:
            print(f"{path.name}: accepted by `brokerside check`")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", help="the built program; without it config.yaml and options are not checked")
    options = parser.parse_args()
    help_text = None
    if options.program:
        done = subprocess.run([options.program, "run", "--help"], capture_output=True, text=True, timeout=60)
        help_text = done.stdout
    check_dockerfile(ROOT / "Docker/Dockerfile", help_text)
    check_compose(ROOT / "Docker/compose.yaml")
    check_broker(ROOT / "Docker/mosquitto.conf")
    if options.program:
        check_configuration(ROOT / "Docker/config.yaml", options.program)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
