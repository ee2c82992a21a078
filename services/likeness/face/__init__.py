"""Floor 3: the face modality. `modality` is its door; detect, align and quality are its steps."""
