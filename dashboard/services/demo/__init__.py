"""Demo images: every case that the pages know, made here byte for byte and pushed through the API.

`layers` builds tar files, `images` the documents around them, `trees` the files inside, `content` says what the demo
holds, `fill` pushes it. The same bytes come out each time, so digests in a picture or a test stay true.
"""

from __future__ import annotations
