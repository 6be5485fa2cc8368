"""A million mutated client events: ``python -m tests.fuzz --events 1000000``."""

from __future__ import annotations

import argparse
import sys
import time

from tests.fuzz.mutator import Fuzzer


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    fuzzer = Fuzzer(arguments.seed)
    began = time.monotonic()
    for count in range(1, arguments.events + 1):
        fuzzer.step()
        if count % 50_000 == 0 or count == arguments.events:
            rate = count / (time.monotonic() - began)
            print(f"{count} events, {rate:.0f} a second, {fuzzer.sessions} sessions")
            sys.stdout.flush()
    for outcome, number in fuzzer.outcomes.most_common():
        print(f"{number:9d}  {outcome}")


main()
