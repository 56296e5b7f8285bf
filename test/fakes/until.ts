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
  const begun = performance.now();
  while (!(await condition())) {
    const waited = performance.now() - begun;
    if (waited > deadlineMs) throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
    // What takes long is looked at less often: whatever it waits for needs the CPU.
    await pause(Math.min(50, 5 + waited / 20));
  }
}
