// `bun run build` makes JavaScript and declarations; the pure packages work in plain Node, which knows nothing of Bun.

import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { exampleOf } from "../readme/examples.ts";
import { floors, highestPureFloor } from "../structure/floors.ts";

const root = resolve(import.meta.dir, "../..");
const pure = Object.keys(floors).filter((name) => floors[name].floor <= highestPureFloor);

function run(command: readonly string[], cwd: string): string {
  const result = Bun.spawnSync([...command], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const said = result.stdout.toString() + result.stderr.toString();
  if (result.exitCode !== 0)
    throw new Error(`${command.slice(0, 3).join(" ")} ended with ${result.exitCode}:\n${said}`);
  return said;
}

/** Runs a module in Node, from where @passt-ts/* can be imported; without the condition "bun", exports lead to dist. */
const inNode = (module: string): string =>
  run(["node", "--input-type=module", "-e", module], resolve(import.meta.dir, ".."));

beforeAll(() => {
  run(["bun", "run", "build"], root);
}, 180_000);

for (const name of Object.keys(floors)) {
  test(`${name} has JavaScript and declarations for each module`, () => {
    const sources = readdirSync(join(root, "packages", name, "src"), { recursive: true, encoding: "utf8" });
    const modules = sources.filter((path) => path.endsWith(".ts") && !/\.(test|worker)\.ts$/.test(path));
    expect(modules.length).toBeGreaterThan(0);
    const built = modules.flatMap((path) => [path.replace(/\.ts$/, ".js"), path.replace(/\.ts$/, ".d.ts")]);
    expect(built.filter((path) => !existsSync(join(root, "packages", name, "dist", path)))).toEqual([]);
  });
}

describe("in Node", () => {
  for (const name of pure) {
    test(`${name}: every built module can be imported`, () => {
      const dist = readdirSync(join(root, "packages", name, "dist"), { recursive: true, encoding: "utf8" });
      const modules = dist.filter((path) => path.endsWith(".js") && !/(^testing\/|\.worker\.js$)/.test(path));
      expect(modules.length).toBeGreaterThan(0);
      const imports = modules.map((path) => `await import("@passt-ts/${name}/${path.slice(0, -3)}");`);
      const check = `if (!import.meta.resolve("@passt-ts/${name}/${modules[0].slice(0, -3)}").includes("/dist/")) throw 1;`;
      inNode([...imports, check].join("\n"));
    });

    test(`${name}: the README's example works with the built package`, () => {
      const example = exampleOf(name);
      if (example === null) throw new Error(`packages/${name}/README.md has no \`\`\`ts block`);
      inNode(new Bun.Transpiler({ loader: "ts", target: "node" }).transformSync(example));
    });
  }
});
