import type { AgentConfig } from "../config/config.ts";
import { LEAST_HIDDEN } from "../secret-finder.ts";

/** A few letters between signs, a locale, a number or a directory: seldom a secret, often in a repository. */
const WORDLIKE =
  /^(?:[a-z]{1,14}(?:[ ._-][a-z]{1,14}){0,2}|[a-z]{2}_[A-Z]{2}\.[\w-]+|[\d.]{1,12}|(?:\/[\w.-]{1,20}){1,8})$/i;
const SECRET_NAME = /(^|_)(KEY|TOKEN|SECRET|PASS|PASSWORD|PASSWD|CREDENTIALS?|AUTH)(_|$)/i;

/**
 * Names in `env` whose values look like no secrets, and names in `pass` that sound like some. A sentence
 * each, without any value.
 */
export function aboutValues(agent: Pick<AgentConfig, "env" | "pass">): string[] {
  const words = Object.entries(agent.env).flatMap(([name, value]) =>
    value.length >= LEAST_HIDDEN && WORDLIKE.test(value) ? [name] : [],
  );
  const secrets = Object.keys(agent.pass).filter((name) => SECRET_NAME.test(name));
  return [
    ...words.map(
      (name) =>
        `env: the value of ${name} looks like a word. Work that shows it is never pushed: write ${name} in pass, or in set, if it is no secret`,
    ),
    ...secrets.map((name) => `pass: ${name} sounds like a secret. Work may show its value: write it in env`),
  ];
}
