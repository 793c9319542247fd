"""How fast, how large: ``make bench``. No part of the tests, but for ``test_bench.py``, which runs its smallest parts."""
