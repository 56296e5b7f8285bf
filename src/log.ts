import { pino } from "pino";

/** One line per fact, object first: `log.info({cell}, "run ended")`. No tokens, no bodies. */
export interface Log {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
  debug(facts: object, message: string): void;
}

/** JSON lines on standard error, every secret hidden by `redact` whatever field or text it stands in. */
export function createLog(options: { verbose: boolean; redact: (text: string) => string }): Log {
  return pino(
    {
      level: options.verbose ? "debug" : "info",
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: options.redact },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** Says nothing; for command lines that speak for themselves. */
export const silentLog: Log = { info() {}, warn() {}, error() {}, debug() {} };
