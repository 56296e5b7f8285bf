import * as z from "zod";
import { type Kind, show } from "./kinds.ts";

/** What the table of docs/reference.md says of a key; `default` is null where there is none. */
export interface KeyNote {
  readonly default: string | null;
  readonly meaning: string;
}
export const notes = z.registry<KeyNote>();

export function read<T>(kind: Kind<T>) {
  return z.unknown().transform((input, context): T => {
    const value = kind.read(input);
    if (value !== undefined) return value;
    const plain = `${kind.hidden ? "it" : show(input)} is not ${kind.what}`;
    context.addIssue({ code: "custom", message: kind.faultOf?.(input) ?? plain });
    return z.NEVER;
  });
}

/** A key that may be left out and has no value then; `note` says what holds instead, for the table. */
export function optional<T>(kind: Kind<T>, meaning: string, note: string | null = null) {
  return read(kind).optional().register(notes, { default: note, meaning });
}

/** A key with a default, written as in the file. */
export function key<T>(kind: Kind<T>, fallback: unknown, meaning: string) {
  const note = typeof fallback === "string" ? fallback : JSON.stringify(fallback);
  return read(kind).prefault(fallback).register(notes, { default: note, meaning });
}

export function section<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "invalid_type" ? `${show(issue.input)} is not a section of keys` : undefined,
  });
}
