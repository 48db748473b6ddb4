"""A registry that means harm, within the protocol: right answers with traps in them."""

from __future__ import annotations

import json
from typing import Any

from .answers import Answer
from .requests import Request

SCRIPT = "<script>alert(1)</script>"
FORBIDDEN_NAMES = (SCRIPT, "../../etc/passwd", "Upper/Case", "team/app\u202egnp")
FORBIDDEN_TAGS = ("<img src=x onerror=alert(1)>", "-rf", "a/b", "x" * 400)
ELSEWHERE = "https://elsewhere.test"


def twist(answer: Answer, request: Request) -> Answer:
    """The answer with forbidden names, a cookie, links to elsewhere, and secrets repeated in errors."""
    body = _twisted(answer, request)
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Length"}
    headers["Set-Cookie"] = "session=of-somebody-else; Path=/"
    if "Link" in headers:
        headers["Link"] = headers["Link"].replace("</v2/", f"<{ELSEWHERE}/v2/")
    return Answer(answer.status, body, headers)


def _twisted(answer: Answer, request: Request) -> bytes:
    is_manifest = "/manifests/" in request.path or "json" not in answer.headers.get("Content-Type", "")
    if is_manifest and answer.status < 400:
        return answer.body
    try:
        document: Any = json.loads(answer.body)
    except ValueError:
        return answer.body
    if "repositories" in document:
        document["repositories"] = [*FORBIDDEN_NAMES, *(document["repositories"] or [])]
    if "tags" in document:
        document["tags"] = [*FORBIDDEN_TAGS, *(document["tags"] or [])]
    for entry in document.get("errors", []):
        entry["message"] = f"{SCRIPT} {request.headers.get('authorization', '')}"
        entry["detail"] = {"you sent": dict(request.headers)}
    return json.dumps(document).encode()
