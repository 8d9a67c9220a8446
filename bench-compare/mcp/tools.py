"""Every tool of `filelatch mcp`, driven by the official Python client: each answer against the tool's output schema and the specification's types."""
import asyncio
import json
import os
import subprocess
import sys
import tempfile

import mcp_types
from jsonschema import Draft202012Validator
from mcp import ClientSession, StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client
from mcp_types.methods import validate_server_result

PROGRAM = os.environ["FILELATCH"]
TOOLS = [
    "append", "apply_many", "changes", "conflicts", "doctor", "edit", "history",
    "lease", "patch_doc", "read", "session", "status", "write",
]  # fmt: skip


def text(path):
    with open(path, "rb") as file:
        return file.read().decode()


class Drive:
    """Calls tools, and checks of every answer what holds for all."""

    def __init__(self, session, schemas):
        self.session, self.schemas, self.called = session, schemas, set()

    async def raw(self, tool, arguments):
        answer = await self.session.call_tool(tool, arguments)
        wire = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
        validate_server_result("tools/call", self.session.protocol_version, wire)
        body = answer.structured_content
        assert body is not None, f"{tool}: no structured content: {answer.content}"
        assert json.loads(answer.content[0].text) == body, f"{tool}: the text is not the same answer"
        assert body["ok"] is not answer.is_error, f"{tool}: ok and isError disagree: {body}"
        return answer, body

    async def __call__(self, tool, **arguments):
        answer, body = await self.raw(tool, arguments)
        assert not answer.is_error, f"{tool} {arguments}: {body}"
        self.schemas[tool].validate(body)
        self.called.add(tool)
        return body

    async def refused(self, tool, kind, **arguments):
        answer, body = await self.raw(tool, arguments)
        assert answer.is_error, f"{tool} {arguments} was not refused: {body}"
        assert body["kind"] == kind, f"{tool} {arguments}: {body}"
        for field in ("message", "not_done", "next"):
            assert body.get(field), f"{tool} {arguments}: the refusal has no `{field}`: {body}"
        return body


