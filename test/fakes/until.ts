import { setTimeout as pause } from "node:timers/promises";

/**
 * Guards against hanging, and says nothing about speed: longer than anything takes while others keep the
 * machine busy.
 */
export const PATIENCE_MS = 150_000;

/** Waits until `condition` holds; fails after `deadlineMs`, naming what was waited for. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = PATIENCE_MS,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
    await pause(5);
  }
}
