"""What a model is, described by one TOML file, so that another model needs a manifest and no code.

A manifest says which files make the model, what their digests are and where they come from; how its input is made;
what the outputs mean; and in which template space the result lives. Unknown keys are refused: a misspelt key that
is ignored changes scores in silence.
"""

from likeness.inference.models.manifest.reading import (
    FILE,
    MAX_MANIFEST_BYTES,
    as_kind,
    parse_manifest,
    read_manifest,
)
from likeness.inference.models.manifest.schema import (
    EmbedderManifest,
    FaceManifest,
    Family,
    ModelKind,
    ModelManifest,
    PictureManifest,
    SetManifest,
)
from likeness.inference.models.manifest.tables import (
    COUNT_STEP,
    MAX_DIMENSION,
    MAX_ROWS,
    Build,
    DetectionSettings,
    Edges,
    Embedding,
    FileEntry,
    Input,
    Landmarks,
    Point,
    SelfTest,
)

__all__ = [
    "COUNT_STEP",
    "FILE",
    "MAX_DIMENSION",
    "MAX_MANIFEST_BYTES",
    "MAX_ROWS",
    "Build",
    "DetectionSettings",
    "Edges",
    "EmbedderManifest",
    "Embedding",
    "FaceManifest",
    "Family",
    "FileEntry",
    "Input",
    "Landmarks",
    "ModelKind",
    "ModelManifest",
    "PictureManifest",
    "Point",
    "SelfTest",
    "SetManifest",
    "as_kind",
    "parse_manifest",
    "read_manifest",
]
