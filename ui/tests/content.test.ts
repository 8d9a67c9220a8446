import { describe, expect, test } from "vitest";
import { Content, lineEndsOf } from "../src/state/content";

describe("content", () => {
  /** SERVE-5: no byte changes on the way through the editor. */
  test.each([
    "",
    "a",
    "a\n",
    "a\nb",
    "a\r\nb\r\n",
    "a\r\nb\n",
    "a\rb",
    "a\rb\r\n",
    "\uFEFFa\n",
    "\n\n\n",
    "\r\n",
    "\r",
    "a\r\r\nb\r\n",
    "\u2028x\n",
  ])("%j comes out as it went in", (text) => {
    const content = Content.of(text);
    expect(content.toString()).toBe(text);
    expect(new Content(content.lines, content.ends).toString()).toBe(text);
    expect(new Content(content.lines, content.ends).length).toBe(text.length);
  });

  test("line ends", () => {
    expect(lineEndsOf("a\nb")).toBe("lf");
    expect(lineEndsOf("a\r\nb")).toBe("crlf");
    expect(lineEndsOf("a\r\nb\n")).toBe("mixed");
    expect(lineEndsOf("a\rb")).toBe("mixed");
  });

  test("equal by text, whatever the line ends mode", () => {
    expect(Content.of("a\nb").equals(Content.of("a\nb"))).toBe(true);
    expect(Content.of("a\nb").equals(Content.of("a\r\nb"))).toBe(false);
    expect(Content.of("ab").equals(Content.of("abc"))).toBe(false);
    expect(Content.of("a\nb").equals(Content.of("a\nc"))).toBe(false);
  });
});
