import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseCommandLine } from "./command-line.ts";
import { helpText } from "./help-text.ts";
import { OPTION_SECTIONS, OPTIONS } from "./option-table.ts";

describe("the command line", () => {
  test("long and short names, joined and separate values", () => {
    const line = parseCommandLine(["--vhost-user", "-s", "/tmp/a", "--mtu=1500", "-t22", "-t", "80", "-f1"]);
    expect(line.last("socket")).toBe("/tmp/a");
    expect(line.last("mtu")).toBe("1500");
    expect(line.all("tcp-ports")).toEqual(["22", "80"]);
    expect(line.has("foreground") && line.has("one-off") && line.has("vhost-user")).toBe(true);
    expect(line.has("debug")).toBe(false);
  });

  test("second names, and names cut short as long as they stay unambiguous", () => {
    expect(parseCommandLine(["--socket-path=/tmp/a"]).last("socket")).toBe("/tmp/a");
    expect(parseCommandLine(["--tcp", "22", "--fore", "--log-f=/x"]).last("tcp-ports")).toBe("22");
    expect(parseCommandLine(["--log-f=/x"]).last("log-file")).toBe("/x");
    expect(() => parseCommandLine(["--log", "/x"])).toThrow("'--log' is short for any of --log-file, --log-size");
    expect(parseCommandLine(["--no-dhcp"]).has("no-dhcp")).toBe(true);
  });

  test("a value may begin with a dash, or be empty", () => {
    expect(parseCommandLine(["-m", "-1"]).last("mtu")).toBe("-1");
    expect(parseCommandLine(["--mtu", "--one-off"]).has("one-off")).toBe(false);
    expect(parseCommandLine(["-D", ""]).all("dns")).toEqual([""]);
  });

  test("of options that contradict each other the last one is found", () => {
    expect(parseCommandLine([]).lastOf("ipv4-only", "ipv6-only")).toBe(undefined);
    expect(parseCommandLine(["-4", "-6"]).lastOf("ipv4-only", "ipv6-only")).toBe("ipv6-only");
    expect(parseCommandLine(["-6", "-4"]).lastOf("ipv4-only", "ipv6-only")).toBe("ipv4-only");
  });

  test("behind --help, --version and --print-capabilities nothing counts", () => {
    for (const option of ["--help", "-h", "--version", "--print-capabilities"]) {
      expect(() => parseCommandLine([option, "extra", "--nonsense"])).not.toThrow();
      expect(() => parseCommandLine(["extra", option])).toThrow("extra");
    }
  });

  test.each([
    [["--nonsense"], "unknown option '--nonsense'"],
    [["-Z"], "unknown option '-Z'"],
    [["-fZ"], "unknown option '-Z'"],
    [["--mtu"], "--mtu: BYTES is missing"],
    [["-m"], "-m: BYTES is missing"],
    [["extra"], "'extra' is not an option"],
    [["--", "-f"], "'-f' is not an option"],
    [["--foreground=yes"], "--foreground: takes no argument"],
    [["--migrate-exit"], "--migrate-exit: live migration is not supported yet"],
    [["--migrate-no-linger"], "--migrate-no-linger: live migration"],
    [["-c", "/tmp/x"], "-c: forwards cannot be changed"],
    [["--conf-path=/tmp/x"], "--conf-path: forwards cannot be changed"],
  ])("%p is refused with one line", (args, message) => {
    expect(() => parseCommandLine(args)).toThrow(/^[^\n]+$/);
    expect(() => parseCommandLine(args)).toThrow(message);
  });

  test("what QEMU's -netdev passt starts us with", () => {
    const line = parseCommandLine(
      "--vhost-user --quiet --mtu 9000 --tcp-ports 2222 --pid /tmp/passt.pid --fd 3".split(" "),
    );
    expect(line.has("vhost-user") && line.has("quiet")).toBe(true);
    expect([line.last("mtu"), line.all("tcp-ports"), line.last("pid"), line.last("fd")]).toEqual([
      "9000",
      ["2222"],
      "/tmp/passt.pid",
      "3",
    ]);
  });

  test("options that are accepted without effect", () => {
    const args = ["--vhost-user", "--stderr", "-e", "--chroot-fallback", "--repair-path", "none"];
    expect(() => parseCommandLine(args)).not.toThrow();
  });

  test("no arguments make the parser fail in any other way", () => {
    const word = fc.oneof(
      fc.constantFrom(...OPTIONS.flatMap(({ name, short }) => [`--${name}`, `-${short ?? "x"}`, `--${name}=x`])),
      fc.string({ maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (args) => {
        try {
          parseCommandLine(args);
        } catch (error) {
          expect((error as { code?: string }).code).toBe("USAGE");
        }
      }),
    );
  });
});

describe("the table of options", () => {
  test("names, second names and short forms are there once", () => {
    const names = OPTIONS.flatMap(({ name, alias }) => (alias === undefined ? [name] : [name, alias]));
    expect(new Set(names).size).toBe(names.length);
    const shorts = OPTIONS.map(({ short }) => short).filter((short) => short !== undefined);
    expect(new Set(shorts).size).toBe(shorts.length);
    expect(OPTION_SECTIONS.flatMap(({ rows }) => rows)).toEqual([...OPTIONS]);
  });

  test("--help names every option, in lines that a terminal holds", () => {
    const text = helpText("passt-ts");
    for (const row of OPTIONS) expect(text).toContain(`--${row.name}`);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(140);
  });
});
