import { expect, test } from "bun:test";
import { setUmask } from "./process-identity.ts";
import { openFilesLimit, raiseOpenFilesLimit } from "./resource-limits.ts";
import { Errno, errnoMessage, errnoName, SystemError } from "./system-error.ts";

test("an error says what failed, on what, and why", () => {
  const error = new SystemError("bind", -Errno.EADDRINUSE, "/tmp/x");
  expect(error.message).toBe("bind /tmp/x: Address already in use (EADDRINUSE)");
  expect([error.code, error.errno, error.syscall]).toEqual(["EADDRINUSE", 98, "bind"]);
  expect(errnoName(-11)).toBe("EAGAIN");
  expect(errnoName(4000)).toBe("errno 4000");
  expect(errnoMessage(-111)).toBe("Connection refused");
});

test("the limit of open files is raised to the hard one", () => {
  const { hard } = openFilesLimit();
  expect(raiseOpenFilesLimit()).toBe(hard);
  expect(openFilesLimit()).toEqual({ soft: hard, hard });
});

test("the umask is set and said", () => {
  const before = setUmask(0o123);
  expect(setUmask(before)).toBe(0o123);
});

test("a process becomes another user on all its threads, or is told that it may not", async () => {
  // In a child: there is no way back.
  const module = JSON.stringify(new URL("./process-identity.ts", import.meta.url).pathname);
  const script = `
    import { setDumpable, setIdentity, setNoNewPrivileges } from ${module};
    import { readdirSync, readFileSync } from "node:fs";
    try { setIdentity(65534, 65533); } catch (error) { console.log(error.code); process.exit(0); }
    setNoNewPrivileges();
    const lines = new Set(readdirSync("/proc/self/task").map((task) =>
      readFileSync("/proc/self/task/" + task + "/status", "utf8").match(/^(Uid|Gid):.*$/gm).join(";")));
    setDumpable(false);
    console.log([...lines].join("|").replace(/\\s+/g, " "));
    try { setIdentity(0, 0); console.log("came back"); } catch (error) { console.log(error.code); }`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  const output = (await new Response(child.stdout).text()).trim();
  expect(await child.exited).toBe(0);
  const expected =
    process.getuid?.() === 0 ? "Uid: 65534 65534 65534 65534;Gid: 65533 65533 65533 65533\nEPERM" : "EPERM";
  expect(output).toBe(expected);
});
