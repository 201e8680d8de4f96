import { type BackendKind, BackendNameError } from "./registry.ts";

/** A kind whose names are refused with a reason, so that they are not taken for a misspelling. */
function reserved(prefix: string, problem: string): BackendKind<unknown> {
  const refuse = (name: string): never => {
    throw new BackendNameError(name, problem);
  };
  return { prefix, check: refuse, create: refuse };
}

const NETMAP_PROBLEM = "the prefix is reserved for a netmap back-end, which does not exist yet";

/** Kinds of back-ends that this system does not have, with the reason why; for the end of a registry's list. */
export const reservedKinds: readonly BackendKind<unknown>[] = [
  reserved("vmnet:", 'vmnet is not on Linux; "tap:NAME" is the interface of the host here'),
  reserved("netmap:", NETMAP_PROBLEM),
  reserved("vale:", NETMAP_PROBLEM),
];
