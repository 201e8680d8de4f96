import type { ContractCase } from "./contract-case.ts";
import { lifeRules } from "./contract-life.ts";
import { receiveRules } from "./contract-receive.ts";
import { sendRules } from "./contract-send.ts";

export type { BackendUnderTest, ContractCase, MakeBackend } from "./contract-case.ts";

/** The rules of a NetBackend, for any test runner: run each case with the back-end's own `make`. */
export const backendContract: readonly ContractCase[] = [...lifeRules, ...sendRules, ...receiveRules];
