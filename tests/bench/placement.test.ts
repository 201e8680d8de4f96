import { expect, test } from "bun:test";
import { Program } from "../guests/process.ts";
import { allowedProcessors, placementOf, processorsIn } from "./placement.ts";

test("a list of processors is read as the kernel writes it", () => {
  expect(processorsIn("0-2,5,7-8")).toEqual([0, 1, 2, 5, 7, 8]);
  expect(processorsIn("3")).toEqual([3]);
});

test("apart: the guest has the first processor and nothing else runs there", () => {
  expect(placementOf("apart", [2, 3, 5])).toEqual({ name: "apart", guest: "2", host: "3,5" });
});

test("together: all on the first processor, so that a rate tells the work of all", () => {
  expect(placementOf("together", [2, 3])).toEqual({ name: "together", guest: "2", host: "2" });
});

test("guest: only the guest is kept on one processor", () => {
  expect(placementOf("guest", [0, 1])).toEqual({ name: "guest", guest: "0", host: "0,1" });
});

test("free, or one processor: nothing is kept anywhere", () => {
  const free = { name: "free", guest: null, host: null } as const;
  expect(placementOf("free", [0, 1])).toEqual(free);
  expect(placementOf("apart", [0])).toEqual(free);
});

test("a program stays on the processors it is given, with what it starts and with its arguments", async () => {
  const [first] = allowedProcessors();
  const script = 'echo "$1"; grep Cpus_allowed_list /proc/self/status';
  const program = new Program(["sh", "-c", script, "-", "a b"], { processors: String(first) });
  await program.waitForExit(10_000);
  expect(program.output).toMatch(/^a b\n/);
  expect(program.output).toMatch(new RegExp(`Cpus_allowed_list:\\s*${first}\\s*$`));
});
