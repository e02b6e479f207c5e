"""On what was measured."""

import os
import pathlib
import platform
import subprocess
import time


def facts():
    return {
        "when": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "processor": first_of("/proc/cpuinfo", "model name"),
        "processors": os.cpu_count(),
        "memory": first_of("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "postgres": said("postgres", "--version"),
        "teamscale": said("git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"),
    }


def first_of(file, name):
    for line in pathlib.Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.split(":", 1)[1].strip()
    return "unknown"


def said(*command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    except FileNotFoundError:
        return "unknown"
