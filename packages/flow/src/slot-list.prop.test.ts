import { expect, test } from "bun:test";
import fc from "fast-check";
import { SlotLists } from "./slot-list.ts";

test("the lists behave like arrays, and a slot sits on one list at most", () => {
  const command = fc.record({
    act: fc.constantFrom("append", "remove", "take"),
    slot: fc.nat(5),
    list: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 100 }), (commands) => {
      const lists = new SlotLists(6, 3);
      const model: number[][] = [[], [], []];
      for (const { act, slot, list } of commands) {
        if (act === "append") {
          lists.append(list, slot);
          if (!model[list].includes(slot)) {
            for (const other of model) if (other.includes(slot)) other.splice(other.indexOf(slot), 1);
            model[list].push(slot);
          }
        } else if (act === "remove") {
          lists.remove(slot);
          for (const other of model) if (other.includes(slot)) other.splice(other.indexOf(slot), 1);
        } else {
          expect(lists.takeFirst(list)).toBe(model[list].shift() ?? -1);
        }
        for (let i = 0; i < 3; i++) {
          const found: number[] = [];
          for (let at = lists.first(i); at !== -1; at = lists.next(at)) found.push(at);
          expect(found).toEqual(model[i]);
          expect(lists.lengths[i]).toBe(model[i].length);
        }
        expect(lists.listOf(slot)).toBe(model.findIndex((other) => other.includes(slot)));
      }
    }),
  );
});
