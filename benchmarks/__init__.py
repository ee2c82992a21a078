"""Programs that measure what we claim; `common` is what they share."""
