"""Floor 2: galleries, enrolment, search and calibration. Synchronous; knows no gRPC and no modality by name."""
