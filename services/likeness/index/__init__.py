"""Floor 1: filter columns, vectors (the only import of faiss), kinds of index, snapshots, recall."""

from likeness.index.columns import Columns, ColumnsState
from likeness.index.container import Seal
from likeness.index.recall import Recall, measure_recall
from likeness.index.sights import Allows, Sight
from likeness.index.snapshot import Generation, IndexState, Loaded, Snapshot, Snapshots
from likeness.index.vectors import VectorIndex

__all__ = [
    "Allows",
    "Columns",
    "ColumnsState",
    "Generation",
    "IndexState",
    "Loaded",
    "Recall",
    "Seal",
    "Sight",
    "Snapshot",
    "Snapshots",
    "VectorIndex",
    "measure_recall",
]
