"""Copy the demo's pages into the documentation, with their pictures made smaller.

    python docs/make_samples.py demo/derivatives

Run it after ``make demo`` where the reports look different now.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).parent / "samples"
QUALITY = 70


def smaller(match: re.Match[str]) -> str:
    """Return an embedded PNG as WebP, which takes a sixth of the room."""
    picture = Image.open(io.BytesIO(base64.b64decode(match[1]))).convert("RGB")
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"


def main() -> None:
    """Write the samples of the folder named on the command line."""
    SAMPLES.mkdir(exist_ok=True)
    for page in sorted(Path(sys.argv[1]).glob("*.html")):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"data:image/png;base64,([A-Za-z0-9+/=]+)", smaller, text)
        # Tables and figures that lie beside the page are not copied.
        text = re.sub(
            r'<a href="(?:group|logs|models|sub-[^"/]*)/[^"]*"[^>]*>(.*?)</a>', r"\1", text
        )
        (SAMPLES / page.name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
