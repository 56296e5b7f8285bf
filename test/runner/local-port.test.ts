import { runnerPortContract } from "../contracts/runner-port.contract.ts";

// The rig puts the local port before its runner, as `openRunner` does.
runnerPortContract("a runner in this process", (rig) => rig.runner, { isHere: true });
