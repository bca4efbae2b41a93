"""Digital twins: samples, physics, artefacts; a twin looks exactly like an instrument."""
