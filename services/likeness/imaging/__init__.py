"""Floor 1: bytes to pixels within explicit limits, and plane geometry. The only import of OpenCV's codecs."""
