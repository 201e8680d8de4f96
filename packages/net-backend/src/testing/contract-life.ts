import { Capability, type NetHeaderLength } from "../backend.ts";
import { setCapabilities } from "../header-length.ts";
import { type ContractCase, check, compare, Trial } from "./contract-case.ts";

const CAPABILITIES: readonly (readonly [name: string, bit: number])[] = Object.entries(Capability);

/** Negotiation, and the ends of a back-end's life. */
export const lifeRules: readonly ContractCase[] = [
  {
    name: "header lengths 0, 10 and 12 are accepted and nothing else",
    run: (make) => {
      const { backend } = new Trial(make);
      for (const length of [0, 10, 12]) check(setCapabilities(backend, 0, length) === 0, `length ${length} refused`);
      for (const length of [-1, 1, 9, 11, 13, 14, 20]) {
        check(setCapabilities(backend, 0, length) === -1, `length ${length} accepted`);
        const said = backend.setCapabilities(0, length as NetHeaderLength);
        check(said === -1, `length ${length} accepted by the back-end`);
      }
      backend.close();
    },
  },
  {
    name: "a header length that is refused changes nothing",
    run: (make) => {
      const trial = new Trial(make);
      trial.backend.setCapabilities(0, 11 as NetHeaderLength);
      const frames = trial.frames(100, 60);
      trial.send(frames, [12]);
      compare(trial.carried(), frames);
      trial.backend.close();
    },
  },
  {
    name: "a refused capability leaves a working back-end without it",
    run: (make) => {
      for (const [name, bit] of [...CAPABILITIES, ["everything", 0xffff] as const]) {
        const trial = new Trial(make);
        const { backend } = trial;
        const inForce = setCapabilities(backend, bit, 12);
        check(inForce >= 0 && (inForce & ~backend.capabilities) === 0, `${name} is in force and not offered`);
        check((inForce & ~bit) === 0, `${name}: something is in force that was not asked for`);
        const frames = trial.frames(100, 60);
        trial.send(frames);
        compare(trial.carried(), frames);
        trial.arrive(frames);
        trial.expectReceived(frames);
        backend.close();
      }
    },
  },
  {
    name: "what is negotiated may change at any time",
    run: (make) => {
      const trial = new Trial(make);
      const frames = trial.frames(100, 60);
      for (const capabilities of [trial.backend.capabilities, 0, trial.backend.capabilities]) {
        setCapabilities(trial.backend, capabilities, 10);
        setCapabilities(trial.backend, capabilities, 12);
        trial.send(frames);
        compare(trial.carried(), frames);
        trial.arrive(frames);
        trial.expectReceived(frames);
      }
      trial.backend.close();
    },
  },
  {
    name: "after a reset frames pass both ways as before",
    run: (make) => {
      const trial = new Trial(make);
      const frames = trial.frames(100, 60);
      trial.send(frames);
      compare(trial.carried(), frames);
      trial.backend.reset(1);
      trial.work();
      trial.received();
      trial.send(frames);
      compare(trial.carried(), frames);
      trial.arrive(frames);
      trial.expectReceived(frames);
      trial.backend.close();
    },
  },
  {
    name: "two of them in one process do not disturb each other",
    run: (make) => {
      const one = new Trial(make);
      const other = new Trial(make, { headerLength: 0 });
      const frames = one.frames(100, 60);
      const others = other.frames(80, 90, 70);
      one.send(frames);
      other.send(others);
      compare(one.carried(), frames);
      compare(other.carried(), others);
      one.arrive(frames);
      one.backend.close();
      other.arrive(others);
      one.expectReceived(frames);
      other.expectReceived(others);
      other.backend.close();
    },
  },
  {
    name: "a closed one does nothing more, and may be closed again",
    run: (make) => {
      const trial = new Trial(make);
      trial.backend.close();
      trial.backend.close();
      trial.send(trial.frames(60));
      check(!trial.backend.turn(0), "a turn of a closed back-end wants another one");
      check(trial.backend.discard() === 0, "a closed back-end has a frame");
      trial.sink.assertSettled();
      trial.expectReceived([]);
    },
  },
];
