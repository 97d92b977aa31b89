"""Where the page's templates are, and what they are; light, for a rule asks for it."""

import hashlib
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"


def template_digest() -> str:
    """Digest of the templates, by which Snakemake notices that one was edited."""
    digest = hashlib.sha256()
    for file in sorted(TEMPLATES.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