async def drive(root, session):
    listed = await session.list_tools()
    validate_server_result("tools/list", session.protocol_version, listed.model_dump(by_alias=True, mode="json", exclude_none=True))
    assert sorted(tool.name for tool in listed.tools) == TOOLS, [tool.name for tool in listed.tools]
    for tool in listed.tools:
        Draft202012Validator.check_schema(tool.input_schema)
        Draft202012Validator.check_schema(tool.output_schema)
    do = Drive(session, {tool.name: Draft202012Validator(tool.output_schema) for tool in listed.tools})
    at = lambda name: os.path.join(root, name)

    status = await do("status")
    assert status["workspace"], status
    first = await do("read", path="notes.md")
    assert first["content"] == "# Notes\n\none\ntwo\n", first
    same = await do("read", path="notes.md", known_hash=first["hash"])
    assert same.get("unchanged") and "content" not in same, same
    anchors = (await do("read", path="notes.md", anchors=True))["content"].splitlines()
    cursor = (await do("changes"))["cursor"]

    edited = await do("edit", path="notes.md", edits=[{"old_text": "one", "new_text": "eins"}], base_hash=first["hash"])
    assert edited["outcome"] == "written" and edited["previous_hash"] == first["hash"], edited
    by_anchor = await do("edit", path="notes.md", edits=[{"anchor": anchors[3].split("|")[0], "new_text": "zwei"}])
    assert text(at("notes.md")) == "# Notes\n\neins\nzwei\n", by_anchor
    dry = await do("edit", path="notes.md", edits=[{"old_text": "zwei", "new_text": "drei"}], dry_run=True)
    assert dry["outcome"] == "dry_run" and dry["diff"] and "drei" not in text(at("notes.md")), dry
    once = {"path": "notes.md", "edits": [{"old_text": "zwei\n", "new_text": "zwei\ndrei\n"}], "idempotency_key": "k1"}
    await do("edit", **once)
    again = await do("edit", **once)
    assert again["outcome"] == "repeated" and text(at("notes.md")).count("drei") == 1, again
    await do.refused("edit", "ambiguous", path="notes.md", edits=[{"old_text": "ei", "new_text": "EI"}])
    await do.refused("edit", "conflict", path="notes.md", edits=[{"old_text": "nowhere", "new_text": "x"}])
    await do.refused("edit", "malformed", path="notes.md", edits=[{"old_text": "eins", "new_text": "x", "surplus": 1}])

    written = await do("write", path="new.txt", content="new\n", expect_absent=True)
    stale = await do.refused("write", "conflict", path="notes.md", content="all mine\n", base_hash=first["hash"])
    assert stale["conflict"]["expected_hash"] == first["hash"], stale
    await do.refused("write", "needs-base", path="new.txt", content="over it\n")
    await do("append", path="new.txt", text="more")
    assert text(at("new.txt")).startswith("new\nmore"), written
    await do("patch_doc", path="config.json", merge_patch={"b": {"c": 2}})
    assert '"a": 1, // stays' in text(at("config.json"))
    await do("patch_doc", path="config.json", json_patch=[{"op": "replace", "path": "/b/c", "value": 3}])
    assert json.loads(text(at("config.json")).replace("// stays", "")) == {"a": 1, "b": {"c": 3}}
    many = await do("apply_many", changes=[
        {"path": "new.txt", "edits": [{"old_text": "new", "new_text": "newer"}]},
        {"path": "other.txt", "content": "other\n", "expect_absent": True},
    ])  # fmt: skip
    assert len(many["files"]) == 2 and text(at("other.txt")) == "other\n", many
    before = text(at("new.txt"))
    await do.refused("apply_many", "conflict", changes=[
        {"path": "new.txt", "edits": [{"old_text": "newer", "new_text": "newest"}]},
        {"path": "other.txt", "edits": [{"old_text": "nowhere", "new_text": "x"}]},
    ])  # fmt: skip
    assert text(at("new.txt")) == before

    lease = await do("lease", action="acquire", path="notes.md", seconds=30, purpose="a check")
    held = await do.refused("edit", "leased", path="notes.md", edits=[{"old_text": "eins", "new_text": "1"}], wait_ms=0)
    assert held["holder"]["purpose"] == "a check", held
    await do("edit", path="notes.md", edits=[{"old_text": "eins", "new_text": "uno"}], lease_token=lease["token"])
    await do("lease", action="renew", path="notes.md", token=lease["token"], seconds=30)
    await do("lease", action="status", path="notes.md")
    await do("lease", action="release", path="notes.md", token=lease["token"])

    told = await do("changes", cursor=cursor, wait_ms=2000)
    assert any(change["path"] == "notes.md" for change in told["changes"]), told
    await do("conflicts")
    versions = await do("history", path="notes.md")
    assert versions, versions
    await do("session")
    await do("doctor")

    for path, kind in (("../outside.txt", "outside-root"), ("/etc/passwd", "outside-root"), ("link.txt", "outside-root"), (".env", "hidden")):
        answer, body = await do.raw("read", {"path": path})
        assert answer.is_error and body["kind"] == kind, f"{path}: {body}"
    missing = set(TOOLS) - do.called
    assert not missing, f"not called: {missing}"

    resources = await session.list_resources()
    assert any(str(resource.uri) == "filelatch://status" for resource in resources.resources), resources
    templates = await session.list_resource_templates()
    assert any("filelatch://conflicts/" in template.uri_template for template in templates.resource_templates), templates
    contents = (await session.read_resource("filelatch://status")).contents
    assert json.loads(contents[0].text)["workspace"], contents
    return len(do.called)


def folder():
    base = os.path.realpath(tempfile.mkdtemp())
    root = os.path.join(base, "root")
    os.mkdir(root)
    files = {
        "notes.md": "# Notes\n\none\ntwo\n",
        "config.json": '{\n  "a": 1, // stays\n  "b": {}\n}\n',
        ".env": "SECRET=1\n",
        "../outside.txt": "outside\n",
    }
    for name, content in files.items():
        with open(os.path.join(root, name), "w") as file:
            file.write(content)
    os.symlink("../outside.txt", os.path.join(root, "link.txt"))
    subprocess.run(["git", "init", "-q", root], check=True)
    subprocess.run([PROGRAM, "init", root], check=True, capture_output=True)
    return root


async def handshake():
    """By `initialize`, as most clients do."""
    root = folder()
    parameters = StdioServerParameters(command=PROGRAM, args=["mcp", root], cwd=root)
    async with stdio_client(parameters, errlog=open(os.devnull, "w")) as (read, write):
        client = mcp_types.Implementation(name="python-check", version="1")
        async with ClientSession(read, write, client_info=client, read_timeout_seconds=60) as session:
            answer = await session.initialize()
            assert answer.server_info.name == "filelatch", answer
            assert answer.instructions, answer
            return session.protocol_version, await drive(root, session)


async def discovery():
    """By `server/discover`, the protocol's way without a handshake."""
    root = folder()
    parameters = StdioServerParameters(command=PROGRAM, args=["mcp", root], cwd=root)
    async with Client(parameters, read_timeout_seconds=60) as client:
        return client.session.protocol_version, await drive(root, client.session)


async def main():
    for way in (handshake, discovery):
        version, called = await way()
        print(f"{called} tools, by the Python client, protocol {version}: every answer fits its schema and the specification's types")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
