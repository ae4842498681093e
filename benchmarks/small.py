"""What a small call costs: the family `small` of compare.py, one thread.

    python benchmarks/small.py [--rounds 15]        # and what else compare.py takes

Calls on 8 elements, nodes of a bound chain of 1000, recorded steps: what is timed is each library's own cost.
"""
import sys

import compare

if __name__ == "__main__":
    sys.exit(compare.main(["small", *(sys.argv[1:] if "--rounds" in sys.argv else ["--rounds", "15", *sys.argv[1:]])]))
