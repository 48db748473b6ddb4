"""Pull commands: by tag or by digest, for each tool that people use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TOOLS = ("docker", "podman", "nerdctl", "skopeo", "crane")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what stands before the reference, the reference below the host, and what follows."""

    tool: str
    by: str
    before: str
    reference: str
    after: str


@dataclass(frozen=True, slots=True)
class PullBox:
    """The commands that pull one image; `by` is what it can be named by."""

    tools: Sequence[str]
    by: Sequence[str]
    commands: Sequence[Command]


def pull_box(host: str, repository: str, *, tag: str, digest: str) -> PullBox:
    """The commands for `tag` (if there is one) and `digest`."""
    references = ([("tag", f"{repository}:{tag}")] if tag else []) + (
        [("digest", f"{repository}@{digest}")] if digest else []
    )
    return PullBox(
        tools=TOOLS,
        by=[by for by, _ in references],
        commands=[_command(tool, by, host, reference, repository) for tool in TOOLS for by, reference in references],
    )


def _command(tool: str, by: str, host: str, reference: str, repository: str) -> Command:
    name = repository.rpartition("/")[2]
    if tool == "skopeo":
        return Command(tool, by, f"skopeo copy docker://{host}/", reference, f" oci:{name}")
    if tool == "crane":
        return Command(tool, by, f"crane pull {host}/", reference, f" {name}.tar")
    return Command(tool, by, f"{tool} pull {host}/", reference, "")
