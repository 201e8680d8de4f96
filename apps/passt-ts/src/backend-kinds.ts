import { type TapContext, tapKinds } from "@passt-ts/backend-tap/tap-kinds";
import type { NetBackend } from "@passt-ts/net-backend/backend";
import { type BackendKind, BackendNameError, BackendRegistry } from "@passt-ts/net-backend/registry";
import { reservedKinds } from "@passt-ts/net-backend/reserved-kinds";

/** The name of the back-end that there is when nobody names one. */
export const SOCKETS = "sockets";

/** What a back-end of any kind is made from. */
export interface BackendContext extends TapContext {
  /** Makes the socket back-end: only the data plane has its modules, and what it is made from. */
  readonly sockets: () => NetBackend;
}

const socketKind: BackendKind<BackendContext> = {
  prefix: SOCKETS,
  check: (name) => {
    if (name !== SOCKETS) throw new BackendNameError(name, `nothing can follow "${SOCKETS}"`);
  },
  create: (_name, context) => context.sockets(),
};

/** Every kind of back-end; the first whose prefix begins a name is chosen. */
export const BACKENDS: BackendRegistry<BackendContext> = new BackendRegistry([
  socketKind,
  ...tapKinds,
  ...reservedKinds,
]);
