import { type ContractCase, check, Trial } from "./contract-case.ts";

/** Layouts of the guest's buffers: one for a frame, header apart, in pieces that cut header and frame, small ones. */
const LAYOUTS: readonly (readonly number[])[] = [[65562], [12, 1514], [5, 21, 40, 1500], [66, 600], [100], [7]];
const LENGTHS: readonly number[] = [60, 14, 1514, 61];

/** What happens to frames for the guest. */
export const receiveRules: readonly ContractCase[] = [
  {
    name: "frames arrive in order, each with its own length, over any buffers",
    run: (make) => {
      for (const entryBytes of LAYOUTS) {
        const trial = new Trial(make, { entryBytes });
        const frames = trial.frames(...LENGTHS);
        trial.arrive(frames);
        trial.expectReceived(frames);
        trial.backend.close();
      }
    },
  },
  {
    name: "frames are put behind a header of any length, wherever buffers cut it, and ask for no offload without one negotiated",
    run: (make) => {
      for (const headerLength of [0, 10, 12] as const) {
        for (const entryBytes of LAYOUTS) {
          const trial = new Trial(make, { entryBytes, headerLength });
          const frames = trial.frames(100, 60);
          trial.arrive(frames);
          const got = trial.received();
          check(got.length === 2, `${got.length} frames instead of 2`);
          for (const [i, { bytes, flags, gsoType, gsoSize, ...fields }] of got.entries()) {
            check(bytes.length === frames[i].length, `frame ${i} has ${bytes.length} bytes`);
            check(
              bytes.every((byte, at) => byte === frames[i][at]),
              `frame ${i} has other bytes`,
            );
            const sum = flags + gsoType + gsoSize + fields.headerLength + fields.checksumStart + fields.checksumOffset;
            check(sum === 0, `frame ${i} has a header that is not zero`);
          }
          trial.backend.close();
        }
      }
    },
  },
  {
    name: "a frame takes as many buffers as it needs, and no more",
    run: (make) => {
      const trial = new Trial(make, { entryBytes: [100], elements: 60 });
      // 12 bytes of header and 60 of frame; 12 and 1514.
      trial.arrive(trial.frames(60, 1514));
      check(trial.received().length === 2, "not both frames came");
      check(trial.sink.elements === 60 - 1 - 16, `${60 - trial.sink.elements} buffers used instead of 17`);
      trial.backend.close();
    },
  },
  {
    name: "a frame arrives as soon as there is room for it, if for nothing longer",
    run: (make) => {
      const trial = new Trial(make, { entryBytes: [100], elements: 2 });
      const frames = trial.frames(60, 150);
      trial.arrive(frames.slice(0, 1));
      trial.expectReceived(frames.slice(0, 1));
      trial.arrive(frames.slice(1));
      trial.expectReceived([]);
      check(trial.sink.roomWanted, "room is not wanted");
      trial.sink.addElements(1);
      trial.work();
      trial.expectReceived(frames.slice(1));
      trial.backend.close();
    },
  },
  {
    name: "without room frames wait, room is wanted, no turn spins, and none is lost",
    run: (make) => {
      const trial = new Trial(make, { elements: 1 });
      const frames = trial.frames(60, 70, 80);
      trial.arrive(frames);
      check(trial.sink.roomWanted, "room is not wanted");
      trial.expectReceived(frames.slice(0, 1));
      check(!trial.backend.turn(0), "a turn without room wants the next one at once");
      trial.sink.addElements(2);
      trial.work();
      trial.expectReceived(frames.slice(1));
      trial.backend.close();
    },
  },
  {
    name: "a frame too long for the guest's buffers is dropped, those behind it arrive",
    run: (make) => {
      const trial = new Trial(make, { entryBytes: [12, 1000], mergeable: false });
      const frames = trial.frames(1000, 1514, 1000, 1001, 60);
      trial.arrive(frames);
      trial.expectReceived([frames[0], frames[2], frames[4]]);
      trial.backend.close();
    },
  },
  {
    name: "without a ring no turn spins, and no frame is left reserved",
    run: (make) => {
      const trial = new Trial(make, { ready: false });
      trial.arrive(trial.frames(60));
      trial.expectReceived([]);
      trial.backend.close();
    },
  },
  {
    name: "many frames arrive in order, over as many turns as it takes",
    run: (make) => {
      const trial = new Trial(make);
      const frames = Array.from({ length: 30 }, (_, seed) => trial.under.frame(60 + seed, seed));
      trial.arrive(frames);
      trial.expectReceived(frames);
      trial.backend.close();
    },
  },
  {
    name: "nothing pending: turn commits nothing, discard says 0",
    run: (make) => {
      const trial = new Trial(make);
      trial.work();
      trial.expectReceived([]);
      check(trial.backend.discard() === 0, "something was discarded");
      trial.backend.close();
    },
  },
  {
    name: "discard takes one waiting frame and says its length",
    run: (make) => {
      const trial = new Trial(make);
      const frames = trial.frames(60, 77, 1514);
      for (const frame of frames) trial.under.arrive(frame);
      check(trial.backend.discard() === 60, "not the length of the oldest frame");
      trial.work();
      trial.expectReceived(frames.slice(1));
      trial.backend.close();
    },
  },
  {
    name: "what waits for room is what discard takes first",
    run: (make) => {
      const trial = new Trial(make, { entryBytes: [100], elements: 1 });
      const frames = trial.frames(1000, 70);
      trial.arrive(frames);
      trial.expectReceived([]);
      check(trial.backend.discard() === 1000, "not the length of the oldest frame");
      trial.work();
      trial.expectReceived(frames.slice(1));
      trial.backend.close();
    },
  },
];
