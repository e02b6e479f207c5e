"""The command: bench/run."""

import argparse
import importlib
import pathlib
import signal
import sys

from . import machine, report
from .laboratory import BUILD, Laboratory
from .measure import measure

SUBJECTS = pathlib.Path(__file__).resolve().parents[1] / "subjects"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers are removed on the way out
    known = sorted(file.stem for file in SUBJECTS.glob("[a-z]*.py"))
    options = argparse.ArgumentParser(prog="bench/run BUILD")
    options.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(known))
    options.add_argument("--rounds", type=int, default=9, help="how often each contender runs")
    options.add_argument("--seconds", type=int, default=1, help="how long a run of repeated statements takes")
    chosen = options.parse_args()
    unknown = set(chosen.subjects) - set(known)
    if unknown:
        options.error(f"no such subject: {', '.join(sorted(unknown))}; there are {', '.join(known)}")

    facts = machine.facts()
    print(report.heading(facts), flush=True)
    results = []
    for name in chosen.subjects or known:
        subject = importlib.import_module(f"subjects.{name}")
        print(f"\n## {subject.__doc__.strip().splitlines()[0]}", flush=True)
        with Laboratory() as laboratory:
            for work in subject.works(laboratory):
                result = measure(laboratory, work, chosen.rounds, chosen.seconds)
                results.append({"subject": name, **result})
                print(report.table(result), flush=True)
    out = BUILD / "bench" / "results.json"
    report.write(out, facts, results)
    print(f"\nall runs: {out}")


main()
