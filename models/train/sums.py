"""Write `models/SHA256SUMS` again: the last step of whoever changes a file that is shipped.

python models/train/sums.py
"""

from __future__ import annotations

from pathlib import Path

from likeness.inference.models import sums

if __name__ == "__main__":
    sums.write(Path(__file__).resolve().parents[1])
